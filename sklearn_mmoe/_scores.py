"""The numbers that `score` returns. Missing labels are ignored everywhere."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import d2_absolute_error_score, d2_pinball_score, d2_tweedie_score, log_loss, r2_score

from sklearn_mmoe._encoding import Tasks, decode, task_outputs
from sklearn_mmoe._fitted_tasks import EXPONENTIAL_LOSSES, FittedClassification, FittedTask
from sklearn_mmoe._validation import FloatArray, Targets
from sklearn_mmoe._weights import in_range

# By loss; where there is none, R2. The variance of a gamma distribution grows with its mean squared, hence 2.
_D2 = {
    "absolute_error": d2_absolute_error_score,
    "quantile": d2_pinball_score,
    "poisson": partial(d2_tweedie_score, power=1),
    "gamma": partial(d2_tweedie_score, power=2),
}


def explained_by_task(
    tasks: Tasks, targets: Targets, outputs: FloatArray, weights: FloatArray | None, *, as_r2: bool
) -> NDArray[np.float64]:
    """Share of deviance explained (D2) of each task: 1 is perfect, 0 no better than the prior, NaN without a label.

    Parameters
    ----------
    as_r2 : bool
        Whether the deviance of every task is the squared error, as in R2, whatever its loss.
    """
    scores = np.full(len(tasks), np.nan)
    for t, (task, own) in enumerate(task_outputs(tasks, outputs)):
        column = targets.columns[t]
        weight = None if weights is None else in_range(weights[column.labelled, t])
        if len(column.values) and (weight is None or weight.any()):
            scores[t] = _explained(task, column.values, own[column.labelled], weight, as_r2)
    return scores


def _explained(
    task: FittedTask, values: NDArray[Any], outputs: FloatArray, weight: FloatArray | None, as_r2: bool
) -> float:
    """D2 of one task. Of labels that are all the same it is 1 if they are met exactly, else 0, as in `r2_score`."""
    if isinstance(task, FittedClassification):
        codes = task.encode(values).astype(int)
        labels = np.arange(len(task.classes))
        shares = np.average(codes[:, None] == labels, weights=weight, axis=0)
        if shares.max() == 1.0:
            return 0.0  # no probability short of 1 is as good as the prior
        deviance = partial(log_loss, codes, labels=labels, sample_weight=weight)
        return 1.0 - deviance(task.probabilities(outputs)) / deviance(np.tile(shares, (len(codes), 1)))
    numbers, predicted = task.as_numbers(values), task.decode(outputs)
    if weight is not None:  # labels without weight do not make the others differ
        counted = weight > 0
        numbers, predicted, weight = numbers[counted], predicted[counted], weight[counted]
    if (numbers == numbers[0]).all():
        return float((predicted == numbers).all())
    if task.loss in EXPONENTIAL_LOSSES and not as_r2:
        predicted = predicted.clip(min=np.finfo(np.float64).tiny)  # not defined for an expected 0
    score: Any = r2_score if as_r2 else _D2.get(task.loss, r2_score)
    options = {"alpha": task.quantile} if score is d2_pinball_score else {}
    return float(score(numbers, predicted, sample_weight=weight, **options))


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
