"""The labels of one task as users have them -> checked numbers, or the classes of the task."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import date, time, timedelta
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets

from sklearn_mmoe._arrays.values import distinct
from sklearn_mmoe._common.words import shown
from sklearn_mmoe.tasks._validation import SEVERAL_LABELS, Column, is_missing

_COLLECTIONS = (list, tuple, set, frozenset, dict, np.ndarray)
_MOMENTS = (date, time, timedelta)  # as objects: pandas' own, of any time zone, are such, too


def are_moments(values: NDArray[Any]) -> bool:
    """Whether labels are dates, times or spans of time, which scikit-learn takes for no classes."""
    if values.dtype.kind in "mM":
        return True
    return values.dtype == object and all(isinstance(value, _MOMENTS) for value in values.tolist())


def are_integers_beyond_types(values: NDArray[Any]) -> bool:
    """Whether labels are integers that NumPy, and so scikit-learn, has no type for."""
    return values.dtype == object and all(isinstance(value, int) for value in values.tolist())


def as_numbers(values: NDArray[Any], name: Hashable) -> NDArray[np.float64]:
    """Check that labels are finite numbers."""
    if are_moments(values) and len(values):
        raise ValueError(
            f"Task {name!r} is a regression but its labels are dates, times or durations, which are no numbers: found "
            f"{listed(values[:1])}. Turn them into numbers, such as the days since one day, or make the task a "
            "classification."
        )
    if values.dtype.kind not in "biuf" and not _are_real(values):
        raise ValueError(
            f"Task {name!r} is a regression but its labels are no numbers: found {listed(values[:1])}. "
            "Encode them as numbers, or make the task a classification."
        )
    try:
        with np.errstate(over="ignore"):
            numbers = values.astype(np.float64)
    except OverflowError:  # a whole number of hundreds of digits
        numbers = np.array([np.inf])
    if not np.isfinite(numbers).all():
        raise ValueError(f"Task {name!r} has labels that are infinite, or too large for a float: rescale them.")
    return numbers


def _are_real(values: NDArray[Any]) -> bool:
    """Whether objects are numbers, Python's decimal ones and fractions among them."""
    return values.dtype == object and all(isinstance(value, Real | Decimal) for value in values.tolist())


