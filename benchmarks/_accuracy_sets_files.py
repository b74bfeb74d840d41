"""Data sets of the accuracy benchmark that are public files: where they come from, and how they get into a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pooch
from scipy.io import arff

HOST = "https://raw.githubusercontent.com"
FILES = pd.read_csv(Path(__file__).with_suffix(".csv"), index_col="file")  # the repository, commit and path of each


def find(name: str, folder: Path) -> Path:
    """A file in a folder, into which it is fetched if it is missing; another content than the known one is an error."""
    file = FILES.loc[name]
    url = "/".join([HOST, file["repository"], file["commit"], file["path"]])
    return Path(pooch.retrieve(url, file["sha256"], fname=name, path=folder))


@dataclass
class Table:
    """What a file says: features, labels (NaN where one is missing), kinds of task, and which rows hang together."""

    X: pd.DataFrame
    labels: pd.DataFrame
    kinds: dict[str, str]
    groups: Any = None  # a value per row: rows of one group hang together, and stay together in all splits
    parts: Any = None  # "train", "val" or "test" per row, where the order of time says so


@dataclass(frozen=True)
class Source:
    """The files of a set, what reads them, and how the set is measured: arguments of DataSet."""

    read: Callable[..., Table]
    files: list[str]
    how: dict[str, Any] = field(default_factory=dict)

    def table(self, folder: Path) -> Table:
        return self.read(*(find(name, folder) for name in self.files))


def read_r(path: Path) -> pd.DataFrame:
    """A table that comes with a package of R, without the names of its rows."""
    return pd.read_csv(path).drop(columns="rownames")


def read_arff(path: Path) -> pd.DataFrame:
    """The columns of an ARFF file as numbers, those of 0 and 1 among them."""
    with path.open(encoding="utf-8") as lines:
        rows, _ = arff.loadarff(lines)
    return pd.DataFrame(rows).astype(float)


def last_columns(data: pd.DataFrame, n_tasks: int, kind: str) -> Table:
    """A table whose tasks are its last columns, all of one kind."""
    labels = data.iloc[:, -n_tasks:]
    return Table(data.iloc[:, :-n_tasks], labels, dict.fromkeys(labels, kind))


def codes(column: pd.Series) -> np.ndarray:
    """Classes as numbers, in the order of their names; NaN where none is given."""
    numbers = pd.Categorical(column).codes.astype(float)
    return np.where(numbers < 0, np.nan, numbers)


def copies(X: pd.DataFrame) -> pd.Series:
    """A group for each row and the rows that are equal to it."""
    return X.groupby(list(X), dropna=False).ngroup()
