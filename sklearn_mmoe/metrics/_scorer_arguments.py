"""Arguments of `make_task_scorer`, checked: metrics, methods, tasks and how to average over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from numbers import Integral
from typing import Any

import numpy as np

from sklearn_mmoe._common.arguments import as_float
from sklearn_mmoe._common.words import shown


def name_of(metric: Any) -> str:
    return str(getattr(metric, "__name__", None) or shown(metric))


def checked_metric(metric: Any, metric_kwargs: dict[str, Any]) -> Callable[..., float]:
    """A function that can be called with labels, answers and these arguments."""
    if not callable(metric):
        raise ValueError(
            f"metric must be a function of labels and answers, or the name of a scorer; got {shown(metric)}."
        )
    try:
        signature(metric).bind("labels", "answers", **metric_kwargs)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"metric must be a function that can be called with labels and answers{' and ' * bool(metric_kwargs)}"
            f"{', '.join(metric_kwargs)}; {name_of(metric)} cannot: {error}."
        ) from error
    return metric


def check_methods(names: Any) -> None:
    """The name of a method, or several."""
    methods = [names] if isinstance(names, str) else names
    are_several = isinstance(methods, list | tuple) and len(methods) > 0
    if not are_several or not all(isinstance(own, str) and own.isidentifier() for own in methods):
        raise ValueError(f"response_method must be the name of a method, or several in a list; got {shown(names)}.")


def check_task(task: Any, average: Any) -> None:
    """A task by its name or column, if one is meant; then there is no average."""
    if task is None:
        return
    if isinstance(task, bool | np.timedelta64) or not isinstance(task, str | Integral | tuple):
        raise ValueError(f"task must be the name of a task, a column of y or None; got {shown(task)}.")
    if not (isinstance(average, str) and average == "macro"):
        raise ValueError(
            f"task={shown(task)} names one task, so there is no average to take: leave out average or task."
        )


def check_average(average: Any) -> None:
    """How to average over tasks: all alike, or by weights."""
    if isinstance(average, str) and average == "macro":
        return
    if not isinstance(average, Mapping):
        raise ValueError(
            f"average must be 'macro' or a mapping of task names to weights, got {shown(average)}. (An average that "
            "the metric itself takes goes in by functools.partial.)"
        )
    weights = list(average.values())
    if not all(0 <= as_float(weight) < np.inf for weight in weights):
        raise ValueError(f"average must hold finite weights of 0 or more, got {shown(average)}.")
    if not any(weights):
        raise ValueError(f"average must give some task a weight above 0, got {shown(average)}.")
