"""The front door for weights: of rows or single labels -> the weight of each cell of y, of which only ratios matter."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.exceptions import DuplicateError
from sklearn.utils import _safe_indexing

from sklearn_mmoe._arrays.numbers import as_floats
from sklearn_mmoe._common.names import by_index
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import shortened
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe.tasks._validation import Targets

USUAL_EXPONENTS = 64  # weights up to 2**64 are handed to metrics as they are: some of these are sums of weights


def check_weights(
    sample_weight: Any, targets: Targets, *, name: str = "sample_weight", require_labels: bool = True
) -> FloatArray | None:
    """Check sample weights of shape (n_rows,) or (n_rows, n_tasks).

    Parameters
    ----------
    sample_weight : array-like, series, data frame or number
        Columns of a data frame are those of the tasks by name, in any order.
    require_labels : bool
        Whether a task whose labels all weigh 0 is an error.

    Returns
    -------
    ndarray of shape (n_rows, n_tasks), 0 where a label is missing; None if every label is there and weighs the same
    """
    labelled = targets.labelled
    if sample_weight is None:
        return None if labelled.all() else labelled.astype(np.float64)
    if isinstance(sample_weight, Real) and not isinstance(sample_weight, np.timedelta64):  # one of NumPy's integers
        sample_weight = np.full(targets.n_rows, sample_weight)
    weights = as_floats(_in_order_of_tasks(sample_weight, targets, name), name, ensure_2d=False)
    if weights.shape not in ((targets.n_rows,), labelled.shape):
        raise ValueError(
            f"{name} must be of shape ({targets.n_rows},) or {labelled.shape}, got {name} of shape {weights.shape}."
        )
    if not np.isfinite(weights).all():
        raise ValueError(f"{name} contains NaN or infinity.")
    if (weights < 0).any():
        raise ValueError(f"Negative values in data passed to `{name}`: weights must be 0 or more.")
    cells = (weights if weights.ndim == 2 else weights[:, None]) * labelled
    if labelled.any() and not cells.any():
        raise ValueError(f"{name} is zero for every label: nothing is left to learn from.")
    empty = [targets.columns[t].name for t in np.flatnonzero(~cells.any(axis=0))]
    if empty and require_labels:
        raise ValueError(f"{name} is zero for every label of task {shortened([repr(task) for task in empty])}.")
    return cells


def relative_weights(weights: FloatArray | None, group: Group = ALONE) -> FloatArray | None:
    """Weights as shares of the largest that their task has on any rank: float32 can hold those, and add them up.

    Parameters
    ----------
    weights : ndarray of shape (n_rows, n_tasks) or None

    Returns
    -------
    ndarray of the same shape, from 0 to 1, or None
    """
    if weights is None:
        return None
    largest = np.max(group.gather(weights.max(axis=0, initial=0.0)), axis=0)
    return weights / np.where(largest > 0, largest, 1.0)


def in_range(weights: FloatArray | None) -> FloatArray | None:
    """Weights that metrics can add up: those far from 1 are brought near it, all by one power of two."""
    exponent = 0 if weights is None else math.frexp(weights.max(initial=0.0))[1]
    return weights if weights is None or abs(exponent) <= USUAL_EXPONENTS else np.ldexp(weights, -exponent)


def _in_order_of_tasks(weights: Any, targets: Targets, name: str) -> Any:
    """The columns of a data frame as the tasks stand; anything else, which has no names, as it is."""
    try:
        frame = nw.from_native(weights, pass_through=True)
    except DuplicateError as error:
        raise ValueError(f"{name} has several columns of one name, and columns are taken by name: {error}") from error
    if isinstance(frame, nw.LazyFrame):
        raise ValueError(f"{name} is a lazy data frame: call its collect() first.")
    if not isinstance(frame, nw.DataFrame):
        return weights
    found: list[Any] = list(frame.columns)
    nameless = targets.frame is None and found == list(range(len(found)))  # pandas counts the columns of an array
    if nameless or len(found) == len(targets.columns) == 1:
        return weights
    places, unknown = by_index({own: i for i, own in enumerate(found)}, targets.names)
    lacking = [task for t, task in enumerate(targets.names) if t not in places]
    if unknown or lacking:
        raise ValueError(
            f"The columns of a data frame of weights are taken by name, and those of {name} are not the tasks of y. "
            f"Unknown: {unknown}; lacking: {lacking}; the tasks are {targets.names}. Rename them, or give weights of "
            "rows as a series, or an array with its columns in the order of the tasks."
        )
    return _safe_indexing(weights, [places[t] for t in range(len(places))], axis=1)
