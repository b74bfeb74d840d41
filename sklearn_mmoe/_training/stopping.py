"""When training stops: what is watched, and for how long it may stand still."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_mmoe._common.names import index_of
from sklearn_mmoe._common.words import shown
from sklearn_mmoe.weighting._schemes import weights_by_task

Scorer = Callable[[], float]  # the score of the net as it is now, greater is better


def monitored_tasks(monitor: Any, task_names: Sequence[Hashable]) -> NDArray[np.float64]:
    """How much each task's loss counts in what is watched, of shape (n_tasks,).

    Parameters
    ----------
    monitor : "mean", name of a task, mapping of task name to float, or callable
        A callable, a scorer, needs no weights: until it is asked, all tasks count the same.
    """
    equal = np.ones(len(task_names))
    if callable(monitor) or (isinstance(monitor, str) and monitor == "mean"):
        return equal
    if isinstance(monitor, str):
        watched = index_of(monitor, task_names)
        if watched is None:
            raise ValueError(
                f"monitor={shown(monitor)} is no task. Allowed are 'mean' and the tasks {list(task_names)}."
            )
        return np.array([float(t == watched) for t in range(len(task_names))])
    if not isinstance(monitor, Mapping):
        raise ValueError(
            f"monitor must be 'mean', the name of a task, a mapping of task names to weights, or a scorer; "
            f"got {shown(monitor)}."
        )
    return weights_by_task(monitor, task_names, "monitor", unnamed=0.0)


def watched_loss(losses: Sequence[float], labelled: Sequence[bool], shares: Sequence[float]) -> float:
    """The weighted mean of the losses of the tasks that have labels; NaN if none of those that count has."""
    counted = [(loss, share) for loss, has, share in zip(losses, labelled, shares, strict=True) if has and share]
    if not counted:
        return float("nan")
    return sum(loss * share for loss, share in counted) / sum(share for _, share in counted)


def as_score(found: Any) -> float:
    """What a scorer has returned, if it is a real number."""
    if isinstance(found, bool | np.bool_) or not isinstance(found, Real):
        raise ValueError(
            f"monitor must return a real number, greater is better, but it has returned {shown(found)} of type "
            f"{type(found).__name__}: let it end with float(...)."
        )
    return float(found)


def checked_score(score: float) -> float:
    """Refuse NaN, which is neither better nor worse than any other score."""
    if not np.isfinite(score):
        raise ValueError(
            f"The validation part has a score of {score} by monitor: it may hold no label of the tasks that monitor "
            "watches. Give X_val and y_val that have some, raise validation_fraction, or choose another monitor."
        )
    return score


class Patience:
    """Counts the epochs since the best loss improved by more than `tol`, as `MLPRegressor` does; member by member."""

    def __init__(self, n_iter_no_change: int, tol: float) -> None:
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.best = np.array([np.inf])
        self.misses = np.array([0])
        self.n_epochs = 0
        self.best_epochs = np.array([0])  # counted from 1

    def update(self, losses: Sequence[float]) -> NDArray[np.bool_]:
        """Take note of an epoch's loss, of one network or of each member; whether it is the best so far."""
        found = np.asarray(losses)
        self.misses = np.where(found > self.best - self.tol, self.misses + 1, 0)
        improved = found < self.best
        self.n_epochs += 1
        self.best_epochs = np.where(improved, self.n_epochs, self.best_epochs)
        self.best = np.minimum(self.best, found)
        return improved

    @property
    def exhausted(self) -> bool:
        return bool((self.misses > self.n_iter_no_change).all())
