"""The front door for X with categories: which columns hold them, which there are, rows of numbers beside codes.

scikit-learn's OrdinalEncoder would do but for None and pandas.NA beside NaN, which it takes for categories or refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import validate_data

from sklearn_mmoe._arrays.foreign import detached, unmasked
from sklearn_mmoe._arrays.numbers import STRINGS_ARE_CATEGORIES, as_floats, check_columns_are_finite, check_features
from sklearn_mmoe._arrays.values import side_by_side
from sklearn_mmoe._common.memory import is_large_map
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import errors_of, shortened, shown
from sklearn_mmoe._features.column_warnings import has_been_judged, warn_of_strings
from sklearn_mmoe._features.mapped_rows import MappedRows
from sklearn_mmoe._features.tensors import as_tensor
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe.nn._rows import CodedRows, SparseRows
from sklearn_mmoe.tasks._validation import Column, array_column, series_column

Rows = FloatArray | CodedRows | SparseRows | MappedRows


@dataclass(frozen=True)
class Categories:
    """The categories that a fit has seen, by position of their column."""

    n_columns: int
    known: dict[int, NDArray[Any]]  # sorted; strings as objects

    def by_name(self, names: Sequence[str] | None) -> dict[Any, NDArray[Any]]:
        """Copies of the categories by name of their column, or by its index where there are no names."""
        return {i if names is None else names[i]: own.copy() for i, own in self.known.items()}

    @property
    def numeric(self) -> list[int]:
        return [column for column in range(self.n_columns) if column not in self.known]

    @property
    def sizes(self) -> list[int]:
        return [len(categories) for categories in self.known.values()]


def learn_categories(X: Any, categorical_features: Any, group: Group = ALONE) -> Categories | None:
    """Find the categorical columns of X and their categories, on all ranks; None if there is no such column."""
    own = _own_categories(X, categorical_features)
    group.agree(lambda: {"categorical columns of X": [] if own is None else list(own.known)})
    if own is None or group.size == 1:
        return own
    parts = group.gather(own.known)
    return Categories(
        own.n_columns, {i: _sorted(side_by_side([known[i] for known in parts]), str(i)) for i in own.known}
    )


def _own_categories(X: Any, categorical_features: Any) -> Categories | None:
    is_from_dtype = isinstance(categorical_features, str)
    if categorical_features is None or (is_from_dtype and not isinstance(as_narwhals(X), nw.DataFrame)):
        return None
    X = as_table(X)
    columns = _columns_by_dtype(X) if is_from_dtype else _columns_asked_for(X, categorical_features)
    if not columns:
        return None
    found = {i: column_of(X, i) for i in columns}
    known = {i: _sorted(column.values, column.name) for i, column in found.items()}
    if is_from_dtype:
        frame = as_narwhals(X)
        strings = [i for i in columns if not isinstance(frame[:, i].dtype, nw.Categorical | nw.Enum)]
        new = [i for i in strings if not has_been_judged(found[i].name)]
        warn_of_strings([(found[i].name, known[i].tolist(), len(found[i].values)) for i in new])
    return Categories(X.shape[1], known)


def check_rows(
    estimator: BaseEstimator,
    X: Any,
    categories: Categories | None,
    *,
    dtype: str,
    reset: bool,
    allow_nan: Callable[[int], bool] | None = None,
    name: str = "X",
) -> Rows:
    """Check X as `check_features` does, and code what is categorical.

    Parameters
    ----------
    categories : Categories or None
        What `learn_categories` has found in the X of the fit.
    reset : bool
        Whether `estimator` learns the number and names of features from X, or compares them with what it knows.
    allow_nan : callable, default=None
        Whether of so many numbers some may be missing, unless X is sparse. None: they may not.

    Returns
    -------
    ndarray of shape (n_rows, n_features), CodedRows where there are categories, SparseRows where X is sparse,
    MappedRows where it is a memory map that is too large to be copied
    """
    if categories is None and is_large_map(X) and X.ndim == 2 and X.dtype.kind in "biuf":
        return _mapped_rows(estimator, X, dtype, reset, allow_nan, name)
    if categories is None:
        X = check_features(estimator, X, dtype=dtype, reset=reset, allow_nan=allow_nan, name=name)
        return _sparse_rows(X) if issparse(X) else X
    X = as_table(X)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    codes = np.column_stack([_codes(column_of(X, i), known) for i, known in categories.known.items()])
    numbers = _numbers(X, categories.numeric, dtype, allow_nan, name, type(estimator).__name__)
    return CodedRows(as_tensor(numbers), as_tensor(codes))


# --------------------------------------------------------------------------------------------------------------------
# Tables of any kind


def as_table(X: Any, name: str = "X") -> Any:
    """A data frame as it is; anything else as an array, of objects if numbers and strings are mixed."""
    with errors_of(name):
        return _as_table(X)


def _as_table(X: Any) -> Any:
    frame = as_narwhals(X)
    if isinstance(frame, nw.LazyFrame):
        raise ValueError("X is a lazy data frame: call its collect() first.")
    if isinstance(frame, nw.DataFrame):
        if not len(frame):
            raise ValueError(f"X: Found array with 0 sample(s) (shape={frame.shape}) while a minimum of 1 is required.")
        return X
    if issparse(X):
        raise ValueError(
            "categorical_features needs a dense X, got a sparse one: give a data frame or an array, or one-hot columns "
            "(sklearn.preprocessing.OneHotEncoder) with categorical_features=None."
        )
    X = unmasked(detached(X), "X")
    if isinstance(X, (list, tuple)) and np.asarray(X).dtype.kind in "US":
        X = np.asarray(X, dtype=object)  # NumPy would turn numbers beside strings into strings
    return check_array(X, dtype=None, ensure_all_finite=False)


def _sparse_rows(X: Any) -> SparseRows:
    """The arrays of a CSR matrix as tensors that share their memory."""
    indptr = X.indptr.astype(np.int64, copy=False)
    return SparseRows(as_tensor(indptr), as_tensor(X.indices), as_tensor(X.data), X.shape[1])


def _mapped_rows(
    estimator: BaseEstimator, X: Any, dtype: str, reset: bool, allow_nan: Callable[[int], bool] | None, name: str
) -> MappedRows:
    """What `check_features` does, chunk by chunk."""
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    rows = MappedRows(np.asarray(X), dtype, torch.device("cpu"))
    lowest, highest = np.zeros((2, X.shape[1]), dtype=dtype)
    # Infinity of a column comes through, and NaN where it may not be there
    allowed = allow_nan is not None and allow_nan(X.shape[1])
    least, most = (np.fmin, np.fmax) if allowed else (np.minimum, np.maximum)
    with np.errstate(over="ignore", invalid="ignore"):
        for chunk in rows.chunks():
            lowest, highest = least(lowest, least.reduce(chunk)), most(highest, most.reduce(chunk))
    ends = np.stack([lowest, highest])
    if not np.isfinite(ends).all():
        given = np.stack([X.min(axis=0), X.max(axis=0)])
        check_columns_are_finite(ends, name, None, type(estimator).__name__, given, allow_nan=allowed)
    return rows


def as_narwhals(X: Any) -> Any:
    try:
        return nw.from_native(X, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        raise ValueError(f"X has several columns of one name, which has to be theirs alone: {error}") from error


def column_of(X: Any, i: int) -> Column:
    frame = as_narwhals(X)
    if isinstance(frame, nw.DataFrame):
        column = series_column(frame[:, i], frame.columns[i])
    else:
        column = array_column(X[:, i].astype(object) if X.dtype.kind in "US" else X[:, i], str(i))
    if column.values.dtype.kind == "U":
        return Column(column.name, column.values.astype(object), column.labelled)
    return column


def _numbers(
    X: Any,
    columns: list[int],
    dtype: str,
    allow_nan: Callable[[int], bool] | None,
    name: str,
    estimator_name: str,
) -> FloatArray:
    frame = as_narwhals(X)
    is_frame = isinstance(frame, nw.DataFrame)
    part = _safe_indexing(X, columns, axis=1) if is_frame else X[:, columns]
    if not columns:
        return np.empty((X.shape[0], 0), dtype=dtype)
    numbers = as_floats(part, name, dtype=dtype, strings=STRINGS_ARE_CATEGORIES, order="C")
    with np.errstate(over="ignore", invalid="ignore"):
        total = numbers.sum(dtype=np.float64)
    if not math.isfinite(total):
        labels = [frame.columns[i] if is_frame else i for i in columns]
        allowed = allow_nan is not None and allow_nan(len(columns))
        check_columns_are_finite(numbers, name, labels, estimator_name, part, allow_nan=allowed)
    return numbers


# --------------------------------------------------------------------------------------------------------------------
# Which columns


def _columns_by_dtype(X: Any) -> list[int]:
    return [i for i, series in enumerate(as_narwhals(X).iter_columns()) if holds_categories(series)]


def _columns_asked_for(X: Any, categorical_features: Any) -> list[int]:
    n_features = X.shape[1]
    with errors_of("categorical_features"):
        asked = np.asarray(detached(categorical_features, "categorical_features"))
    if not asked.size:
        return []
    if asked.ndim == 1 and asked.dtype.kind == "b":
        if len(asked) != n_features:
            raise ValueError(
                f"categorical_features is a mask of {len(asked)} values, but X has {n_features} features: give one per "
                "feature."
            )
        return np.flatnonzero(asked).tolist()
    if asked.ndim == 1 and asked.dtype.kind in "iu":
        if outside := sorted({int(i) for i in asked if not 0 <= i < n_features}):
            raise ValueError(
                f"categorical_features holds {outside}, but X has {n_features} features: indices go from 0 to "
                f"{n_features - 1}."
            )
        return sorted(set(asked.tolist()))
    if asked.ndim == 1 and all(isinstance(name, str) for name in asked.tolist()):
        frame = as_narwhals(X)
        return _named_columns(frame.columns if isinstance(frame, nw.DataFrame) else None, asked.tolist())
    raise InvalidParameterError(
        "The 'categorical_features' parameter must be 'from_dtype', None, or a list of names, of indices or a mask of "
        f"booleans, got {shown(categorical_features)} instead."
    )


def _named_columns(columns: Sequence[str] | None, names: list[str]) -> list[int]:
    if columns is None:
        raise ValueError(
            f"categorical_features names {shortened([repr(name) for name in names])}, but X is an array and has no "
            "names: give the indices of the columns or a mask, or X as a data frame."
        )
    if unknown := [name for name in names if name not in columns]:
        raise ValueError(
            f"categorical_features names {unknown}, which X does not have; its columns are "
            f"{shortened([repr(column) for column in columns])}."
        )
    return sorted({list(columns).index(name) for name in names})


def holds_categories(series: nw.Series[Any]) -> bool:
    """Categoricals and strings; columns of objects if a string is among them, as objects may be numbers, too."""
    dtype = series.dtype
    if isinstance(dtype, nw.Object):
        return any(isinstance(value, str) for value in series.to_numpy())
    return isinstance(dtype, nw.Categorical | nw.Enum | nw.String)


# --------------------------------------------------------------------------------------------------------------------
# Categories and codes


def _sorted(values: NDArray[Any], name: Hashable) -> NDArray[Any]:
    """The categories of a column, sorted."""
    if values.dtype != object:
        return np.unique(values)
    try:
        categories = sorted(set(values.tolist()))
    except TypeError as error:
        kinds = sorted({type(value).__name__ for value in values})
        raise ValueError(
            f"The categories of column {name!r} of X are of types that do not go together, {kinds} ({error}): "
            "make them all strings, or all numbers."
        ) from error
    learned = np.empty(len(categories), dtype=object)
    learned[:] = categories
    return learned


def _codes(column: Column, known: NDArray[Any]) -> NDArray[np.int64]:
    """1, 2 ... for the known categories, 0 for all else."""
    values = column.values
    if _compare_exactly(values.dtype, known.dtype):
        places = np.minimum(np.searchsorted(known, values), max(len(known) - 1, 0))
        found = np.where(known[places] == values, places + 1, 0) if len(known) else 0
    else:
        code_of = {category: code for code, category in enumerate(known.tolist(), start=1)}
        found = np.fromiter((code_of.get(value, 0) for value in values.tolist()), dtype=np.int64, count=len(values))
    codes = np.zeros(len(column.labelled), dtype=np.int64)
    codes[column.labelled] = found
    return codes


def _compare_exactly(values: np.dtype[Any], known: np.dtype[Any]) -> bool:
    """Whether NumPy compares these types without rounding: signed beside unsigned integers would become floats."""
    if values.kind not in "biuf" or known.kind not in "biuf":
        return values == known and values.kind in "mM"
    return np.result_type(values, known).kind != "f" or "f" in (values.kind, known.kind)
