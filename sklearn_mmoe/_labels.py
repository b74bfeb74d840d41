"""The labels of one task as users have them -> checked numbers, or the classes of the task."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets

from sklearn_mmoe._validation import Column


def as_numbers(values: NDArray[Any], name: str, loss: str) -> NDArray[np.float64]:
    """Check that labels are numbers (and counts where the loss is for counts)."""
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"Task {name!r} is a regression but its labels are no numbers: found {listed(values[:1])}. "
            "Encode them as numbers, or make the task a classification."
        )
    numbers = values.astype(np.float64)
    if loss == "poisson" and (bad := (numbers < 0) | (numbers != np.floor(numbers))).any():
        raise ValueError(
            f"Task {name!r} counts: its labels must be whole numbers from 0 up, got {listed(np.unique(numbers[bad]))}."
        )
    return numbers


def classes_of(column: Column, classes: Any) -> NDArray[Any]:
    """The sorted classes of a task: given, or found in its labels."""
    if classes is not None:
        given = np.unique(np.asarray(classes))
        if len(given) < 2:
            raise ValueError(f"classes of task {column.name!r} must be at least two, got {listed(given)}.")
        return given
    try:
        found = np.unique(column.values)
    except TypeError as error:
        kinds = sorted({type(value).__name__ for value in column.values})
        raise ValueError(
            f"Task {column.name!r} mixes labels of types {', '.join(kinds)}: make them one type."
        ) from error
    try:
        if not column.is_categorical:
            check_classification_targets(column.values)
    except ValueError as error:
        raise ValueError(f"Task {column.name!r}: {error}") from error
    if len(found) == 1:
        raise ValueError(
            f"Task {column.name!r} has only one class, {listed(found)}: there is nothing to tell apart. "
            "Leave the task out, or give rows of another class."
        )
    return found


def refuse_classes(classes: Any, name: str) -> None:
    if classes is not None:
        raise ValueError(f"classes gives classes for task {name!r}, which is no classification.")


def listed(values: Any, limit: int = 10) -> str:
    items = [repr(value) for value in np.asarray(values).tolist()[:limit]]
    return ", ".join(items) + (", ..." if len(values) > limit else "")
