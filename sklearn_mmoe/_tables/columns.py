"""Which columns of a table go where, and a ColumnTransformer that takes tables in all forms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.compose import ColumnTransformer
from sklearn.compose._column_transformer import _VisualBlock
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import check_is_fitted

from sklearn_mmoe._arrays.csr import sound_csr
from sklearn_mmoe._arrays.foreign import detached, unmasked
from sklearn_mmoe._arrays.numbers import array_of_lists, as_floats, refuse_moments, refuse_nested
from sklearn_mmoe._common.words import errors_of, shortened, shown
from sklearn_mmoe._features.column_warnings import warn_of_ids, warn_of_strings
from sklearn_mmoe._features.validation import as_narwhals, column_of, holds_categories

ROWS_LOOKED_AT = 10_000  # enough to tell a column of two values from one of many
LARGEST = 1e150  # that has a square


class TableTransformer(ColumnTransformer):
    """A ColumnTransformer that takes sparse matrices of all formats, and says of which column what is wrong with it."""

    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        with _errors_of_steps():
            X = _as_table(X)
            X = _checked_table(X, date_columns(X))
            _check_numbers(X, numeric_columns(X))
            transformed = super().fit_transform(X, y, **params)
        _warn_of_columns(X, categorical_columns(X))
        return transformed

    def transform(self, X: Any, **params: Any) -> Any:
        check_is_fitted(self)
        with _errors_of_steps():
            X = _as_table(X)
            refuse_nested(X)
            X = _checked_table(X, self._places_of("dates", X))
            try:
                return super().transform(X, **params)
            except (TypeError, ValueError, ArithmeticError):
                for kind in ("numbers", "empty"):
                    _check_numbers(X, self._places_of(kind, X))  # which says more, if it is about numbers
                raise

    def _places_of(self, kind: str, X: Any) -> list[int]:
        """Where the columns of a kind that the fit has found stand in new data."""
        places = self._transformer_to_input_indices.get(kind, [])
        frame = as_narwhals(X)
        if isinstance(frame, nw.DataFrame) and hasattr(self, "feature_names_in_"):
            names = [self.feature_names_in_[place] for place in places]
            return [frame.columns.index(name) for name in names if name in frame.columns]
        return [place for place in places if place < X.shape[1]]

    def _sk_visual_block_(self) -> _VisualBlock:
        """In diagrams: which columns the fit has found for each kind, with what is done to them in a few words."""
        if not hasattr(self, "transformers_"):
            how = {"names": "ColumnTransformer", "name_caption": "each column by its type", "name_details": ""}
            return _VisualBlock("single", self, **how)
        places = self._transformer_to_input_indices
        kinds = {name: own for name, own, _ in self.transformers_ if own != "drop" and places[name]}
        blocks = []
        for name, transformer in kinds.items():
            columns = [self._name_of(place) for place in places[name]]
            title = f"{len(columns):,} column{'s' * (len(columns) > 1)}"
            caption = _in_a_few_words(transformer)
            blocks.append(
                _VisualBlock("single", transformer, names=title, name_caption=caption, name_details="\n".join(columns))
            )
        return _VisualBlock("parallel", blocks, names=list(kinds), name_details=[""] * len(kinds))

    def _name_of(self, place: int) -> str:
        return str(self.feature_names_in_[place]) if hasattr(self, "feature_names_in_") else f"x{place}"


class FrameTransformer(TableTransformer):
    """Of data frames it makes data frames, in which categories can be told from numbers."""

    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        self.set_output(transform=library_of(X) or "default")
        return super().fit_transform(X, y, **params)


def _in_a_few_words(transformer: Any) -> str:
    if isinstance(transformer, Pipeline):
        steps = list(transformer.named_steps)  # the diagram of a search is to fit a cell, too
        return ", ".join(steps) if len(steps) < 3 else f"{steps[0]} … {steps[-1]}"
    if transformer == "passthrough" or (isinstance(transformer, FunctionTransformer) and transformer.func is None):
        return "as they are"
    return type(transformer).__name__ if type(transformer).__module__.startswith("sklearn.") else ""


@contextmanager
def _errors_of_steps() -> Iterator[None]:
    """What steps say of the table names X; what they say of their own parameters stays as it is."""
    try:
        yield
    except InvalidParameterError:
        raise
    except Exception:
        with errors_of("X"):
            raise


def _as_table(X: Any) -> Any:
    """A table with rows and columns."""
    X = unmasked(array_of_lists(detached(X), "X"), "X")
    X = np.array(X, dtype=object) if isinstance(X, list | tuple) else X
    _check_shape(X)
    return X


def _checked_table(X: Any, dates: list[int]) -> Any:
    """Sparse tables as CSR; outside the columns of dates, none must pass for numbers."""
    others = [i for i in range(X.shape[1]) if i not in dates]
    refuse_moments(_safe_indexing(X, others, axis=1) if dates else X, "X")
    return sound_csr(X, "X")


def _check_numbers(X: Any, columns: list[int]) -> None:
    """Refuse what is no number in numeric columns, or so large that it cannot be scaled."""
    if issparse(X) or not columns:
        return
    frame = as_narwhals(X)
    names = [shown(frame.columns[i]) for i in columns] if isinstance(frame, nw.DataFrame) else [*map(str, columns)]
    values = as_floats(_numbers_among(X, columns, isinstance(frame, nw.DataFrame)), "X")
    if values.shape[1] > len(columns):
        values = values[:, columns]
    largest = np.nanmax(np.abs(values), axis=0, initial=0.0)
    for name, value in zip(names, largest.tolist(), strict=True):
        if value > LARGEST:
            what = "infinity" if np.isinf(value) else f"a number, {value:g}, that is too large to be scaled,"
            raise ValueError(f"X contains {what} in column {name}: replace it, or leave its row out.")


def _warn_of_columns(X: Any, categorical: list[int]) -> None:
    """Say what numbers and categories look like other things, by the names that they have here."""
    frame = as_narwhals(X)
    is_frame = isinstance(frame, nw.DataFrame)
    if is_frame:
        warn_of_ids(frame)
        categorical = [i for i in categorical if not isinstance(frame[:, i].dtype, nw.Categorical | nw.Enum)]
    columns = [column_of(X, i) for i in categorical]
    warn_of_strings([(own.name, list(dict.fromkeys(own.values.tolist())), len(own.values)) for own in columns])


def _numbers_among(X: Any, columns: list[int], is_frame: bool) -> Any:
    """The numeric columns of a data frame; of anything else all columns, with zeros in the others' place."""
    if is_frame:
        return _safe_indexing(X, columns, axis=1)
    others = [i for i in range(X.shape[1]) if i not in columns]
    if others:
        X = X.copy()
        X[:, others] = 0
    return X


