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


class QuantileSplines(TransformerMixin, BaseEstimator):
    """scikit-learn's linear splines, with knots at the quantiles of what is left without values that abound.

    The quantiles of a column that is mostly 0, such as capital gains, are mostly 0, too: its other values would share a
    knot or two. Here, a value of more rows than fall to a knot gets one for itself, and the quantiles of all other
    values share the rest. A missing value has a basis of zeros.

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
        knots = np.column_stack([_knots(column[~np.isnan(column)], self.n_knots) for column in values.T])
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


def _knots(values: NDArray[np.float64], n_knots: int) -> NDArray[np.float64]:
    """Knots that differ, from the least value to the greatest, of shape (n_knots,)."""
    distinct, counts = np.unique(values, return_counts=True)
    common = distinct[counts > len(values) / n_knots]
    rest = values[~np.isin(values, common)]
    quantiles = np.quantile(rest, np.linspace(0, 1, max(n_knots - len(common), 2))) if len(rest) else rest
    knots = np.unique(np.concatenate([distinct[[0, -1]], common, quantiles]))
    while len(knots) > n_knots:  # the ends may be neither common nor quantiles: drop what stands closest to another
        knots = np.delete(knots, 1 + np.argmin(np.diff(knots[:-1])))
    while len(knots) < n_knots:
        widest = np.argmax(np.diff(knots))
        knots = np.insert(knots, widest + 1, knots[widest : widest + 2].mean())
    return knots
