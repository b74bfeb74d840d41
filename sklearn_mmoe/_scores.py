"""The numbers that `score` returns. Missing labels are ignored everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss, mean_poisson_deviance, mean_squared_error

from sklearn_mmoe._encoding import Tasks, decode, task_outputs
from sklearn_mmoe._validation import FloatArray, Targets
from sklearn_mmoe.tasks import FittedTask

Float64Array = NDArray[np.float64]


def mean_explained(
    tasks: Tasks, targets: Targets, outputs: Float64Array, weights: FloatArray | None, *, as_r2: bool
) -> float:
    """Mean over the tasks of the share of deviance explained (D2): 1 is perfect, 0 no better than the prior.

    Tasks without a label here are left out.

    Parameters
    ----------
    as_r2 : bool
        Whether the deviance of every task is the squared error, as in R2, whatever its loss.
    """
    scores = []
    for t, (task, own) in enumerate(task_outputs(tasks, outputs)):
        column = targets.columns[t]
        weight = None if weights is None else weights[column.labelled, t]
        if len(column.values) and (weight is None or weight.any()):
            scores.append(_explained(task, column.values, own[column.labelled], weight, as_r2))
    if not scores:
        raise ValueError("y has no label at all: there is nothing to score.")
    return float(np.mean(scores))


def _explained(
    task: FittedTask, values: NDArray[Any], outputs: Float64Array, weight: Float64Array | None, as_r2: bool
) -> float:
    if task.is_classification:
        codes = task.encode(values).astype(int)
        shares = np.bincount(codes, weights=weight, minlength=len(task.classes)) / (
            len(codes) if weight is None else weight.sum()
        )
        labels = np.arange(len(task.classes))
        prior = np.tile(shares, (len(codes), 1))
        return _one_minus_ratio(
            lambda predicted: log_loss(codes, predicted, sample_weight=weight, labels=labels),
            task.probabilities(outputs),
            prior,
        )
    numbers = task.encode(values) * task.scale + task.location
    deviance: Callable[..., float] = mean_squared_error
    predicted = task.decode(outputs)
    if task.loss == "poisson" and not as_r2:
        deviance, predicted = mean_poisson_deviance, predicted.clip(min=np.finfo(np.float64).tiny)
    mean = np.average(numbers, weights=weight)
    if deviance is mean_poisson_deviance and mean == 0:  # the deviance of an expected count of 0 is not defined
        mean = np.finfo(np.float64).tiny
    return _one_minus_ratio(
        lambda predicted: deviance(numbers, predicted, sample_weight=weight), predicted, np.full(len(numbers), mean)
    )


def _one_minus_ratio(deviance: Callable[[Float64Array], float], predicted: Float64Array, prior: Float64Array) -> float:
    """1 - deviance of the prediction / deviance of the prior; where the prior is perfect, 1 or 0 as in `r2_score`."""
    left, whole = deviance(predicted), deviance(prior)
    if whole <= np.finfo(np.float64).eps:
        return 1.0 if left <= np.finfo(np.float64).eps else 0.0
    return 1.0 - left / whole


def all_right(tasks: Tasks, targets: Targets, outputs: Float64Array, weights: FloatArray | None) -> float:
    """Share of the rows in which every labelled task is predicted right. Rows without any label do not count.

    With weights of single labels, a row weighs as much as its labels do on average.
    """
    right = np.ones(targets.n_rows, dtype=bool)
    counts = np.zeros(targets.n_rows)
    for t, (column, predicted) in enumerate(zip(targets.columns, decode(tasks, outputs), strict=True)):
        counted = column.labelled if weights is None else weights[:, t] > 0
        counts += counted
        hit = np.ones(targets.n_rows, dtype=bool)
        hit[column.labelled] = predicted[column.labelled] == column.values
        right &= hit | ~counted
    total = counts if weights is None else weights.sum(axis=1)
    weight = np.divide(total, counts, out=np.zeros_like(counts), where=counts > 0)
    if not weight.any():
        raise ValueError("y has no label at all: there is nothing to score.")
    return float(np.average(right, weights=weight))
