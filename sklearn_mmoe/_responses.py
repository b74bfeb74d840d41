"""The labels of a y and the answers of a fitted estimator, task by task.

The estimator may be ours or a multi-output one of scikit-learn, alone or at the end of a pipeline or a search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_mmoe._base import BaseMMoE
from sklearn_mmoe._validation import FloatArray, _typed, check_targets, check_weights

Kind = Literal["regression", "count", "binary", "multiclass"]


@dataclass(frozen=True)
class LabelledTask:
    """One task of a y that is scored: its labels, where they are, and what is known of the task."""

    index: int
    name: str
    values: NDArray[Any]  # (n_labelled,)
    labelled: NDArray[np.bool_]  # (n_rows,)
    weight: FloatArray | None  # (n_labelled,)
    classes: NDArray[Any] | None  # of a classification
    is_count: bool

    @property
    def kind(self) -> Kind:
        if self.classes is None:
            return "count" if self.is_count else "regression"
        return "binary" if len(self.classes) == 2 else "multiclass"

    @property
    def has_labels(self) -> bool:
        """Whether there is a label that weighs anything."""
        return len(self.values) > 0 and (self.weight is None or bool(self.weight.any()))


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


def labelled_tasks(estimator: Any, X: Any, y: Any, sample_weight: Any) -> list[LabelledTask]:
    """Take y apart into tasks, as the estimator knows them."""
    check_is_fitted(estimator)
    last = last_step(estimator)
    ours = isinstance(last, BaseMMoE)
    targets = check_targets(
        y,
        np.shape(X),
        estimator_name=type(last).__name__,
        task_names=last.task_names_ if ours else None,
        require_labels=False,
    )
    if ours:
        last._check_same_tasks(targets)
    names = targets.names
    weights = None if sample_weight is None else check_weights(sample_weight, targets, require_labels=False)
    classes = _classes_by_task(estimator, names)
    counts = [getattr(task, "loss", None) == "poisson" for task in last._tasks] if ours else [False] * len(names)
    return [
        LabelledTask(
            t,
            column.name,
            column.values,
            column.labelled,
            None if weights is None else weights[column.labelled, t],
            classes[t],
            counts[t],
        )
        for t, column in enumerate(targets.columns)
    ]


def response_by_task(estimator: Any, X: Any, method: str, names: Sequence[str]) -> list[NDArray[Any] | None]:
    """Call a method of the estimator and give each task its part of the answer.

    Returns
    -------
    list of ndarray of shape (n_rows,) or (n_rows, n_classes), or of None where the method tells nothing of the task
    """
    response = getattr(estimator, method)(X)
    if isinstance(response, Mapping):
        return [response.get(name) for name in names]
    if isinstance(response, list):
        return [np.asarray(own) for own in response]
    response = np.asarray(response)
    if len(names) == 1:
        return [_typed(response.reshape(-1)) if response.size == len(response) else response]
    if response.ndim != 2 or response.shape[1] != len(names):
        raise ValueError(
            f"y has {len(names)} tasks {list(names)}, but {method} of {type(estimator).__name__} gives an array of "
            f"shape {response.shape}: fit the estimator on a y of as many columns."
        )
    return [_typed(column) for column in response.T]


def _classes_by_task(estimator: Any, names: Sequence[str]) -> list[NDArray[Any] | None]:
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        return [None] * len(names)
    if isinstance(classes, Mapping):
        return [classes.get(name) for name in names]
    if isinstance(classes, list):
        return [np.asarray(own) for own in classes]
    if len(names) == 1:
        return [np.asarray(classes)]
    return [np.arange(2)] * len(names) if is_classifier(estimator) else [None] * len(names)  # multilabel
