"""The front door for numbers, of X above all: what is none, or would become one in silence, is refused by its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, time, timedelta
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import _get_feature_names, validate_data

from sklearn_mmoe._arrays.csr import sound_csr
from sklearn_mmoe._arrays.foreign import detached, unmasked
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import errors_of, shortened, shown

_MOMENTS = (date, time, timedelta, np.datetime64, np.timedelta64)
STRINGS_ARE_CATEGORIES = (
    "Strings are categories: name their columns (of an array: their indices) in categorical_features, give a data "
    "frame with categorical_features='from_dtype', or encode them first."
)


def check_features(
    estimator: BaseEstimator,
    X: Any,
    *,
    dtype: str,
    reset: bool,
    allow_nan: Callable[[int], bool] | None = None,
    name: str = "X",
) -> Any:
    """Check X with scikit-learn's own rules, then look for NaN and inf so that the message can name the columns.

    Parameters
    ----------
    reset : bool
        Whether `estimator` learns the number and names of features from X, or compares them with what it knows.
    allow_nan : callable, default=None
        Whether NaN may stand among so many features, unless X is sparse; asked where there is one. None: it may not.

    Returns
    -------
    ndarray of shape (n_rows, n_features), C-contiguous, or a CSR matrix or array where X is sparse, of type `dtype`
    """
    given = X = array_of_lists(detached(X, name), name)
    with np.errstate(over="ignore", invalid="ignore"):  # a number too large for float32 is found as an infinity below
        if not reset and _is_plain(X, estimator):
            X = np.ascontiguousarray(X, dtype=dtype)
        else:
            given = X = unmasked(X, name)
            refuse_moments(X, name)
            X = sound_csr(X, name)
            with told_where(X, name, strings=STRINGS_ARE_CATEGORIES):
                X = validate_data(
                    estimator,
                    X,
                    reset=reset,
                    accept_sparse="csr",
                    dtype=np.dtype(dtype),
                    order="C",
                    ensure_all_finite=False,
                )
        values = X.data if issparse(X) else X
        total = values.sum(dtype=np.float64)  # one cheap pass; NaN and inf survive a sum
    if not math.isfinite(total):
        allowed = allow_nan is not None and not issparse(X) and allow_nan(X.shape[1])
        check_columns_are_finite(X, name, _get_feature_names(given), type(estimator).__name__, given, allow_nan=allowed)
    return X


def array_of_lists(X: Any, name: str) -> Any:
    """Lists as the array that they are; those with words as they are, since numbers among these would be words, too."""
    if not isinstance(X, list | tuple):
        return X
    X = unmasked(X, name)
    try:
        array = np.asarray(X)
    except (TypeError, ValueError, RuntimeError):  # which scikit-learn tells
        return X
    return X if array.dtype.kind in "US" else array


def _is_plain(X: Any, estimator: BaseEstimator) -> bool:
    """Whether `validate_data` would do no more than convert X; it takes a quarter of the time that one row takes."""
    return (
        type(X) is np.ndarray
        and X.dtype.kind == "f"
        and X.ndim == 2
        and len(X) > 0
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
    )


def as_floats(data: Any, name: str, *, dtype: str = "float64", strings: str = "", **options: Any) -> FloatArray:
    """Numbers in any form as an array of floats, NaN and infinity among them, as scikit-learn's `check_array` does."""
    data = unmasked(detached(data, name), name)
    refuse_moments(data, name)
    with told_where(data, name, strings), np.errstate(over="ignore", invalid="ignore"):
        found: FloatArray = check_array(
            data, dtype=np.dtype(dtype), ensure_all_finite=False, input_name=name, **options
        )
    return found


# --------------------------------------------------------------------------------------------------------------------
# NaN and infinity


