"""How the time of an epoch grows with rows, tasks and experts, and a fit on small data."""

from __future__ import annotations

import time
from statistics import median

from _bench import parser, ratio, report, side_by_side, training_flops
from _contenders import EXPERT_SIZES, TOWER_SIZES, batched_module, hand_loop, ours, regression_data

from sklearn_mmoe import MMoERegressor

REPEATS = 3


def growth(name: str, contenders: dict, flops: dict) -> list[list[str]]:
    """Seconds and arithmetic of every size as multiples of the first."""
    seconds = side_by_side(contenders, REPEATS)
    first = next(iter(contenders))
    return [
        [
            f"{key} {name}",
            f"{median(seconds[key]):.3f} s",
            f"{ratio(seconds, key, first):.2f}",
            f"{flops[key] / flops[first]:.2f}",
        ]
        for key in contenders
    ]


def small_fit() -> list[list[str]]:
    """100 epochs on 500 rows: what is not arithmetic shows here."""
    X, y = regression_data(500, n_features=10)
    sizes = {"n_members": 1, "n_experts": 4, "batch_size": 256, "max_epochs": 100}
    model = MMoERegressor(**sizes, early_stopping=False, tol=0, n_iter_no_change=1000, random_state=0)

    def fit() -> float:
        start = time.perf_counter()
        model.fit(X, y)
        return time.perf_counter() - start

    seconds = side_by_side({"ours": fit, "hand": hand_loop(batched_module(X, y), X, y, epochs=100)}, repeats=7)
    cells = [f"{median(seconds['ours']):.3f} s", f"{median(seconds['hand']):.3f} s"]
    return [["fit on 500 x 10, 100 epochs, against the hand loop", *cells, f"{ratio(seconds, 'ours', 'hand'):.2f}"]]


def main() -> None:
    parser(__doc__).parse_args()
    report("small", "A fit on small data", ["figure", "fit", "hand loop", "ratio (at most 1.5)"], small_fit())

    sizes = (10_000, 100_000, 1_000_000)
    X, y = regression_data(sizes[-1])
    seconds = side_by_side({n: ours(X[:n], y[:n], batch_size=256) for n in sizes}, REPEATS)
    per_row = {n: median(took) / n for n, took in seconds.items()}
    rows = [[f"{n:,}", f"{1e6 * per_row[n]:.2f} us", f"{per_row[n] / per_row[sizes[1]]:.2f}"] for n in sizes]
    report("rows", "Seconds per row and epoch", ["rows", "per row", "against 100,000 (0.8 to 1.2)"], rows)

    n = 20_000
    counts = (1, 2, 5, 10, 20, 50)
    data = {t: regression_data(n, n_tasks=t) for t in counts}
    rows = growth(
        "tasks",
        {t: ours(*data[t], batch_size=256) for t in counts},
        {t: training_flops(n, 128, 4, EXPERT_SIZES, TOWER_SIZES, t) for t in counts},
    )
    counts = (4, 8, 16, 32, 64)
    rows += growth(
        "experts",
        {k: ours(*data[2], batch_size=256, n_experts=k) for k in counts},
        {k: training_flops(n, 128, k, EXPERT_SIZES, TOWER_SIZES, 2) for k in counts},
    )
    report("growth", "Epoch time against arithmetic, 20,000 x 128", ["size", "epoch", "time", "arithmetic"], rows)


if __name__ == "__main__":
    main()
