"""The numbers that `score` returns. Missing labels are ignored everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import d2_absolute_error_score, d2_pinball_score, r2_score

from sklearn_mmoe._common.compat import d2_log_loss_score
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe.tasks._encoding import Tasks, decode
from sklearn_mmoe.tasks._fitted import FittedClassification, FittedTask
from sklearn_mmoe.tasks._labels import class_codes
from sklearn_mmoe.tasks._running_stats import power_of_two
from sklearn_mmoe.tasks._undefined import UndefinedScore, labels_of_no_class, measured
from sklearn_mmoe.tasks._validation import Column, Targets
from sklearn_mmoe.tasks._weights import in_range

# By loss; where there is none, that of the task's deviance, or R2
_D2 = {"absolute_error": d2_absolute_error_score, "quantile": d2_pinball_score}


def explained(
    task: FittedTask, column: Column, outputs: FloatArray, weight: FloatArray | None, *, as_r2: bool
) -> float:
    """Share of deviance explained (D2) of one task that has labels: 1 is perfect, 0 no better than the prior.

    Of labels that are all the same it is 1 if they are met exactly, else 0, as in `r2_score`.

    Parameters
    ----------
    outputs : ndarray of shape (n_rows, width)
    weight : ndarray of shape (n_rows,) or None
        Labels that weigh nothing count for nothing: they do not make the others differ.
    as_r2 : bool
        Whether the deviance is the squared error, as in R2, whatever the loss of the task.
    """
    values, own = column.values, outputs[column.labelled]
    if weight is not None:
        weight = weight[column.labelled]
        counted = weight > 0
        values, own, weight = values[counted], own[counted], in_range(weight[counted])
    if isinstance(task, FittedClassification):
        codes, labels = class_codes(values, task.classes), np.arange(len(task.classes))
        if (codes < 0).any():
            raise UndefinedScore(labels_of_no_class(values[codes < 0]))
        return float(measured(d2_log_loss_score, codes, task.probabilities(own), weight, labels=labels))
    numbers, predicted = task.as_numbers(values), task.decode(own)
    size = power_of_two(numbers)  # there are squares of numbers near 1, and shares of deviances stay what they are
    numbers, predicted = numbers / size, predicted / size
    metric: Any = r2_score if as_r2 else _D2.get(task.loss, r2_score)
    if task.deviance and not as_r2:
        metric = task.deviance.d2
        predicted = predicted.clip(min=np.finfo(np.float64).tiny)  # not defined for an expected 0
    options: dict[str, Any] = {"alpha": task.quantile} if metric is d2_pinball_score else {}
    return float(measured(metric, numbers, predicted, weight, **options))


def all_right(tasks: Tasks, targets: Targets, outputs: FloatArray, weights: FloatArray | None) -> float:
    """Share of the rows in which every labelled task is predicted right. Rows without any label do not count.

    With weights of single labels, a row weighs as much as its labels do on average.
    """
    weights = in_range(weights)
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