def check_columns_are_finite(
    X: Any, name: str, names: Sequence[Any] | None, estimator_name: str, given: Any = None, *, allow_nan: bool = False
) -> None:
    """Refuse NaN and infinity, also that which a number has become as it was too large for the type of X.

    Parameters
    ----------
    names : sequence or None
        Names of the columns, if they have any.
    given : array-like, default=None
        What X was made of, in which such a number still is what it was.
    allow_nan : bool, default=False
        Whether only infinity is refused.
    """
    values = X.data if issparse(X) else X
    missing = np.isnan(values)
    finite = np.isfinite(values)
    if allow_nan:
        finite, missing = finite | missing, np.zeros_like(missing)
    if finite.all():  # finite values whose sum overflows
        return
    wrong = missing if missing.any() else ~finite
    bad = np.unique(X.indices[wrong]) if issparse(X) else np.flatnonzero(wrong.any(axis=0))
    columns = [shown(names[i]) if names is not None else str(i) for i in bad.tolist()]
    kind = "NaN" if missing.any() else _too_large(given, int(np.flatnonzero(wrong)[0]), X.dtype)
    advice = (
        f"Rescale {'them' if len(bad) > 1 else 'it'}, leave these rows out, or set dtype='float64'."
        if kind.startswith("a number")
        else "Drop these rows, or clip the values."
        if kind.startswith("infinity")
        else f"{estimator_name} does not accept missing values encoded as NaN in its features as it is: where X is "
        "dense, numeric_embeddings='auto' takes missing numbers, which None does not, nor a callable whose module "
        "makes no finite numbers of NaN. Or drop these rows, put a sklearn.impute.SimpleImputer (or another imputer) "
        "before it in a Pipeline, or make the pipeline anew: make_tabular_pipeline imputes for an estimator that takes "
        "no NaN."
    )
    raise ValueError(
        f"Input {name} contains {kind} in column{'s' if len(bad) > 1 else ''} {shortened(columns)}. {advice}"
    )


def _too_large(given: Any, place: int, dtype: np.dtype[Any]) -> str:
    """What an infinity was before it was one, in words."""
    if given is None:
        return f"infinity or a value too large for dtype({dtype.name!r})"
    whole = check_array(given, accept_sparse="csr", dtype=np.float64, order="C", ensure_all_finite=False)
    value = (whole.data if issparse(whole) else whole.ravel())[place]
    return f"a number, {value:g}, that is too large for dtype({dtype.name!r})" if np.isfinite(value) else "infinity"


# --------------------------------------------------------------------------------------------------------------------
# Dates, and what is no number at all


def refuse_moments(data: Any, name: str) -> None:
    """Refuse dates, times and durations: they would become counts of nanoseconds, or of days, without a word."""
    if _may_hold_moments(data) and (columns := _columns_of_moments(data)):
        raise ValueError(_of_moments(name, f"column{'s' if len(columns) > 1 else ''} {shortened(columns)}"))


def _of_moments(name: str, place: str) -> str:
    return (
        f"{name} holds dates, times or durations in {place}, which are no numbers. Turn them into numbers first, such "
        "as year, month and weekday, or the days since one day, or leave them out."
    )


def _may_hold_moments(data: Any) -> bool:
    """A quick look at types, as narwhals takes long to look at those of many columns."""
    if isinstance(data, np.ndarray) or issparse(data):
        return data.dtype.kind in "mMO"
    if nw.dependencies.is_pandas_dataframe(data):
        return any(dtype.kind in "mMO" for dtype in data.dtypes)
    if nw.dependencies.is_polars_dataframe(data):
        kinds: set[Any] = set(map(type, data.dtypes))
        return any(kind.is_temporal() for kind in kinds)
    return True


def _columns_of_moments(data: Any) -> list[str]:
    """Which columns hold moments, in words."""
    if isinstance(data, np.ndarray):
        return _of_array(data)
    table = nw.from_native(data, pass_through=True, allow_series=True)
    if isinstance(table, nw.Series):
        return [f"{shown(table.name)} ({table.dtype})"] if _is_of_moments(table) else []
    if isinstance(table, nw.DataFrame):
        return [f"{shown(own.name)} ({own.dtype})" for own in table.iter_columns() if _is_of_moments(own)]
    return _of_array(data)