def _check_shape(X: Any) -> None:
    shape = getattr(X, "shape", ())
    if len(shape) != 2:
        found = f"{len(shape)}D array" if shape else type(X).__name__
        raise ValueError(
            f"Expected 2D array, got {found} instead: X must be a data frame, an array or a sparse matrix with rows "
            "and columns. Of an array, X.reshape(1, -1) makes a row and X.reshape(-1, 1) a column."
        )
    for n, part in zip(shape, ("row", "column"), strict=True):
        if n == 0:
            raise ValueError(f"X has no {part}: it is of shape {tuple(shape)}. One or more are required.")


def library_of(X: Any) -> str | None:
    """The library of a data frame, if it is one that scikit-learn makes data frames of."""
    frame = as_narwhals(X)
    name = frame.implementation.value if isinstance(frame, nw.DataFrame) else None
    return name if name in ("pandas", "polars") else None


# --------------------------------------------------------------------------------------------------------------------
# Which columns go where: called by `ColumnTransformer` in `fit` only


def sparse_columns(X: Any) -> list[int]:
    _check_shape(X)
    return list(range(X.shape[1])) if issparse(X) else []


def categorical_columns(X: Any) -> list[int]:
    if issparse(X):
        return []
    frame = as_narwhals(X)
    if isinstance(frame, nw.DataFrame):
        return [i for i, series in enumerate(frame.iter_columns()) if holds_categories(series)]
    array = check_array(X, dtype=None, ensure_all_finite=False)
    if array.dtype.kind != "O":
        return list(range(array.shape[1])) if array.dtype.kind in "US" else []
    return [i for i, column in enumerate(array.T) if any(isinstance(value, str) for value in column)]


