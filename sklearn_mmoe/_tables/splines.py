"""Linear splines of numbers, with knots where the values are."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import SplineTransformer
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_mmoe.nn._quantiles import quantile_knots


class QuantileSplines(TransformerMixin, BaseEstimator):
    """scikit-learn's linear splines, with knots at the quantiles of what is left without values that abound.

    A missing value has a basis of zeros.

    Parameters
    ----------
    n_knots : int, default=8
        Number of knots of each column, and of the features it becomes; two or more.

    Attributes
    ----------
    splines_ : sklearn.preprocessing.SplineTransformer
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"n_knots": [Interval(Integral, 2, None, closed="left")]}

    def __init__(self, n_knots: int = 8) -> None:
        self.n_knots = n_knots

    def fit(self, X: Any, y: Any = None) -> Self:
        self._validate_params()
        values = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        knots = np.column_stack([quantile_knots(column[~np.isnan(column)], self.n_knots) for column in values.T])
        self.splines_ = _splines(knots)
        return self

    def __getstate__(self) -> dict[str, Any]:
        """The knots stand for the splines: an array, where scipy's objects are more than skops takes on trust."""
        state = super().__getstate__()
        return {**state, "splines_": self.splines_.knots} if "splines_" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "splines_" in state:
            knots = state["splines_"]
            state = {**state, "splines_": _splines(knots)}
        super().__setstate__(state)

    def transform(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        values = validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        missing = np.isnan(values)  # which SplineTransformer takes since scikit-learn 1.8
        if not missing.any():
            return self.splines_.transform(values)
        splines: NDArray[np.float64] = self.splines_.transform(np.where(missing, self.splines_.knots[0], values))
        splines.reshape(*values.shape, self.n_knots)[missing] = 0
        return splines

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        names = input_features if input_features is not None else getattr(self, "feature_names_in_", None)
        return np.asarray(self.splines_.get_feature_names_out(names))


def _splines(knots: NDArray[np.float64]) -> SplineTransformer:
    splines = SplineTransformer(degree=1, knots=knots, extrapolation="constant")
    return splines.set_output(transform="default").fit(knots)  # arrays, whatever is set for all of scikit-learn
