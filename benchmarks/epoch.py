"""One training epoch against hand-written loops and the arithmetic floor: 100,000 x 128, three regressions."""

from __future__ import annotations

import numpy as np
from _bench import VERSUS, matmul_rate, parser, report, side_by_side, training_flops, versus
from _contenders import (
    EXPERT_SIZES,
    N_EXPERTS,
    TOWER_SIZES,
    TextbookMMoE,
    batched_module,
    hand_loop,
    ours,
    regression_data,
)

from sklearn_mmoe import MMoEMultiTask

N_ROWS, REPEATS = 100_000, 7
TASKS = ["binary", "regression", "multiclass", "regression", "binary"]


def mixed_targets(X: np.ndarray) -> np.ndarray:
    """Two binary, two regressions, seven classes."""
    classes = np.digitize(X[:, 2], [-1.5, -1, -0.5, 0, 0.5, 1])
    return np.column_stack([X[:, 0] > 0, X[:, 1], classes, X[:, 3], X[:, 4] > 0]).astype(np.float32)


def main() -> None:
    parser(__doc__).parse_args()
    X, y = regression_data(N_ROWS)
    holes = y.copy()
    holes[np.random.default_rng(1).random(y.shape) < 0.2] = np.nan
    weights = np.random.default_rng(2).random(y.shape)
    seconds = side_by_side(
        {
            "ours": ours(X, y, batch_size=256),
            "hand, batched": hand_loop(batched_module(X, y), X, y),
            "hand, textbook": hand_loop(TextbookMMoE(128, 3), X, y),
            "holes": ours(X, holes, batch_size=256),
            "weights": ours(X, y, sample_weight=weights, batch_size=256),
            "ours 1024": ours(X, y, batch_size=1024),
            "hand 1024": hand_loop(batched_module(X, y), X, y, batch_size=1024),
        },
        REPEATS,
    )
    flops = training_flops(N_ROWS, 128, N_EXPERTS, EXPERT_SIZES, TOWER_SIZES, 3)
    seconds["floor"] = [flops / matmul_rate()] * REPEATS
    mixed = mixed_targets(X)
    five = regression_data(N_ROWS, n_tasks=5)[1]
    seconds |= side_by_side(
        {
            "mixed": ours(X, mixed, cls=MMoEMultiTask, tasks=TASKS, batch_size=256),
            "five": ours(X, five, batch_size=256),
        },
        REPEATS,
    )
    rows = [
        versus("epoch against the hand loop, batched module", seconds, "ours", "hand, batched", "at most 1.10"),
        versus("epoch against the hand loop, textbook module", seconds, "ours", "hand, textbook"),
        versus("20 % of the labels missing against none", seconds, "holes", "ours", "at most 1.15"),
        versus("(n, T) sample weights against none", seconds, "weights", "ours", "at most 1.15"),
        versus("2 binary, 2 regressions, 7 classes against 5 regressions", seconds, "mixed", "five", "at most 1.30"),
        versus("batch 1,024 against the arithmetic floor", seconds, "ours 1024", "floor", "at most 2"),
        versus("batch 1,024 against the hand loop", seconds, "ours 1024", "hand 1024"),
    ]
    report(
        "epoch",
        "One training epoch: 100,000 x 128 float32, 3 regressions, 4 experts (64, 64), towers (32,), batch 256",
        VERSUS,
        rows,
        f"The floor is {flops / 1e9:.1f} GFLOP at the rate of a large matmul in the same run.",
    )


if __name__ == "__main__":
    main()
