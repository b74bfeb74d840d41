"""An estimator behind the preprocessing that a table of mixed columns needs: parts of scikit-learn, put together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
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

from sklearn_mmoe._common.words import shown
from sklearn_mmoe._estimators.base import BaseMMoE
from sklearn_mmoe._estimators.parameters import will_take_nan
from sklearn_mmoe._features.column_warnings import EMBEDDED
from sklearn_mmoe._features.validation import column_of
from sklearn_mmoe._tables.columns import (
    FrameTransformer,
    TableTransformer,
    categorical_columns,
    categorical_columns_of_arrays,
    categorical_columns_of_frames,
    date_columns,
    empty_columns,
    filled_columns,
    many_valued_columns,
    numeric_columns,
    sparse_columns,
)
from sklearn_mmoe._tables.dates import DateEncoder
from sklearn_mmoe._tables.pipeline import TabularPipeline
from sklearn_mmoe._tables.splines import QuantileSplines
from sklearn_mmoe.metrics._inside import last_step

LARGEST_SCALED = 10.0  # in standard deviations of the bulk; 5 cuts off what heavy tails tell
LARGEST_EMBEDDED = 1e6  # the same in front of embeddings, which bound what they read by themselves


def make_tabular_pipeline(estimator: BaseEstimator) -> TabularPipeline:
    """Put an estimator behind the preprocessing that a table of mixed columns needs.

    Nothing about the columns needs to be known: `fit` reads their types from `X`, a pandas or polars data frame, an
    array or a sparse matrix.

    - Numbers and booleans: centred and scaled by the quartiles (by the standard deviation where the quartiles
      coincide), then clipped at -10 and 10. In front of an estimator of this package with `numeric_embeddings`, what is
      far out stays so, up to a million, and missing ones stay missing: the network bounds numbers where it has to, and
      learns what a missing one means.
    - In front of all others, missing ones become the median, with a column that says so, and numbers of three or more
      values are given as linear splines with 8 knots, too, so that each part of their range has weights of its own:
      knots stand at values that abound and at the quantiles of all others.
    - Dates of a data frame of pandas or polars, by skrub (extra `dates`): year, month, day, hour, weekday and seconds
      since 1970, each treated as a number.
    - Categories and strings of a data frame, in front of an estimator of this package: as they are, for its embeddings.
    - All other categories and strings: a column of zeros and ones for each that occurs 5 times or more (the 99 most
      frequent of them), and one for all others, which unknown ones join; missing is a category as any other.
    - A sparse `X`, of any format: each column divided by its largest absolute value.

    Parameters
    ----------
    estimator : estimator object
        A regressor, a classifier or :class:`MMoEMultiTask`; any estimator of scikit-learn's kind. It is not copied.

    Returns
    -------
    TabularPipeline
        A :class:`sklearn.pipeline.Pipeline` that has the methods of the model as well, `partial_fit` among them. Its
        steps are "columns" (a :class:`sklearn.compose.ColumnTransformer` of "sparse", "numbers", "dates", "categories"
        and "embedded", of "empty" where missing numbers stay missing, else of "splines") and "estimator". Between them
        the data is a data frame where `X` is one and categories are to be embedded. Searches name parameters as in
        ``columns__categories__encode__min_frequency`` and ``estimator__learning_rate``, and ``fit`` takes
        ``estimator__sample_weight`` and, as raw rows, ``estimator__X_val``.

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
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(f"estimator must be an estimator of scikit-learn's kind, got {shown(estimator)}.")
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
    numbers = _numbers_with_holes if _embeds_numbers(estimator) else _numbers
    columns = (FrameTransformer if embeds else TableTransformer)(
        [
            ("sparse", MaxAbsScaler(), sparse_columns),
            *numbers(),
            ("dates", Pipeline([("encode", DateEncoder()), ("numbers", ColumnTransformer(numbers()))]), date_columns),
            ("categories", categories, categorical_columns_of_arrays if embeds else categorical_columns),
            (EMBEDDED, "passthrough", categorical_columns_of_frames if embeds else []),
        ],
        sparse_threshold=1,  # what is sparse stays so; nothing else makes it sparse
    )
    return TabularPipeline([("columns", columns), ("estimator", estimator)])


def _numbers() -> list[tuple[str, Any, Any]]:
    """What becomes of numbers that an estimator takes as they are: parts of a ColumnTransformer."""
    imputed = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return [
        ("numbers", Pipeline([("impute", imputed), *_scaled()]), numeric_columns),
        ("splines", QuantileSplines(), many_valued_columns),
    ]


def _numbers_with_holes() -> list[tuple[str, Any, Any]]:
    """What becomes of numbers that an estimator embeds.

    It scales them once more, in the precision of its own, which those of wild scales would not survive.
    """
    # Of a column without any number there is no scale, as scalers of scikit-learn say loudly: it is 0
    zero = SimpleImputer(strategy="median", keep_empty_features=True)
    return [
        ("numbers", Pipeline(_scaled(LARGEST_EMBEDDED)), filled_columns),
        ("empty", Pipeline([("impute", zero), _clip()]), empty_columns),
    ]


def _scaled(largest: float = LARGEST_SCALED) -> list[tuple[str, Any]]:
    # RobustScaler leaves the scale alone where the quartiles coincide: let it be the standard deviation there
    return [("standardise", StandardScaler()), ("scale", RobustScaler(unit_variance=True)), _clip(largest)]


def _clip(largest: float = LARGEST_SCALED) -> tuple[str, Any]:
    return "clip", _function(clipped, a_min=-largest, a_max=largest)


def _embeds_categories(estimator: BaseEstimator) -> bool:
    last = last_step(estimator)
    return isinstance(last, BaseMMoE) and isinstance(last.categorical_features, str)


def _embeds_numbers(estimator: BaseEstimator) -> bool:
    last = last_step(estimator)
    return isinstance(last, BaseMMoE) and will_take_nan(last, n_numbers=1)


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
