"""The data sets of the accuracy benchmark: features, labels, kinds of task, and which rows to fit and to measure on."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes, load_linnerud
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.model_selection import KFold

QUICK_ROWS = 2_000
PARTS = {"test": (("train", "val"), "test"), "valid": (("train",), "val"), "published": (("train",), "test")}

Run = tuple[int, np.ndarray, np.ndarray]  # seed or fold, rows to fit on, rows to measure on


@dataclass
class DataSet:
    """Labels stand in a data frame, a column per task, NaN where one is missing."""

    X: pd.DataFrame
    labels: pd.DataFrame
    kinds: dict[str, str]  # task -> "regression", "binary" or "multiclass"
    splits: dict[str, np.ndarray]  # suggested rows: "train", "val", "test"
    n_folds: int = 0  # 0: measured on the suggested rows, with several seeds
    relative_error: bool = False  # regressions are measured by RRMSE in place of R2

    def metric(self, task: str) -> str:
        regression = "RRMSE" if self.relative_error else "R2"
        return {"regression": regression, "binary": "AUC", "multiclass": "accuracy"}[self.kinds[task]]

    def runs(self, part: str, n_seeds: int) -> Iterator[Run]:
        """Seeds over the suggested rows, or folds: of all rows, and for "valid" of those that are not for testing."""
        fitted, measured = PARTS[part]
        if not self.n_folds:
            rows = np.concatenate([self.splits[name] for name in fitted])
            yield from ((seed, rows, self.splits[measured]) for seed in range(n_seeds))
            return
        rows = np.arange(len(self.X))
        if part == "valid":
            rows = np.setdiff1d(rows, self.splits["test"])
        folds = KFold(self.n_folds, shuffle=True, random_state=0)
        for fold, (train, test) in enumerate(folds.split(rows)):
            yield fold, rows[train], rows[test]

    def at_most(self, n_rows: int) -> DataSet:
        """Some of the rows, for a quick run."""
        if len(self.X) <= n_rows:
            return self
        # not with seed 0, whose permutation made the suggested splits: its first rows are all training rows
        kept = np.sort(np.random.default_rng(0).permutation(len(self.X))[:n_rows])
        splits = {name: np.flatnonzero(np.isin(kept, rows)) for name, rows in self.splits.items()}
        X, labels = (table.iloc[kept].reset_index(drop=True) for table in (self.X, self.labels))
        return DataSet(X, labels, self.kinds, splits, self.n_folds, self.relative_error)


def score(metric: str, y_train: np.ndarray, y_test: np.ndarray, answer: np.ndarray) -> float:
    """One task's score, over the rows that have its label. The mean of the tasks' RRMSE is Mulan's aRRMSE."""
    there = ~np.isnan(y_test)
    y, answer = y_test[there], answer[there]
    if metric == "RRMSE":
        return float(np.sqrt(((y - answer) ** 2).sum() / ((y - np.nanmean(y_train)) ** 2).sum()))
    return float({"AUC": roc_auc_score, "accuracy": accuracy_score, "R2": r2_score}[metric](y, answer))


def _bundled(load: Callable[..., Any]) -> DataSet:
    X, y = load(return_X_y=True, as_frame=True)
    labels = y.to_frame() if isinstance(y, pd.Series) else y
    rows = np.split(np.random.RandomState(0).permutation(len(X)), [int(0.6 * len(X)), int(0.8 * len(X))])
    splits = dict(zip(("train", "val", "test"), rows, strict=True))
    return DataSet(X, labels.astype(float), dict.fromkeys(labels, "regression"), splits, n_folds=5)


def _given(loaded: tuple[Any, dict[str, np.ndarray], dict[str, Any]], **how: Any) -> DataSet:
    """What a loader gives. Counts are learned and measured as log1p, as the published figures were."""
    X, Y, meta = loaded
    X = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X).rename(columns=str)
    counts = {name for name, kind in meta["types"].items() if kind == "count"}
    labels = pd.DataFrame({name: np.log1p(y) if name in counts else y for name, y in Y.items()}).astype(float)
    kinds = {name: "regression" if name in counts else kind for name, kind in meta["types"].items()}
    return DataSet(X, labels, kinds, meta["splits"], **how)


MULAN = ("andro", "atp1d", "atp7d", "enb", "oes10", "oes97", "wq")
BUNDLED = {"diabetes": load_diabetes, "linnerud": load_linnerud}
# name -> what of `load.py` is called, with what, and how the set is measured
GIVEN: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "census1": ("census_income", (1,), {}),
    "census2": ("census_income", (2,), {}),
    "census-mixed": ("census_income", ("mixed",), {}),
    "tox21": ("tox21", (), {}),
    "sarcos": ("sarcos", (), {}),
    "bike": ("bike_sharing", (), {}),
    "rf1": ("mtr", ("rf1",), {"relative_error": True}),
    **{name: ("mtr", (name,), {"relative_error": True, "n_folds": 10}) for name in MULAN},
}
NAMES = [*BUNDLED, *GIVEN]
FOLDED = [*BUNDLED, *MULAN]


def loader(folder: Path) -> ModuleType:
    """The `load.py` of a data folder, which stays where it is."""
    path = folder / "load.py"
    spec = importlib.util.spec_from_file_location("accuracy_data_load", path)
    if not path.exists() or spec is None or spec.loader is None:
        raise FileNotFoundError(f"--data {folder} has no load.py: give the folder of the data sets and their loader.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_set(name: str, data: ModuleType | None) -> DataSet | None:
    """A set by name; None where `load.py` has no loader for it, or there is no folder of data."""
    if name in BUNDLED:
        return _bundled(BUNDLED[name])
    function, arguments, how = GIVEN[name]
    load = getattr(data, function, None)
    return None if load is None else _given(load(*arguments), **how)
