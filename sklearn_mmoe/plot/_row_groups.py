"""Groups of rows to look at one by one: those that share a value, or a range of values."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing

from sklearn_mmoe._arrays.foreign import detached
from sklearn_mmoe._common.words import errors_of, shown
from sklearn_mmoe.tasks._validation import Column, array_column, series_column

Mask = NDArray[np.bool_]

MOST_GROUPS = 12  # panels that are still read one by one
QUANTILES = (0.25, 0.5, 0.75)


def row_groups(group: Any, X: Any, n_rows: int) -> dict[str, Mask]:
    """The rows of each group, by a title that says which they are.

    Parameters
    ----------
    group : str, int or array-like of shape (n_rows,)
        A column of X by its name or index, or a value for each row. Numbers of more than 12 values are cut at their
        quartiles. Rows without a value are the last group.
    X : array-like or data frame, or None
    n_rows : int

    Returns
    -------
    dict of str to ndarray of bool of shape (n_rows,)
    """
    column = _column(group, X)
    if len(column.labelled) != n_rows:
        raise ValueError(
            f"group must have a value for each of {n_rows} rows, or name a column of X; got "
            f"{len(column.labelled)} values."
        )
    groups = {}
    for title, own in _groups_of_values(column).items():
        groups[title] = np.zeros(n_rows, dtype=bool)
        groups[title][column.labelled] = own
    if not column.labelled.all():
        groups[f"{column.name} missing"] = ~column.labelled
    return groups


def _column(group: Any, X: Any) -> Column:
    if isinstance(group, str | int | np.integer) and not isinstance(group, bool | np.timedelta64):
        return _column_of_features(group, X)
    with errors_of("group"):
        native = nw.from_native(detached(group, "group"), pass_through=True, allow_series=True)
        if isinstance(native, nw.Series):
            return series_column(native, str(native.name or "group"))
        array = np.asarray(native)
    if array.ndim != 1:
        raise ValueError(f"group must be 1-D, a value for each row, or name a column of X; got shape {array.shape}.")
    return array_column(array, "group")


def _column_of_features(group: Any, X: Any) -> Column:
    if X is None:
        raise ValueError(
            f"group={shown(group)} names a column of X, which is not known here: give a value for each row."
        )
    frame = nw.from_native(X, pass_through=True, eager_only=True)
    if isinstance(frame, nw.DataFrame):
        name = group if isinstance(group, str) else _entry(frame.columns, group)
        if name not in frame.columns:
            raise ValueError(f"group={shown(group)} is no column of X, which has {shown(frame.columns)}.")
        return series_column(frame[name], name)
    if isinstance(group, str):
        raise ValueError(f"group={shown(group)} is a name, but X is an array and has none: give the index of a column.")
    X = X if issparse(X) else np.asarray(X)
    _entry(range(X.shape[1]), group)
    values = _safe_indexing(X, [group], axis=1)
    return array_column(np.ravel(values.toarray() if issparse(values) else values), f"x{group}")


def _entry(columns: Any, index: int) -> Any:
    if not 0 <= index < len(columns):
        raise ValueError(f"group={index} is no column of X: indices go from 0 to {len(columns) - 1}.")
    return columns[index]


def _groups_of_values(column: Column) -> dict[str, Mask]:
    """Which of the values that there are belong to each group."""
    name, values = column.name, column.values
    different = column.categories or np.unique(values).tolist()
    if len(different) <= MOST_GROUPS:
        groups = {f"{name} = {value}": np.asarray(values == value) for value in different}
        return {title: own for title, own in groups.items() if own.any()}
    if values.dtype.kind not in "iuf":
        raise ValueError(
            f"group has {len(different)} different values, {shown(different[0])} to {shown(different[-1])}: more than "
            f"{MOST_GROUPS} are too many to look at one by one. Merge some of them."
        )
    edges = np.unique(np.quantile(values, QUANTILES)).tolist()
    bins = np.digitize(values, edges, right=True)
    titles = [f"{name} ≤ {edges[0]:.3g}"]
    titles += [f"{low:.3g} < {name} ≤ {high:.3g}" for low, high in pairwise(edges)]
    titles += [f"{name} > {edges[-1]:.3g}"]
    return {title: bins == i for i, title in enumerate(titles) if (bins == i).any()}