def _is_of_moments(series: nw.Series[Any]) -> bool:
    dtype = series.dtype
    return dtype.is_temporal() or (isinstance(dtype, nw.Object) and _hold_moments(series.to_numpy()))


def _of_array(data: Any) -> list[str]:
    try:
        array = np.asarray(data)
    except (TypeError, ValueError, RuntimeError):  # which is told when it is to be made numbers of
        return []
    if array.dtype.kind not in "mM" and not (array.dtype.kind == "O" and _hold_moments(array)):
        return []
    columns = array.T if array.ndim == 2 else [array]
    return [
        f"{i} ({array.dtype})" for i, column in enumerate(columns) if array.dtype.kind != "O" or _hold_moments(column)
    ]


def _hold_moments(objects: NDArray[Any]) -> bool:
    return any(issubclass(kind, _MOMENTS) for kind in set(map(type, objects.ravel().tolist())))


def refuse_nested(data: Any) -> None:
    """Refuse lists and structs of polars: NumPy before 2.4 may take those of one number for that number."""
    if not nw.dependencies.is_polars_dataframe(data):
        return
    kinds: set[Any] = set(map(type, data.dtypes))
    if any(kind.is_nested() for kind in kinds):
        raise TypeError(f"Numbers are needed, got columns of {shortened(list(map(str, set(data.dtypes))))}.")


@contextmanager
def told_where(data: Any, name: str, strings: str = "") -> Iterator[None]:
    """Let the error of a conversion to floats say which cell is no number.

    Parameters
    ----------
    strings : str
        What is to be done about strings.
    """
    with errors_of(name):
        try:
            refuse_nested(data)
            yield
        except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            found = None if str(error).startswith("Complex data") else _first_that_is_no_number(data)
            if found is None:
                raise
            kind, text = _in_words(*found, name, strings)
            raise kind(text) from error


def _first_that_is_no_number(data: Any) -> tuple[Any, str] | None:
    """A cell that no float can be made of, and its place."""
    for column, cells in _columns(data):
        for row, cell in enumerate(cells):
            if cell is None or type(cell).__name__ == "NAType":
                continue
            try:
                float(cell)
            except (TypeError, ValueError, ArithmeticError):
                return cell, f"row {row}{column}"
    return None


def _columns(data: Any) -> Iterator[tuple[str, Any]]:
    """The cells of each column of a table, or of what is one column itself, and in words which it is."""
    table = nw.from_native(data, pass_through=True, allow_series=True)
    if isinstance(table, nw.DataFrame):
        for series in table.iter_columns():
            yield f", column {shown(series.name)}", series.to_list()
    elif isinstance(table, nw.Series):
        yield "", table.to_list()
    elif not issparse(data):
        try:
            array = np.array(data, dtype=object)
        except (TypeError, ValueError, RuntimeError):
            return
        if array.ndim == 1:
            yield "", array
        elif array.ndim == 2:
            yield from ((f", column {i}", column) for i, column in enumerate(array.T))


def _in_words(cell: Any, place: str, name: str, strings: str) -> tuple[type[TypeError | ValueError], str]:
    """What is wrong with a cell, and the kind of error that it is."""
    if isinstance(cell, _MOMENTS):
        return ValueError, _of_moments(name, f"{place}: {shown(cell)}")
    if isinstance(cell, str | bytes):
        return ValueError, f"could not convert string to float: {shown(cell)} in {place} of {name}. {strings}".strip()
    try:
        float(cell)
    except (OverflowError, ValueError) as error:
        return ValueError, f"{name} holds {shown(cell)} in {place}, which is no number that floats can hold ({error})."
    except (TypeError, ArithmeticError) as error:
        return TypeError, f"{name} holds {shown(cell)} in {place}, which is no number: {error}."
    raise AssertionError(cell)
