"""Which rows are held out to decide when to stop: a validation part, or a fold for each member of an ensemble."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

Rows = NDArray[np.integer[Any]]
Labelled = NDArray[np.bool_]  # (n_rows, n_tasks), or (n_rows, 0) where every label is there


def random_split(labelled: Labelled, strata: NDArray[Any] | None, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Rows to train on and rows of a random validation part, both sorted.

    Parameters
    ----------
    strata : ndarray of shape (n_rows,) or None
        What both parts have the same proportions of, as far as there are enough rows of each.
    fraction : float
        Share of the rows in the validation part.
    """
    n_rows = len(labelled)
    if strata is not None:
        counts = np.unique(strata, return_counts=True)[1]
        if counts.min() < 2 or len(counts) > fraction * n_rows:
            strata = None  # too few rows of a class to have some on both sides
    train, valid = train_test_split(np.arange(n_rows), test_size=fraction, random_state=seed, stratify=strata)
    # Give labels back where the validation part took all that a task has
    lacking = ~labelled[train].any(axis=0)
    needed = labelled[valid][:, lacking].any(axis=1)
    return np.sort(np.concatenate([train, valid[needed]])), np.sort(valid[~needed])


def random_folds(
    labelled: Labelled, strata: NDArray[Any] | None, n_folds: int, watched: NDArray[np.bool_], seed: int
) -> NDArray[np.int64] | None:
    """The fold of each row, of shape (n_rows,): member m trains on all others and is validated on fold m.

    Rows without a label are in none that matters, and change nothing for the others.

    Parameters
    ----------
    watched : ndarray of bool, of shape (n_tasks,)
        Tasks that decide when to stop.

    Returns
    -------
    None if there are too few labels: a fold without any of the watched tasks, or all of a task's in one fold.
    """
    folds = np.zeros(len(labelled), dtype=np.int64)
    rows = np.flatnonzero(labelled.any(axis=1)) if labelled.shape[1] else np.arange(len(labelled))
    if len(rows) < 2 * n_folds:
        return None
    if strata is not None and np.unique(strata, return_counts=True)[1].min() >= n_folds:
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(rows, strata[rows])
    else:
        splitter = KFold(n_folds, shuffle=True, random_state=seed).split(rows)
    for fold, (train, held_out) in enumerate(splitter):
        known, watchable = labelled[rows[train]], labelled[rows[held_out]][:, watched[: labelled.shape[1]]]
        if labelled.shape[1] and not (watchable.any() and known.any(axis=0).all()):
            return None
        folds[rows[held_out]] = fold
    return folds
