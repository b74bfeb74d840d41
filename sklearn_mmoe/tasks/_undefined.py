"""Scores that labels do not define: found before the metric is asked, and left out of the mean over the tasks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import (
    d2_absolute_error_score,
    d2_log_loss_score,
    d2_pinball_score,
    d2_tweedie_score,
    explained_variance_score,
    r2_score,
    roc_auc_score,
)

from sklearn_mmoe._arrays.values import distinct
from sklearn_mmoe._common import compat
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import shown
from sklearn_mmoe.tasks._labels import listed
from sklearn_mmoe.tasks._weights import in_range

_OF_NUMBERS = (r2_score, d2_absolute_error_score, d2_pinball_score, d2_tweedie_score)
_OF_PROBABILITIES = (d2_log_loss_score, compat.d2_log_loss_score, compat.d2_brier_score)


class UndefinedScore(ValueError):
    """Why the labels of a task do not define its score, whatever a model answers."""


def labels_of_no_class(labels: NDArray[Any]) -> str:
    return f"the model has no class {listed(distinct(labels))}"


def measured(
    metric: Callable[..., Any],
    values: NDArray[Any],
    answers: NDArray[Any],
    weight: FloatArray | None = None,
    *,
    classes: NDArray[Any] | None = None,
    **options: Any,
) -> Any:
    """A metric of the labels of one task, all of which weigh something, and of the answers to their rows.

    What scikit-learn only warns of is an error here; and the share explained of labels that are all the same, 1 where
    they are met and else 0, is told without their mean, which may be off by a rounding error and make it -1e30.
    """
    function = metric.func if isinstance(metric, partial) else metric
    if function in (*_OF_NUMBERS, *_OF_PROBABILITIES) and len(values) < 2:
        raise UndefinedScore("it has a single label, and the share explained needs two")
    if function in (*_OF_NUMBERS, *_OF_PROBABILITIES, explained_variance_score):
        fit = function in _OF_PROBABILITIES or values.dtype.kind in "biuf"
        if fit and options.get("force_finite", True) and (values == values[0]).all():
            return _share_of_constant_labels(function, values, answers)
    if function is roc_auc_score and classes is not None:
        lacking = classes[~np.isin(classes, values)]
        if len(lacking):
            raise UndefinedScore(f"it has no label of class {listed(lacking)}, without which there is no ROC curve")
    if weight is not None:
        options["sample_weight"] = weight
    return metric(values, answers, **options)


def _share_of_constant_labels(function: Any, values: NDArray[Any], answers: NDArray[Any]) -> float:
    if function in _OF_PROBABILITIES:
        return 0.0  # no probability short of 1 is as good as the prior
    met = answers == (answers[0] if function is explained_variance_score else values)
    return float(met.all())


def where_defined(
    measure: Callable[[NDArray[Any]], Any], answers: NDArray[Any], right_answers: NDArray[Any], name: str
) -> float:
    """What a metric says of the answers, if there are answers to these labels of which it says anything.

    Parameters
    ----------
    right_answers : ndarray
        To ask the metric about: where it says nothing of them, the labels are at fault, else the model. Of labels that
        are all the same it is asked first, as some metrics say something then of wrong answers only.
    """
    if (right_answers == right_answers[0]).all():
        _asked(measure, right_answers, name)
    try:
        return _asked(measure, answers, name)
    except UndefinedScore as reason:
        _asked(measure, right_answers, name)
        if reason.__cause__ is None:
            return math.nan
        raise ValueError(f"{name} is not defined for what the model answers: {reason.__cause__}") from reason


def _asked(measure: Callable[[NDArray[Any]], Any], answers: NDArray[Any], name: str) -> float:
    try:
        score = _number(measure(answers), name)
    except UndefinedScore:
        raise
    except (ValueError, UndefinedMetricWarning) as error:  # warnings are errors where the user wants them to be
        raise UndefinedScore(f"{name} is not defined for its labels ({error})") from error
    if math.isnan(score):
        raise UndefinedScore(f"{name} is not defined for its labels")
    return score


def _number(score: Any, name: str) -> float:
    if np.ndim(score) or not isinstance(np.asarray(score).item(), Real):
        raise TypeError(f"metric must give one number for a task, but {name} gives {shown(score)}.")
    return float(score)


def mean_of_defined(
    names: Sequence[Hashable], scores: Sequence[Callable[[], float]], weights: Sequence[float] | None = None
) -> float:
    """The mean of the scores of tasks, of which those that are not defined are left out; a warning names them.

    A score that is NaN by what the model answers is not left out: no model must gain by that.

    Returns
    -------
    float
        NaN if no score is defined.
    """
    found: list[float] = []
    counts: list[float] = []
    reasons: list[str] = []
    failure: UndefinedScore | None = None
    for name, score, weight in zip(names, scores, weights or [1.0] * len(names), strict=True):
        try:
            found.append(score())
            counts.append(weight)
            if math.isnan(found[-1]):
                reasons.append(f"task {name!r}: it is NaN for what the model answers")
        except UndefinedScore as reason:
            reasons.append(f"task {name!r}: {reason}")
            failure = failure or (reason if isinstance(reason.__cause__, ValueError) else None)
    text = f"No score of {'; of '.join(reasons)}"
    if failure is not None and not found:  # the metric itself refuses, maybe whatever the data: NaN would hide that
        raise ValueError(f"{text}.") from failure
    mean = float(np.average(found, weights=in_range(np.array(counts)))) if found else math.nan
    if reasons:
        outcome = "The score is NaN" if math.isnan(mean) else "The score is the mean of the other tasks"
        warnings.warn(f"{text}. {outcome}.", UndefinedMetricWarning, stacklevel=3)
    return mean