def class_codes(values: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    """Labels -> where they stand among the classes, whatever the order of those; -1 for a label that is no class."""
    try:
        order = np.argsort(classes)
        codes = order[np.searchsorted(classes, values, sorter=order).clip(max=len(order) - 1)]
        return np.where(classes[codes] == values, codes, -1)
    except TypeError:  # some of them cannot be compared at all
        places = {label: code for code, label in enumerate(classes.tolist())}
        return np.array([_looked_up(places, value) for value in values.tolist()], dtype=np.int64)


def _looked_up(places: dict[Any, int], label: Any) -> int:
    try:
        return places.get(label, -1)
    except TypeError:  # a list, say, is no class
        return -1


def classes_of(column: Column, classes: Any) -> NDArray[Any]:
    """The sorted classes of a task: given, or found in its labels."""
    if classes is not None:
        return _given_classes(column, classes)
    if not len(column.values):
        raise ValueError(
            f"Task {column.name!r} has no label at all, so that its classes are unknown: name them, "
            "partial_fit(..., classes=...), or begin with rows that have some."
        )
    _refuse_collections(column)
    try:
        found = np.unique(column.values)
    except TypeError as error:
        raise ValueError(
            f"Task {column.name!r} mixes labels of types {kinds_of(column.values)}, which have no order, such as "
            f"{listed(distinct(column.values))}: make them one type."
        ) from error
    try:
        if not (column.is_categorical or are_moments(found) or are_integers_beyond_types(found)):
            check_classification_targets(column.values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Task {column.name!r}: {error}") from error
    if len(found) == 1:
        raise ValueError(
            f"Task {column.name!r} has only one class, {listed(found)}: there is nothing to tell apart. "
            "Leave the task out, or give rows of another class."
        )
    return found


def _refuse_collections(column: Column) -> None:
    if column.values.dtype != object or column.is_categorical:
        return
    found = next((value for value in column.values.tolist() if isinstance(value, _COLLECTIONS)), None)
    if found is not None:
        raise ValueError(
            f"Task {column.name!r} holds a {type(found).__name__} in a row, {shown(found)}: one label is needed. "
            f"{SEVERAL_LABELS}"
        )


def _given_classes(column: Column, classes: Any) -> NDArray[Any]:
    """The classes that a user gives of a task, sorted, of the types that they were given in."""
    name, given = column.name, moments_like(column.values, _as_array(classes))
    if given.ndim != 1 or is_missing(given).any() or len(distinct(given)) < 2:
        raise ValueError(
            f"classes of task {name!r} must be a list of two labels or more, none of them missing; got "
            f"{shown(classes)}."
        )
    try:
        return np.unique(given)
    except TypeError as error:
        raise ValueError(
            f"classes of task {name!r} mix types that have no order, {kinds_of(given)}: {listed(given)}. Make them one "
            "type."
        ) from error


def _as_array(values: Any) -> NDArray[Any]:
    """An array of what a user lists: numbers beside strings stay numbers."""
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths
        return np.array(None, dtype=object)
    kinds: dict[str, type] = {"U": str, "S": bytes}
    kind = kinds.get(array.dtype.kind)
    mixed = array.ndim == 1 and kind is not None and not all(isinstance(value, kind) for value in values)
    return np.asarray(values, dtype=object) if mixed else array


def ordered_classes_of(column: Column, categories: tuple[Any, ...] | None, classes: Any) -> NDArray[Any]:
    """The classes of an ordinal task from low to high: declared, of an ordered data type, or numbers by value.

    Parameters
    ----------
    categories : tuple or None
        What the user declared.
    classes : array-like or None
        What the user gave to `partial_fit`; no order is read out of it.
    """
    ordered = categories if categories is not None else column.categories
    labels = column.values if len(column.values) or classes is None else _as_array(classes)
    if ordered is None and labels.dtype.kind in "biuf":
        return classes_of(column, classes)
    if ordered is None:
        found = listed(distinct(labels.astype(object)))
        raise ValueError(
            f"Task {column.name!r} is ordinal, but nothing says in which order its classes {found} stand. "
            "Declare Ordinal(categories=[...]) with the lowest first, or make the column an ordered categorical "
            "(pandas.CategoricalDtype(..., ordered=True) or polars.Enum)."
        )
    if len(ordered) < 2:
        raise ValueError(f"categories of task {column.name!r} must be at least two, got {listed(ordered)}.")
    if classes is not None and set(_given_classes(column, classes).tolist()) != set(ordered):
        raise ValueError(
            f"classes of task {column.name!r} are {listed(classes)}, but its categories are {listed(ordered)}: leave "
            "classes out, or make them the same."
        )
    return _typed_like(ordered, column.values)


def _typed_like(categories: tuple[Any, ...], values: NDArray[Any]) -> NDArray[Any]:
    """Categories as an array of the type of the labels, if there are any and where that changes no category."""
    if values.dtype == object or values.dtype.kind in "mM":
        return moments_like(values, np.array(categories, dtype=object))
    given = np.asarray(categories)
    if not len(values) or given.dtype.kind not in "biuf" or values.dtype.kind not in "biuf":
        return given
    typed = given.astype(values.dtype)
    return typed if (typed == given).all() else given


def moments_like(values: NDArray[Any], given: NDArray[Any]) -> NDArray[Any]:
    """Dates and the like that were listed as objects, as pandas' own are, in the type of labels that are NumPy's."""
    if values.dtype.kind not in "mM" or given.dtype != object or not are_moments(given):
        return given
    return given.astype(values.dtype)


def refuse_classes(classes: Any, name: Hashable) -> None:
    if classes is not None:
        raise ValueError(f"classes gives classes for task {name!r}, which is no classification.")


def kinds_of(values: NDArray[Any]) -> str:
    return ", ".join(sorted({type(value).__name__ for value in values.tolist()}))


def listed(values: Any, limit: int = 10) -> str:
    """The first of some labels, in words."""
    first = _as_array(values)[:limit]
    if first.dtype.kind in "mM" and np.datetime_data(first.dtype)[0] in ("ns", "ps", "fs", "as"):
        first = first.astype(f"{first.dtype.kind}8[us]")  # of finer ones NumPy makes whole numbers
    items = [shown(value) for value in first.tolist()]
    return ", ".join(items) + (", ..." if len(values) > limit else "")
