"""The model inside searches and pipelines."""

from __future__ import annotations

import copy
from typing import Any

from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_mmoe._estimators.base import BaseMMoE


def as_of_now(estimator: Any) -> Any:
    """The same estimator with its model, if that is ours, as the last fit has left it, and as it then stays.

    The model may be inside searches and at the end of pipelines.
    """
    if hasattr(estimator, "_as_fitted") and not isinstance(estimator, type):
        return estimator._as_fitted()
    kept = estimator
    if hasattr(estimator, "best_estimator_"):
        kept = copy.copy(estimator)
        kept.best_estimator_ = as_of_now(estimator.best_estimator_)
    elif isinstance(estimator, Pipeline):
        kept = copy.copy(estimator)
        *before, (name, last) = estimator.steps
        kept.steps = [*before, (name, as_of_now(last))]
    return kept


def last_step(estimator: Any) -> Any:
    """The estimator inside searches and at the end of pipelines."""
    return _opened(estimator, None)[0]


def last_step_and_features(estimator: Any, X: Any) -> tuple[Any, Any]:
    """The estimator inside searches and at the end of fitted pipelines, and X as it gets there."""
    return _opened(estimator, X)


def _opened(estimator: Any, X: Any) -> tuple[Any, Any]:
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            if X is not None and len(estimator.steps) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, BaseSearchCV):
            estimator = estimator.estimator  # not fitted yet
        else:
            return estimator, X


def fitted_model(estimator: Any, X: Any = None) -> tuple[BaseMMoE, Any]:
    """The fitted model inside searches and pipelines, and the features as the steps before it hand them on.

    Parameters
    ----------
    estimator : estimator
        One of the three of this package, a pipeline that ends in one, or a search over either.
    X : array-like or data frame of shape (n_samples, n_features), default=None
        Features as the estimator takes them.

    Returns
    -------
    model : BaseMMoE
    X : array-like or data frame, or None
    """
    model, X = last_step_and_features(as_of_now(estimator), X)
    if not isinstance(model, BaseMMoE):
        raise ValueError(
            "estimator must be a fitted MMoERegressor, MMoEClassifier or MMoEMultiTask, or a pipeline or search that "
            f"ends in one; got {type(model).__name__}."
        )
    check_is_fitted(model)
    return model, X
