"""The front door for y: targets as users have them -> checked NumPy arrays, and which labels there are."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from sklearn_mmoe._arrays.foreign import detached, mask_taken_off, way_to_dense
from sklearn_mmoe._common.names import refuse_equal_names
from sklearn_mmoe._common.words import errors_of

SEVERAL_LABELS = (
    "Several labels of one row become columns of 0 and 1, a task each, by scikit-learn's MultiLabelBinarizer."
)


@dataclass(frozen=True)
class Column:
    """One column of y: the labels that are there, and where."""

    name: Hashable  # as the data frame has it: mostly a string, but it may be a number, or a tuple of several levels
    values: NDArray[Any]  # (n_labelled,), of the type that the labels came with
    labelled: NDArray[np.bool_]  # (n_rows,)
    dtype: Any = None  # the data frame's own dtype of this column, to give predictions back in
    is_categorical: bool = False
    categories: tuple[Any, ...] | None = None  # from low to high, where the data frame's dtype says so


@dataclass(frozen=True)
class Targets:
    """All columns of y."""

    columns: tuple[Column, ...]
    is_1d: bool
    frame: str | None = None  # "pandas", "polars" ... when y was a data frame or a series

    @property
    def n_rows(self) -> int:
        return len(self.columns[0].labelled)

    @property
    def names(self) -> list[Hashable]:
        return [column.name for column in self.columns]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Of shape (n_rows, n_tasks)."""
        return np.column_stack([column.labelled for column in self.columns])


def shape_of(X: Any, name: str = "X") -> tuple[int, ...]:
    """The shape of features as users have them, whatever the rows are made of."""
    if isinstance(X, list | tuple):
        try:
            return np.shape(X)
        except ValueError:  # rows of different lengths
            return (len(X),)
    with errors_of(name):  # a nested tensor has none
        shape = getattr(X, "shape", None)
    if not isinstance(shape, tuple) or not shape:
        raise ValueError(
            f"{name} must be a data frame, an array or a sparse matrix of shape (n_rows, n_features); got "
            f"{'None' if X is None else f'a {type(X).__name__}'}."
        )
    return shape


# --------------------------------------------------------------------------------------------------------------------
# y


def check_targets(
    y: Any,
    X_shape: tuple[int, ...] | None,
    *,
    estimator_name: str,
    name: str = "y",
    task_names: Sequence[Hashable] | None = None,
    require_labels: bool = True,
) -> Targets:
    """Take y apart into columns of labels that are there.

    Missing is NaN, None, a data frame's null or a masked cell, and allowed in a 2-D y only.

    Parameters
    ----------
    y : array-like, data frame or series of shape (n_rows,) or (n_rows, n_tasks)
    X_shape : tuple of int or None
        Shape of the features that belong to y; None: there are none.
    task_names : sequence of hashable
        Names of the columns of a y that brings none.
    require_labels : bool
        Whether a column without any label is an error.
    """
    if y is None:
        raise ValueError(f"{estimator_name} requires {name} to be passed, but the target {name} is None.")
    if way := way_to_dense(y):
        raise TypeError(
            f"{name} is sparse, and what it does not store might be a 0 or a missing label. Give {name}.{way}, where "
            "all of that is 0, and put NaN where a label is missing."
        )
    y, hidden = mask_taken_off(detached(y, name))
    native = _as_narwhals(y, name)
    if isinstance(native, nw.LazyFrame):
        raise ValueError(f"{name} is a lazy data frame: call its collect() first.")
    if isinstance(native, nw.DataFrame | nw.Series):
        shape: tuple[int, ...] = native.shape
        named = _named_series(native, name)
        columns = tuple(series_column(series, own) for own, series in named)
        targets = Targets(columns, isinstance(native, nw.Series), native.implementation.value)
    else:
        array = target_array(y, name)
        shape = array.shape
        values = _columns(array)
        masks = [None] * len(values) if hidden is None else _columns(hidden)
        if task_names is None or len(task_names) != len(values):
            task_names = [f"y{i}" for i in range(len(values))]
        refuse_equal_names(task_names, "tasks")
        columns = tuple(array_column(*own) for own in zip(values, task_names, masks, strict=True))
        targets = Targets(columns, is_1d=array.ndim == 1)
    X_shape = shape if X_shape is None else X_shape
    if len(shape) > 2:
        raise ValueError(
            f"{name} must be of shape (n_rows,) or (n_rows, n_tasks); got X of shape {tuple(X_shape)} and {name} of "
            f"shape {tuple(shape)}."
        )
    if 0 in shape[1:]:
        raise ValueError(f"{name} has no column: it is of shape {tuple(shape)}.")
    if shape[0] != X_shape[0]:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {name.replace('y', 'X')} of shape "
            f"{tuple(X_shape)}, {name} of shape {tuple(shape)}."
        )
    _check_columns(targets, name, require_labels)
    return targets


def _as_narwhals(y: Any, name: str) -> Any:
    try:
        return nw.from_native(y, pass_through=True, allow_series=True)
    except nw.exceptions.DuplicateError:
        refuse_equal_names(list(y.columns if hasattr(y, "iloc") else y.column_names), f"The columns of {name}")
        raise


def _named_series(native: nw.DataFrame[Any] | nw.Series[Any], name: str) -> list[tuple[Hashable, nw.Series[Any]]]:
    """The columns of a data frame by their names; a series without a name is called as the column of an array is."""
    if isinstance(native, nw.Series):
        return [("y0" if native.name in (None, "") else native.name, native)]
    refuse_equal_names(native.columns, f"The columns of {name}")
    return list(zip(native.columns, native.iter_columns(), strict=True))


