"""Scores task by task: for searches, for tables, and for the question whether the tasks help each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    cohen_kappa_score,
    f1_score,
    log_loss,
    mean_absolute_error,
    r2_score,
    recall_score,
    roc_auc_score,
    root_mean_squared_error,
)

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe.metrics._responses import LabelledTask, answered_tasks
from sklearn_mmoe.tasks._fitted import DEVIANCES, Deviance
from sklearn_mmoe.tasks._labels import class_codes
from sklearn_mmoe.tasks._undefined import measured

METRICS = [
    *["n_labels", "r2", "mean_absolute_error", "root_mean_squared_error"],
    *[deviance.metric for deviance in DEVIANCES.values()],
    *["accuracy", "balanced_accuracy", "f1_macro", "quadratic_kappa", "roc_auc", "average_precision", "log_loss"],
]


def task_scores(estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> dict[Any, dict[str, float]]:
    """Score a fitted estimator task by task, by the usual metrics of each kind of task. Missing labels are left out.

    Parameters
    ----------
    estimator : estimator
        Fitted: one of the three of this package or a multi-output estimator of scikit-learn, alone or at the end of a
        pipeline or a search.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        Features, as the estimator takes them.
    y : array-like, data frame or series of shape (n_samples,) or (n_samples, n_tasks)
        Targets, a column per task; missing labels are left out.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
        Weight of each row, or of each label.

    Returns
    -------
    dict of task name to dict of metric to float
        Ready for ``pandas.DataFrame(scores)``, a column per task. All tasks have all metrics, NaN where one does not
        apply or cannot be computed (the area under a curve with labels of one class only, what is taken of
        probabilities with a label that is no class of the model):

        - all: n_labels, the number of labels;
        - regressions: r2, mean_absolute_error, root_mean_squared_error;
        - counts: d2_poisson (the share of Poisson deviance explained), mean_absolute_error;
        - positive values: d2_gamma (the share of gamma deviance explained), mean_absolute_error;
        - classifications: accuracy, balanced_accuracy, log_loss; of two classes also roc_auc and average_precision, the
          second class being the positive one; of more, f1_macro; of ordered ones, quadratic_kappa, Cohen's kappa with
          weights that grow with the square of the distance.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmoe import MMoEMultiTask
    >>> from sklearn_mmoe.metrics import task_scores
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> y = np.column_stack([X[:, 0] > 0, X[:, 0] + X[:, 1]])
    >>> tasks = {"up": "binary", "sum": "regression"}
    >>> model = MMoEMultiTask(tasks=tasks, max_epochs=5, random_state=0).fit(X, y)
    >>> scores = task_scores(model, X, y)
    >>> sorted(scores["up"]) == sorted(scores["sum"])
    True
    >>> scores["up"]["n_labels"], scores["up"]["r2"]
    (200.0, nan)
    """
    scores = {}
    for task, predicted, probability in answered_tasks(estimator, X, y, sample_weight):
        own = {"n_labels": float(task.n_labels), **scores_of_task(task, predicted, probability)}
        scores[task.name] = {metric: own.get(metric, np.nan) for metric in METRICS}
    return scores


def scores_of_task(
    task: LabelledTask, predicted: NDArray[Any] | None, probability: NDArray[Any] | None
) -> dict[str, float]:
    """The metrics that can be taken of one task, from the answers to all rows."""
    if not task.has_labels or predicted is None:
        return {}
    predicted = task.part(predicted)
    if task.traits.deviance:
        return _scores_by_deviance(task, predicted, task.traits.deviance)
    if not task.traits.has_classes:
        return _scores_of_regression(task, predicted)
    scores = _scores_of_classification(task, predicted)
    if task.of_no_class is None and probability is not None:
        scores |= _scores_of_probabilities(task, task.part(probability))
    return scores


def _scores_of_regression(task: LabelledTask, predicted: NDArray[Any]) -> dict[str, float]:
    values, weight = task.values, task.weight
    scores = {
        "mean_absolute_error": mean_absolute_error(values, predicted, sample_weight=weight),
        "root_mean_squared_error": root_mean_squared_error(values, predicted, sample_weight=weight),
    }
    if len(values) > 1:
        scores["r2"] = measured(r2_score, values, predicted, weight)
    return scores


def _scores_by_deviance(task: LabelledTask, predicted: NDArray[Any], deviance: Deviance) -> dict[str, float]:
    values, weight = task.values, task.weight
    scores = {"mean_absolute_error": mean_absolute_error(values, predicted, sample_weight=weight)}
    if len(np.unique(values)) > 1:
        positive = predicted.clip(min=np.finfo(np.float64).tiny)  # no deviance is defined for an expected value of 0
        scores[deviance.metric] = deviance.d2(values, positive, sample_weight=weight)
    return scores


def _scores_of_classification(task: LabelledTask, predicted: NDArray[Any]) -> dict[str, float]:
    assert task.classes is not None
    # as codes, labels that are no class can be compared with those that are, whatever their types
    values, predicted, weight = (
        class_codes(task.values, task.classes),
        class_codes(predicted, task.classes),
        task.weight,
    )
    recall = {"labels": np.unique(values), "average": "macro"}  # balanced_accuracy_score warns of a class not in values
    scores = {
        "accuracy": accuracy_score(values, predicted, sample_weight=weight),
        "balanced_accuracy": recall_score(values, predicted, sample_weight=weight, zero_division=0, **recall),
    }
    if not task.traits.is_binary:
        scores["f1_macro"] = f1_score(values, predicted, sample_weight=weight, average="macro", zero_division=0)
    if task.traits.is_ordered and task.of_no_class is None and len(np.union1d(values, predicted)) > 1:
        ranks = np.arange(len(task.classes))
        scores["quadratic_kappa"] = cohen_kappa_score(
            values, predicted, labels=ranks, weights="quadratic", sample_weight=weight
        )
    return scores


def _scores_of_probabilities(task: LabelledTask, probability: FloatArray) -> dict[str, float]:
    values, weight, classes = task.values, task.weight, task.classes
    if not task.traits.is_binary:
        return {"log_loss": log_loss(values, probability, sample_weight=weight, labels=classes)}
    assert classes is not None
    positive = probability if probability.ndim == 1 else probability[:, 1]
    scores = {"log_loss": log_loss(values, positive, sample_weight=weight, labels=classes)}
    hits = values == classes[1]
    if hits.any() and not hits.all():
        scores["roc_auc"] = roc_auc_score(hits, positive, sample_weight=weight)
        scores["average_precision"] = average_precision_score(hits, positive, sample_weight=weight)
    return scores
