"""One fit in two processes of a core each, beside the same fit in one: rows per second.

The batches are those of all processes together, so that two processes do what one does, and not another fit.
"""

from __future__ import annotations

import argparse
import json
import os
from statistics import median

from _bench import own_process, parser, ratio, report
from _contenders import regression_data

from sklearn_mmoe import MMoERegressor

N_ROWS, EPOCHS, REPEATS = 20_000, 5, 3
SIZES = [(members, batch) for members in (1, 4) for batch in (256, 1024, 4096)]


def seconds_per_epoch(n_members: int, batch_size: int) -> float:
    """In this process, and those that it was started with."""
    X, y = regression_data(N_ROWS)
    rank, n_ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    model = MMoERegressor(
        n_members=n_members,
        batch_size=batch_size,
        max_epochs=EPOCHS,
        early_stopping=False,
        tol=0,
        device="cpu",
        random_state=0,
    ).fit(X[rank::n_ranks], y[rank::n_ranks])
    return median(row["dur"] for row in model.history_)


def measured(n_ranks: int) -> dict[str, float]:
    """Seconds of every size, in as many processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_ranks}"] if n_ranks > 1 else []
    return own_process(*launcher, __file__, "--measure", OMP_NUM_THREADS="1")


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)  # in processes of its own
    if command.parse_args().measure:
        seconds = {f"{members}, {batch:,}": seconds_per_epoch(members, batch) for members, batch in SIZES}
        if os.environ.get("RANK", "0") == "0":
            print(json.dumps(seconds))
        return
    rounds = [(measured(1), measured(2)) for _ in range(REPEATS)]
    rows = []
    for size in rounds[0][0]:
        of = {"one": [one[size] for one, _ in rounds], "two": [two[size] for _, two in rounds]}
        rates = [f"{N_ROWS / median(of[name]):,.0f}" for name in of]
        rows.append([size, *rates, f"{ratio(of, 'one', 'two'):.2f}"])
    header = ["members, batch", "rows/s, one process", "rows/s, two", "times as many"]
    report("many_devices", f"A fit in two processes of one core each, {N_ROWS:,} x 128, 3 tasks", header, rows)


if __name__ == "__main__":
    main()