def target_array(y: Any, name: str) -> NDArray[Any]:
    rows = y if isinstance(y, list | tuple) else []
    lengths = {len(row) if isinstance(row, list | tuple) else 1 for row in rows}
    if len(lengths) > 1:
        raise ValueError(
            f"The rows of {name} are of different lengths, from {min(lengths)} to {max(lengths)}: each needs a value "
            f"for every task, None where it is missing. {SEVERAL_LABELS}"
        )
    with errors_of(name):
        array = check_array(
            y,
            dtype=None,
            ensure_2d=False,
            allow_nd=True,
            ensure_all_finite=False,
            ensure_min_features=0,
            input_name=name,
        )
    if isinstance(y, (list, tuple)) and array.dtype.kind in "USf":
        objects = np.asarray(y, dtype=object)
        # NumPy would turn numbers beside strings into strings, and large integers beside others into floats
        if array.dtype.kind in "US" or objects.tolist() != array.tolist():
            array = objects
    if array.dtype.kind not in "biufmMOUS":
        raise ValueError(
            f"Unknown label type: {name} is of dtype {array.dtype}; numbers, booleans, strings and dates are allowed."
        )
    return array


def _columns(array: NDArray[Any]) -> Sequence[NDArray[Any]]:
    return list(array.reshape(len(array), -1).T) if array.ndim < 3 else []


def array_column(column: NDArray[Any], name: Hashable, hidden: NDArray[np.bool_] | None = None) -> Column:
    """A column of an array, of which cells may be `hidden` by a mask."""
    labelled = ~is_missing(column) if hidden is None else ~(is_missing(column) | hidden)
    values = column if labelled.all() else column[labelled]
    return Column(name, typed(values), labelled)


def typed(values: NDArray[Any]) -> NDArray[Any]:
    """Numbers that came as objects, because None stood among them, get their own type back."""
    if values.dtype != object or any(isinstance(value, str) for value in values):
        return values
    items = values.tolist()
    try:
        typed = np.array(items)
    except ValueError:  # lists of different lengths among them
        return values
    if typed.dtype.kind == "f" and all(isinstance(item, Integral) for item in items):
        typed = _large_integers(items)  # of which NumPy makes floats
    return typed if typed.ndim == 1 and typed.dtype.kind in "biufmM" else values


def _large_integers(items: list[Any]) -> NDArray[Any]:
    """Integers, some of them beyond those of int64."""
    try:
        return np.array(items, dtype=np.uint64)
    except OverflowError:
        return np.array(items, dtype=object)


def is_missing(column: NDArray[Any]) -> NDArray[np.bool_]:
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind in "mM":
        return np.isnat(column)
    if column.dtype == object:
        # NaN and NaT differ from themselves; pandas.NA gives no bool at all
        return np.array([v is None or _is_na(v) for v in column], dtype=bool)
    return np.zeros(len(column), dtype=bool)


def _is_na(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_nan()
    return type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, (float, np.floating)) and value != value)


def series_column(series: nw.Series[Any], name: Hashable) -> Column:
    if isinstance(series.dtype, nw.List | nw.Array | nw.Struct):
        raise ValueError(
            f"Task or column {name!r} holds a {series.dtype} in each row: one value is needed. {SEVERAL_LABELS}"
        )
    missing = series.is_null()
    if series.dtype.is_float():
        missing = missing | series.is_nan().fill_null(True)
    labelled = ~missing.to_numpy().astype(bool)
    values = _values(series.filter(~missing), name)
    column = array_column(values, name)
    if len(column.values) != len(values):  # NaN among objects: a null that the data frame does not count as one
        labelled[np.flatnonzero(labelled)[~column.labelled]] = False
    is_categorical = isinstance(series.dtype, nw.Categorical | nw.Enum)
    # narwhals calls an ordered pandas categorical an Enum, too
    categories = tuple(series.dtype.categories) if isinstance(series.dtype, nw.Enum) else None
    return Column(
        name, column.values, labelled, getattr(nw.to_native(series), "dtype", None), is_categorical, categories
    )


def _values(series: nw.Series[Any], name: Hashable) -> NDArray[Any]:
    """The values of a series, as objects where NumPy has no such type: moments in a time zone, integers of 128 bits."""
    dtype = series.dtype
    in_zone = isinstance(dtype, nw.Datetime) and dtype.time_zone is not None
    if not in_zone and not isinstance(dtype, nw.Int128 | nw.UInt128):
        return series.to_numpy()
    # Moments of pandas have nanoseconds, those of Python, which other libraries give, have microseconds
    is_fine = isinstance(dtype, nw.Datetime) and dtype.time_unit == "ns" and not series.implementation.is_pandas_like()
    if is_fine and (series.dt.nanosecond() % 1000 != 0).any():
        raise ValueError(
            f"Column {name!r} holds moments in a time zone that differ by nanoseconds: convert it to microseconds, or "
            "take the time zone off."
        )
    values = np.empty(len(series), dtype=object)
    values[:] = series.to_list()
    return values


def _check_columns(targets: Targets, name: str, require_labels: bool) -> None:
    for column in targets.columns:
        if targets.is_1d and not column.labelled.all():
            raise ValueError(
                f"Input {name} contains NaN. A single target must be complete: drop the rows without a label. "
                f"(Missing labels are allowed where {name} has several columns.)"
            )
        if require_labels and not len(column.values):
            raise ValueError(f"Task {column.name!r} has no label at all: every row of its column of {name} is missing.")
        if column.values.dtype.kind == "f" and not np.isfinite(column.values).all():
            raise ValueError(f"Input {name} contains infinity in column {column.name!r}.")
