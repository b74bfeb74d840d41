"""Modules under the names that they once had: pickles and files of skops that were written then look there."""

import sys
from importlib import import_module

from sklearn_mmoe import _features
from sklearn_mmoe._features.validation import Categories

MOVED = {
    "_classifier": "_estimators.classifier",
    "_dates": "_tables.dates",
    "_fitted_tasks": "tasks._fitted",
    "_frame_dtypes": "_arrays.frame_dtypes",
    "_multitask": "_estimators.multitask",
    "_named_types": "_training.named_types",
    "_net": "_training.net",
    "_pipeline": "_tables.pipeline",
    "_regressor": "_estimators.regressor",
    "_running_stats": "tasks._running_stats",
    "_scorers": "metrics._scorers",
    "_splines": "_tables.splines",
    "_table_columns": "_tables.columns",
    "_tabular": "_tables.preprocessing",
}

for _once, _now in MOVED.items():
    sys.modules[f"sklearn_mmoe.{_once}"] = import_module(f"sklearn_mmoe.{_now}")
vars(_features)["Categories"] = Categories  # the package has the name that its module had
