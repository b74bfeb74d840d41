"""An estimator behind the preprocessing that a table of mixed columns needs: parts of scikit-learn, put together."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils import _safe_indexing, check_array

from sklearn_mmoe._base import BaseMMoE
from sklearn_mmoe._features import as_narwhals, column_of, holds_categories
from sklearn_mmoe._responses import last_step
from sklearn_mmoe._splines import QuantileSplines
from sklearn_mmoe._validation import shortened

LARGEST_SCALED = 10  # in standard deviations of the bulk; 5 cuts off what heavy tails tell
ROWS_LOOKED_AT = 10_000  # enough to tell a column of two values from one of many


def make_tabular_pipeline(estimator: BaseEstimator) -> Pipeline:
    """Put an estimator behind the preprocessing that a table of mixed columns needs.

    Nothing about the columns needs to be known: `fit` reads their types from `X`, a pandas or polars data frame, an
    array or a sparse matrix.

    - Numbers and booleans: missing ones become the median, with a column that says so; centred and scaled by the
      quartiles (by the standard deviation where the quartiles coincide), then clipped at -10 and 10.
    - Numbers of three or more values also as linear splines with 8 knots, so that each part of their range has weights
      of its own: knots stand at values that abound and at the quantiles of all others.
    - Categories and strings of a data frame, in front of an estimator of this package: as they are, for its embeddings.
    - All other categories and strings: a column of zeros and ones for each that occurs 5 times or more (the 99 most
      frequent of them), and one for all others, which unknown ones join; missing is a category as any other.
    - A sparse `X`: each column divided by its largest absolute value.

    Parameters
    ----------
    estimator : estimator object
        A regressor, a classifier or :class:`MMoEMultiTask`; any estimator of scikit-learn's kind. It is not copied.

    Returns
    -------
    sklearn.pipeline.Pipeline
        With the steps "columns" (a :class:`sklearn.compose.ColumnTransformer` of "sparse", "numbers", "splines",
        "categories" and "embedded") and "estimator". Between them the data is a data frame where `X` is one and
        categories are to be embedded. Searches name parameters as in ``columns__splines__n_knots``,
        ``columns__categories__encode__min_frequency`` and ``estimator__learning_rate``, and ``fit`` takes
        ``estimator__sample_weight``.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mmoe import MMoERegressor, make_tabular_pipeline
    >>> X = pd.DataFrame({"age": [31, None, 52, 47] * 25, "town": ["Ulm", "Kiel", None, "Ulm"] * 25})
    >>> y = pd.DataFrame({"rent": [900, 700, 500, 950] * 25, "rooms": [3, 2, 1, 3] * 25})
    >>> model = make_tabular_pipeline(MMoERegressor(random_state=0)).fit(X, y)
    >>> model.predict(pd.DataFrame({"age": [40], "town": ["Bonn"]})).shape
    (1, 2)
    """
    numbers = Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)),
            # RobustScaler leaves the scale alone where the quartiles coincide: let it be the standard deviation there
            ("standardise", StandardScaler()),
            ("scale", RobustScaler(unit_variance=True)),
            ("clip", _function(clipped, a_min=-LARGEST_SCALED, a_max=LARGEST_SCALED)),
        ]
    )
    categories = Pipeline(
        [
            ("missing", _function(missing_as_none)),
            (
                "encode",
                OneHotEncoder(
                    handle_unknown="infrequent_if_exist",
                    min_frequency=5,
                    max_categories=100,  # a column of ids must not fill the memory
                    sparse_output=False,
                    dtype=np.float32,
                ),
            ),
        ]
    )
    embeds = _embeds_categories(estimator)
    columns = (_FrameTransformer if embeds else ColumnTransformer)(
        [
            ("sparse", MaxAbsScaler(), _sparse_columns),
            ("numbers", numbers, _numeric_columns),
            ("splines", QuantileSplines(), _many_valued_columns),
            ("categories", categories, _categorical_columns_of_arrays if embeds else _categorical_columns),
            ("embedded", "passthrough", _categorical_columns_of_frames if embeds else []),
        ],
        sparse_threshold=1,  # what is sparse stays so; nothing else makes it sparse
    )
    return Pipeline([("columns", columns), ("estimator", estimator)])


def _embeds_categories(estimator: BaseEstimator) -> bool:
    last = last_step(estimator)
    return isinstance(last, BaseMMoE) and isinstance(last.categorical_features, str)


class _FrameTransformer(ColumnTransformer):
    """A ColumnTransformer that makes data frames of data frames, in which categories can be told from numbers."""

    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        _check_table(X)
        self.set_output(transform=_library(X) or "default")
        return super().fit_transform(X, y, **params)

    def transform(self, X: Any, **params: Any) -> Any:
        _check_table(X)
        return super().transform(X, **params)


def _check_table(X: Any) -> None:
    shape = np.asarray(X, dtype=object).shape if isinstance(X, list | tuple) else getattr(X, "shape", ())
    if len(shape) != 2:
        found = f"{len(shape)}D array" if shape else type(X).__name__
        raise ValueError(
            f"Expected 2D array, got {found} instead: X must be a data frame, an array or a sparse matrix with rows "
            "and columns. Of an array, X.reshape(1, -1) makes a row and X.reshape(-1, 1) a column."
        )
    for n, part in zip(shape, ("row", "column"), strict=True):
        if n == 0:
            raise ValueError(f"X has no {part}: it is of shape {tuple(shape)}. One or more are required.")


def _library(X: Any) -> str | None:
    """The library of a data frame, if it is one that scikit-learn makes data frames of."""
    frame = as_narwhals(X)
    name = frame.implementation.value if isinstance(frame, nw.DataFrame) else None
    return name if name in ("pandas", "polars") else None


def _function(func: Any, **kwargs: Any) -> FunctionTransformer:
    return FunctionTransformer(func, kw_args=kwargs or None, feature_names_out=names_of_fit)


def names_of_fit(transformer: FunctionTransformer, names: NDArray[Any] | None) -> NDArray[Any]:
    """The names that columns come in with are those that they go out with, "one-to-one" as scikit-learn calls it.

    But a branch without columns is never fitted, and knows none: scikit-learn would answer with an array of no length,
    which its diagram of a fitted pipeline stumbles over.
    """
    if names is None:
        raise NotFittedError(f"This {type(transformer).__name__} is not fitted: it knows no names of columns.")
    return names


def clipped(X: Any, a_min: float, a_max: float) -> Any:
    """NumPy's clip, by a name of this package: skops asks for trust in each function."""
    return np.clip(X, a_min, a_max)