def categorical_columns_of_frames(X: Any) -> list[int]:
    return categorical_columns(X) if library_of(X) else []


def categorical_columns_of_arrays(X: Any) -> list[int]:
    return [] if library_of(X) else categorical_columns(X)


def date_columns(X: Any) -> list[int]:
    """Of data frames that skrub knows."""
    if library_of(X) is None:
        return []
    return [i for i, series in enumerate(as_narwhals(X).iter_columns()) if _is_date(series)]


def numeric_columns(X: Any) -> list[int]:
    if issparse(X):
        return []
    _check_dtypes(X)
    return sorted(set(range(X.shape[1])) - set(categorical_columns(X)) - set(date_columns(X)))


def empty_columns(X: Any) -> list[int]:
    """Of numeric columns those without any number."""
    columns = numeric_columns(X)
    for rows in (slice(0, ROWS_LOOKED_AT), slice(None)):
        columns = _all_missing(X, columns, rows)
    return columns


def filled_columns(X: Any) -> list[int]:
    return sorted(set(numeric_columns(X)) - set(empty_columns(X)))


def many_valued_columns(X: Any) -> list[int]:
    columns = numeric_columns(X)
    if not columns:
        return []
    values = _values(X, columns, np.arange(0, X.shape[0], -(-X.shape[0] // ROWS_LOOKED_AT)))
    return [i for i, column in zip(columns, values.T, strict=True) if _n_values(column) > 2]


def _all_missing(X: Any, columns: list[int], rows: slice) -> list[int]:
    """Which columns have no number in some rows."""
    if not columns:
        return []
    return [i for i, own in zip(columns, _values(X, columns, rows).T, strict=True) if np.isnan(own).all()]


def _values(X: Any, columns: list[int], rows: Any) -> NDArray[np.float64]:
    part = _safe_indexing(_safe_indexing(X, columns, axis=1), rows)
    return np.asarray(check_array(part, dtype=np.float64, ensure_all_finite=False))


def _n_values(column: NDArray[np.float64]) -> int:
    return len(np.unique(column[~np.isnan(column)]))


def _check_dtypes(X: Any) -> None:
    frame = as_narwhals(X)
    if not isinstance(frame, nw.DataFrame):
        return
    unfit = [
        f"{series.name!r} ({series.dtype})"
        for series in frame.iter_columns()
        if not (_is_number(series) or holds_categories(series) or _is_date(series))
    ]
    if unfit:
        raise ValueError(
            f"X has columns that are neither numbers, booleans, categories, strings nor dates: {shortened(unfit)}. "
            "Turn them into such columns first, a period for instance into its year, month and day, or leave them out."
        )


def _is_date(series: nw.Series[Any]) -> bool:
    return isinstance(series.dtype, nw.Datetime | nw.Date)


def _is_number(series: nw.Series[Any]) -> bool:
    """Objects may be numbers with None among them; what is of no type narwhals knows may be a column of nulls."""
    dtype = series.dtype
    if isinstance(dtype, nw.Unknown):
        return bool(series.is_null().all())
    return dtype.is_numeric() or isinstance(dtype, nw.Boolean | nw.Object)
