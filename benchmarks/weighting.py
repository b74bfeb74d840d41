"""All schemes of `task_weights` side by side: scores on opposing tasks and on flights, and what an epoch costs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from statistics import mean, median, stdev
from typing import Any

from _bench import parser, ratio, report, side_by_side
from _contenders import ours, regression_data
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mmoe import MMoEMultiTask, MMoERegressor
from sklearn_mmoe.datasets import load_flights, make_related_tasks
from sklearn_mmoe.metrics import multi_task_scoring

SCHEMES = [
    *[None, "uncertainty", "dwa", "upgrad", "mgda", "pcgrad", "aligned_mtl", "imtl_g", "cagrad", "nash_mtl"],
    *["fair_grad", "dual_proj", "config", "grad_vac", "grad_drop", "excess_mtl", "pcd", "random"],
]
FLIGHTS = {"cancelled": "binary", "late": "binary", "arr_delay": "regression", "air_time": "regression"}
SEEDS = range(5)
OPPOSING_ROWS, FLIGHT_ROWS = 2_000, 10_000  # to train on
EPOCH_ROWS, REPEATS = 20_000, 3

Score = Callable[[Any, int], list[float]]  # scheme and seed -> score of each task


def opposing_tasks() -> Score:
    """Two regressions of the same features with opposite signs: what moves one output up moves the other down."""

    def score(scheme: Any, seed: int) -> list[float]:
        X, y = make_related_tasks(OPPOSING_ROWS + 10_000, 50, correlation=-1.0, random_state=seed)
        X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=OPPOSING_ROWS, random_state=seed)
        model = MMoERegressor(n_members=1, n_experts=4, max_epochs=60, task_weights=scheme, random_state=seed)
        return r2_score(y_test, model.fit(X_train, y_train).predict(X_test), multioutput="raw_values").tolist()

    return score


def flights() -> Score:
    """Four tasks of two kinds, some labels missing: D2, which is R2 for the regressions."""
    X, y = load_flights(return_X_y=True)
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), make_column_selector(dtype_include="category")),
        (StandardScaler(), ["sched_dep", "sched_arr", "distance"]),
    )

    def score(scheme: Any, seed: int) -> list[float]:
        X_train, X_test, y_train, y_test = train_test_split(
            X, y[list(FLIGHTS)], train_size=FLIGHT_ROWS, test_size=40_000, random_state=seed
        )
        X_train, X_test = columns.fit_transform(X_train), columns.transform(X_test)
        model = MMoEMultiTask(
            tasks=FLIGHTS, n_members=1, n_experts=4, max_epochs=15, task_weights=scheme, random_state=seed
        )
        model.fit(X_train, y_train)
        scorers = multi_task_scoring(model)
        return [scorers[name](model, X_test, y_test) for name in FLIGHTS]

    return score


def cost() -> dict[str, float]:
    """Seconds of an epoch, by scheme, as a ratio to that of equal weights: three regressions, batches of 256."""
    X, y = regression_data(EPOCH_ROWS)
    schemes = {str(scheme): ours(X, y, batch_size=256, task_weights=scheme) for scheme in SCHEMES}
    seconds = side_by_side(schemes, REPEATS)
    print(f"plain epoch: {median(seconds['None']):.3f} s")
    return {name: ratio(seconds, name, "None") for name in seconds}


def shown(differences: list[float]) -> str:
    return f"{mean(differences):+.4f} ± {stdev(differences) / len(differences) ** 0.5:.4f}"


def main() -> None:
    parser(__doc__).parse_args()
    warnings.filterwarnings("ignore", "You are solving a parameterized problem that is not DPP")  # Nash-MTL's solver
    costs, sets = cost(), (opposing_tasks(), flights())
    plain = [[mean(score(None, seed)) for seed in SEEDS] for score in sets]
    rows = [["equal weights", *(f"{mean(scores):.3f}" for scores in plain), "1.0"]]
    for scheme in SCHEMES[1:]:
        gains = []
        for score, own in zip(sets, plain, strict=True):
            gains.append([mean(score(scheme, seed)) - p for seed, p in zip(SEEDS, own, strict=True)])
        rows.append([scheme, *map(shown, gains), f"{costs[scheme]:.1f}"])
        print(rows[-1], flush=True)
    report(
        "weighting",
        "Schemes of task_weights: score on test rows, mean of the tasks; below the first line, what is gained on it",
        ["task_weights", "opposing tasks, R2", "flights, D2", "epoch, times plain"],
        rows,
        f"Means over {len(SEEDS)} seeds ± standard error of the paired differences. 4 experts, early stopping on a "
        f"tenth of the rows. Opposing tasks: `make_related_tasks(correlation=-1)`, {OPPOSING_ROWS:,} x 50. Flights: "
        f"{FLIGHT_ROWS:,} rows, four tasks. The epoch is one of {EPOCH_ROWS:,} x 128 with three regressions.",
    )


if __name__ == "__main__":
    main()
