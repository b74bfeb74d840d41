"""What is held out at random to decide when to stop: a validation part, or a fold for each member of an ensemble."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

Rows = NDArray[np.integer[Any]]
Labelled = NDArray[np.bool_]  # (n_rows, n_tasks): whether there is a label that weighs anything


@dataclass(frozen=True)
class Units:
    """What is held out as a whole: each row of a shard, or each group of rows, which may lie on several ranks.

    Parameters
    ----------
    labelled : ndarray of bool, of shape (n_units, n_tasks)
        Of which tasks a unit has a label that weighs anything.
    strata : ndarray of shape (n_units,) or None
        What all parts have the same proportions of, as far as there are enough units of each.
    seed : int
        Of rows it is the rank's own; of groups, that of all ranks, which then draw the same ones.
    of_rows : ndarray of int, of shape (n_rows,), default=None
        The unit of each row. None: each is one itself.
    is_large : ndarray of bool, of shape (n_units,), default=None
        Units too large for a part, as long as there are others.
    """

    labelled: Labelled
    strata: NDArray[Any] | None
    seed: int
    of_rows: NDArray[np.int64] | None = None
    is_large: NDArray[np.bool_] | None = None

    def part(self, fraction: float) -> tuple[Rows, Rows]:
        """The rows of the shard to train on, and those of a random validation part."""
        if self.of_rows is None:
            return random_split(self.labelled, self.strata, fraction, self.seed)
        drawn = self.labelled if self.is_large is None else self.labelled & ~self.is_large[:, None]
        drawn = drawn if drawn.any(axis=1).sum() > 1 else self.labelled
        _, valid = random_split(drawn, self.strata, fraction, self.seed)
        held_out = np.isin(self.of_rows, valid)
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def folds(self, n_folds: int, watched: NDArray[np.bool_]) -> NDArray[np.int64] | None:
        """The fold of each row of the shard, as `random_folds` makes them."""
        if self.of_rows is None:
            return random_folds(self.labelled, self.strata, n_folds, watched, self.seed)
        folds = random_folds(self.labelled, self.strata, n_folds, watched, self.seed, n_at_least=1)
        return None if folds is None else folds[self.of_rows]


def rows_that_count(labelled: Labelled) -> Rows:
    """The rows with a label. One row stands for all where none has: a chunk, or a shard, may have no label at all."""
    rows = np.flatnonzero(labelled.any(axis=1))
    return rows if len(rows) else np.arange(1)


def random_split(labelled: Labelled, strata: NDArray[Any] | None, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Of the rows that count, those to train on and those of a random validation part, both sorted.

    Parameters
    ----------
    strata : ndarray of shape (n_rows,) or None
        What both parts have the same proportions of, as far as there are enough rows of each.
    fraction : float
        Share of the rows in the validation part, which has none if nothing would be left to train on.
    """
    rows = rows_that_count(labelled)
    n_rows = len(rows)
    if n_rows - math.ceil(fraction * n_rows) < 1:
        return rows, rows[:0]
    if strata is not None:
        strata = strata[rows]
        counts = np.unique(strata, return_counts=True)[1]
        if counts.min() < 2 or len(counts) > min(fraction, 1 - fraction) * n_rows:
            strata = None  # too few rows of a class to have some on both sides
    train, valid = train_test_split(rows, test_size=fraction, random_state=seed, stratify=strata)
    # Give labels back where the validation part took all that a task has
    lacking = ~labelled[train].any(axis=0)
    needed = labelled[valid][:, lacking].any(axis=1)
    return np.sort(np.concatenate([train, valid[needed]])), np.sort(valid[~needed])


def random_folds(
    labelled: Labelled,
    strata: NDArray[Any] | None,
    n_folds: int,
    watched: NDArray[np.bool_],
    seed: int,
    *,
    n_at_least: int = 2,
) -> NDArray[np.int64] | None:
    """The fold of each row, of shape (n_rows,): member m trains on all others and is validated on fold m.

    Rows without a label are in none that matters, and change nothing for the others.

    Parameters
    ----------
    watched : ndarray of bool, of shape (n_tasks,)
        Tasks that decide when to stop.
    n_at_least : int
        Rows with a label that there must be for each fold.

    Returns
    -------
    None if there are too few labels: a fold without any of the watched tasks, or all of a task's in one fold. What a
    shard has no label of at all is for the other shards to have.
    """
    folds, rows = np.zeros(len(labelled), dtype=np.int64), rows_that_count(labelled)
    has = labelled.any(axis=0)
    if not has.any():
        return folds
    if n_folds < 2 or len(rows) < n_at_least * n_folds:
        return None
    if strata is not None and np.unique(strata[rows], return_counts=True)[1].min() >= n_folds:
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(rows, strata[rows])
    else:
        splitter = KFold(n_folds, shuffle=True, random_state=seed).split(rows)
    for fold, (train, held_out) in enumerate(splitter):
        known, watchable = labelled[rows[train]].any(axis=0), labelled[rows[held_out]][:, has & watched]
        if not known[has].all() or (watchable.shape[1] and not watchable.any()):
            return None
        folds[rows[held_out]] = fold
    return folds
