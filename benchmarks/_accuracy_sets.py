"""The data sets of the accuracy benchmark: features, labels, kinds of task, and which rows to fit and to measure on."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import _accuracy_sets_held_out as held_out
import _accuracy_sets_tuned as tuned
import numpy as np
import pandas as pd
from _accuracy_sets_files import Source
from sklearn.datasets import load_diabetes, load_linnerud
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.model_selection import GroupKFold, KFold

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
    groups: np.ndarray | None = None  # a value per row: rows of one group are in one part, and in one fold
    n_train: int | None = None  # a run fits on no more rows than these

    def metric(self, task: str) -> str:
        regression = "RRMSE" if self.relative_error else "R2"
        return {"regression": regression, "binary": "AUC", "multiclass": "accuracy"}[self.kinds[task]]

    def runs(self, part: str, n_seeds: int) -> Iterator[Run]:
        """Seeds over the suggested rows, or folds: of all rows, and for "valid" of those that are not for testing."""
        for number, fitted, measured in self._folds(part) if self.n_folds else self._seeds(part, n_seeds):
            yield number, _some(fitted, self.n_train), measured

    def _seeds(self, part: str, n_seeds: int) -> Iterator[Run]:
        fitted, measured = PARTS[part]
        rows = np.concatenate([self.splits[name] for name in fitted])
        yield from ((seed, rows, self.splits[measured]) for seed in range(n_seeds))

    def _folds(self, part: str) -> Iterator[Run]:
        rows = np.arange(len(self.X))
        if part == "valid":
            rows = np.setdiff1d(rows, self.splits["test"])
        kind = KFold if self.groups is None else GroupKFold
        groups = None if self.groups is None else self.groups[rows]
        folds = kind(self.n_folds, shuffle=True, random_state=0).split(rows, groups=groups)
        yield from ((fold, rows[train], rows[test]) for fold, (train, test) in enumerate(folds))

    def at_most(self, n_rows: int | None = None, n_train: int | None = None) -> DataSet:
        """Some of the rows, for a quick run; or all, of which a run fits on some, for contenders that take long."""
        n_train = self.n_train if n_train is None else n_train
        if n_rows is None or len(self.X) <= n_rows:
            return replace(self, n_train=n_train)
        kept = _some(np.arange(len(self.X)), n_rows)
        splits = {name: np.flatnonzero(np.isin(kept, rows)) for name, rows in self.splits.items()}
        X, labels = (table.iloc[kept].reset_index(drop=True) for table in (self.X, self.labels))
        groups = None if self.groups is None else self.groups[kept]
        return replace(self, X=X, labels=labels, splits=splits, groups=groups, n_train=n_train)


def _some(rows: np.ndarray, n_rows: int | None) -> np.ndarray:
    """Some of these rows, in their order."""
    if n_rows is None or len(rows) <= n_rows:
        return rows
    # not with seed 0, whose permutation made the suggested splits: its first rows are all training rows
    return rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:n_rows])]


def score(metric: str, y_train: np.ndarray, y_test: np.ndarray, answer: np.ndarray) -> float:
    """One task's score, over the rows that have its label. The mean of the tasks' RRMSE is Mulan's aRRMSE."""
    there = ~np.isnan(y_test)
    y, answer = y_test[there], answer[there]
    if metric == "RRMSE":
        return float(np.sqrt(((y - answer) ** 2).sum() / ((y - np.nanmean(y_train)) ** 2).sum()))
    return float({"AUC": roc_auc_score, "accuracy": accuracy_score, "R2": r2_score}[metric](y, answer))


def _splits(groups: np.ndarray) -> dict[str, np.ndarray]:
    """Rows for training, validation and testing: 60, 20 and 20 % of the groups, each of which may be a single row."""
    of_rows = np.unique(groups, return_inverse=True)[1]
    n_groups = of_rows.max() + 1
    parts = np.split(np.random.RandomState(0).permutation(n_groups), [int(0.6 * n_groups), int(0.8 * n_groups)])
    names = ("train", "val", "test")
    return {name: np.flatnonzero(np.isin(of_rows, part)) for name, part in zip(names, parts, strict=True)}


def _bundled(load: Callable[..., Any]) -> DataSet:
    X, y = load(return_X_y=True, as_frame=True)
    labels = y.to_frame() if isinstance(y, pd.Series) else y
    kinds = dict.fromkeys(labels, "regression")
    return DataSet(X, labels.astype(float), kinds, _splits(np.arange(len(X))), n_folds=5)


def _read(source: Source, folder: Path) -> DataSet:
    """What files say. Rows that hang together are in one part, as is what came before or after a time."""
    table = source.table(folder)
    groups = None if table.groups is None else pd.factorize(pd.Series(table.groups))[0]
    if table.parts is None:
        splits = _splits(np.arange(len(table.X)) if groups is None else groups)
    else:
        splits = {part: np.flatnonzero(table.parts == part) for part in ("train", "val", "test")}
    return DataSet(table.X, table.labels.astype(float), table.kinds, splits, groups=groups, **source.how)


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
SOURCES = {**tuned.SOURCES, **held_out.SOURCES}
TUNED = (*BUNDLED, *GIVEN, *tuned.SOURCES)
HELD_OUT = tuple(held_out.SOURCES)  # nothing is chosen by them
NAMES = [*TUNED, *HELD_OUT]
FOLDED = [*BUNDLED, *MULAN, *(name for name, source in SOURCES.items() if "n_folds" in source.how)]


def loader(folder: Path) -> ModuleType:
    """The `load.py` of a data folder, which stays where it is."""
    path = folder / "load.py"
    spec = importlib.util.spec_from_file_location("accuracy_data_load", path)
    if not path.exists() or spec is None or spec.loader is None:
        raise FileNotFoundError(f"--data {folder} has no load.py: give the folder of the data sets and their loader.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_set(name: str, data: ModuleType | None, files: Path | None = None) -> DataSet | None:
    """A set by name; None where what it needs is not there: a loader for it in `load.py`, or a folder of files."""
    if name in BUNDLED:
        return _bundled(BUNDLED[name])
    if name in SOURCES:
        return None if files is None else _read(SOURCES[name], files)
    function, arguments, how = GIVEN[name]
    load = getattr(data, function, None)
    return None if load is None else _given(load(*arguments), **how)