def missing_as_none(X: Any) -> NDArray[Any]:
    """Categories as objects, with None for NaN, null and pandas.NA, which OneHotEncoder would tell apart or refuse."""
    objects = np.full(X.shape, None, dtype=object)
    for i in range(X.shape[1]):
        column = column_of(X, i)
        objects[column.labelled, i] = column.values
    return objects


# --------------------------------------------------------------------------------------------------------------------
# Which columns go where: called by `ColumnTransformer` in `fit` only


def _sparse_columns(X: Any) -> list[int]:
    _check_table(X)
    return list(range(X.shape[1])) if issparse(X) else []


def _categorical_columns(X: Any) -> list[int]:
    if issparse(X):
        return []
    frame = as_narwhals(X)
    if isinstance(frame, nw.DataFrame):
        return [i for i, series in enumerate(frame.iter_columns()) if holds_categories(series)]
    array = check_array(X, dtype=None, ensure_all_finite=False)
    if array.dtype.kind != "O":
        return list(range(array.shape[1])) if array.dtype.kind in "US" else []
    return [i for i, column in enumerate(array.T) if any(isinstance(value, str) for value in column)]


def _categorical_columns_of_frames(X: Any) -> list[int]:
    return _categorical_columns(X) if _library(X) else []


def _categorical_columns_of_arrays(X: Any) -> list[int]:
    return [] if _library(X) else _categorical_columns(X)


def _numeric_columns(X: Any) -> list[int]:
    if issparse(X):
        return []
    _check_dtypes(X)
    return sorted(set(range(X.shape[1])) - set(_categorical_columns(X)))


def _many_valued_columns(X: Any) -> list[int]:
    columns = _numeric_columns(X)
    if not columns:
        return []
    some = _safe_indexing(X, np.arange(0, X.shape[0], -(-X.shape[0] // ROWS_LOOKED_AT)))
    values = check_array(_safe_indexing(some, columns, axis=1), dtype=np.float64, ensure_all_finite=False)
    return [i for i, column in zip(columns, values.T, strict=True) if _n_values(column) > 2]


def _n_values(column: NDArray[np.float64]) -> int:
    return len(np.unique(column[~np.isnan(column)]))


def _check_dtypes(X: Any) -> None:
    frame = as_narwhals(X)
    if not isinstance(frame, nw.DataFrame):
        return
    unfit = [
        f"{series.name!r} ({series.dtype})"
        for series in frame.iter_columns()
        if not (_is_number(series) or holds_categories(series))
    ]
    if unfit:
        raise ValueError(
            f"X has columns that are neither numbers, booleans, categories nor strings: {shortened(unfit)}. Turn them "
            "into such columns first, a date for instance into its year, month and weekday, or leave them out."
        )


def _is_number(series: nw.Series[Any]) -> bool:
    """Objects may be numbers with None among them; what is of no type narwhals knows may be a column of nulls."""
    dtype = series.dtype
    if isinstance(dtype, nw.Unknown):
        return bool(series.is_null().all())
    return dtype.is_numeric() or isinstance(dtype, nw.Boolean | nw.Object)
