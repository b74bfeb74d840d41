"""The labels of a y and the answers of a fitted estimator, task by task.

The estimator may be ours or a multi-output one of scikit-learn, alone or at the end of a pipeline or a search.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import shown
from sklearn_mmoe._estimators.base import BaseMMoE
from sklearn_mmoe.metrics._inside import as_of_now, last_step
from sklearn_mmoe.tasks._fitted import TRAITS, FittedRegression, FittedTask, Kind, Traits
from sklearn_mmoe.tasks._labels import are_moments, as_numbers, class_codes
from sklearn_mmoe.tasks._validation import Column, check_targets, shape_of, typed
from sklearn_mmoe.tasks._weights import check_weights, in_range


@dataclass(frozen=True)
class LabelledTask:
    """One task of a y that is scored: its labels, where they are, and what is known of the task.

    Metrics of scikit-learn take classes in sorted order, and no dates. Where those of an ordinal task stand in another
    ("low" before "high"), or are dates, its labels and answers are turned into their ranks, 0 for the lowest.
    """

    index: int
    name: Hashable
    values: NDArray[Any]  # (n_labelled,)
    labelled: NDArray[np.bool_]  # (n_rows,); where a label is there and weighs something
    weight: FloatArray | None  # (n_labelled,)
    kind: Kind
    classes: NDArray[Any] | None  # of a classification, sorted
    n_labels: int  # also those that weigh nothing
    of_no_class: NDArray[Any] | None = None  # labels that are not among the classes, if there are any; of rank -1
    ranked: NDArray[Any] | None = None  # the classes that the ranks stand for
    quantile: float | None = None  # that a regression predicts, if it is not the mean

    def part(self, response: NDArray[Any]) -> NDArray[Any]:
        """What a method of the estimator says of the labelled rows, of shape (n_labelled,) or with a column a class."""
        own = response[self.labelled]
        return own if self.ranked is None or own.ndim == 2 else class_codes(own, self.ranked)

    def class_index(self, label: Any) -> int:
        """Where a class stands among the classes."""
        classes = self.classes if self.ranked is None else self.ranked
        assert classes is not None
        is_scalar = isinstance(label, str | bytes) or not hasattr(label, "__len__")
        found = [i for i, own in enumerate(classes.tolist()) if own == label] if is_scalar else []
        if len(found) != 1:
            raise ValueError(f"pos_label={shown(label)} is no class of task {self.name!r}: its classes are {classes}.")
        return found[0]

    def certainties(self, ndim: int, positive: int) -> FloatArray:
        """Probabilities that are all right: of all classes, or 1-D, of the class that is the positive one."""
        assert self.classes is not None
        if ndim == 2:
            return (self.values[:, None] == self.classes).astype(np.float64)
        return (self.values == self.classes[positive]).astype(np.float64)

    @property
    def traits(self) -> Traits:
        """What metrics and displays are chosen by."""
        return TRAITS[self.kind]

    @property
    def has_labels(self) -> bool:
        """Whether there is a label that weighs anything."""
        return len(self.values) > 0


AnsweredTask = tuple[LabelledTask, NDArray[Any] | None, NDArray[Any] | None]  # its predictions and probabilities


def answered_tasks(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> list[AnsweredTask]:
    """The tasks of a y, with what an estimator predicts of each, and with probabilities where it has some."""
    estimator = as_of_now(estimator)
    tasks = labelled_tasks(estimator, X, y, sample_weight)
    names = [task.name for task in tasks]
    predictions = response_by_task(estimator, X, "predict", names)
    probabilities: list[NDArray[Any] | None] = [None] * len(tasks)
    if any(task.classes is not None for task in tasks) and hasattr(estimator, "predict_proba"):
        probabilities = response_by_task(estimator, X, "predict_proba", names)
    return list(zip(tasks, predictions, probabilities, strict=True))


def labelled_tasks(estimator: Any, X: Any, y: Any, sample_weight: Any) -> list[LabelledTask]:
    """Take y apart into tasks, as the estimator knows them."""
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(f"estimator must be a fitted estimator, got {shown(estimator)}.")
    check_is_fitted(estimator)
    last = last_step(estimator)
    ours = isinstance(last, BaseMMoE)
    targets = check_targets(
        y,
        shape_of(X),
        estimator_name=type(last).__name__,
        task_names=[task.name for task in last._tasks] if ours else None,
        require_labels=False,
    )
    if ours:
        last._check_same_tasks(targets)
    names = targets.names
    weights = None if sample_weight is None else check_weights(sample_weight, targets, require_labels=False)
    classes = _classes_by_task(estimator, names)
    fitted = last._tasks if ours else [None] * len(names)
    return [
        labelled_task(
            t,
            column,
            _kind(fitted[t], classes[t]),
            classes[t],
            weight=None if weights is None else weights[:, t],
            quantile=_quantile(fitted[t]),
        )
        for t, column in enumerate(targets.columns)
    ]


def labelled_task(
    index: int,
    column: Column,
    kind: Kind,
    classes: NDArray[Any] | None,
    *,
    weight: FloatArray | None = None,
    quantile: float | None = None,
) -> LabelledTask:
    """A task of a checked y. Classes that stand in another order than the sorted one, or are moments, become ranks.

    Parameters
    ----------
    weight : ndarray of shape (n_rows,), default=None
        Labels that weigh nothing are as good as missing.
    """
    values, labelled, of_no_class, ranked = column.values, column.labelled, None, None
    if weight is not None:
        labelled = weight > 0
        values, weight = values[labelled[column.labelled]], in_range(weight[labelled])
    if classes is None:
        values = values if values.dtype.kind in "biuf" else as_numbers(values, column.name)
    else:
        codes = class_codes(values, classes)
        if (codes < 0).any():
            of_no_class = values[codes < 0]
        if are_moments(classes) or (np.sort(classes) != classes).any():
            values, classes, ranked = codes, np.arange(len(classes)), classes
    return LabelledTask(
        index,
        column.name,
        values,
        labelled,
        weight,
        kind,
        classes,
        n_labels=len(column.values),
        of_no_class=of_no_class,
        ranked=ranked,
        quantile=quantile,
    )


def _kind(fitted: FittedTask | None, classes: NDArray[Any] | None) -> Kind:
    if classes is None:
        return fitted.kind if fitted else "regression"
    return "binary" if len(classes) == 2 else fitted.kind if fitted else "multiclass"


def _quantile(fitted: FittedTask | None) -> float | None:
    return fitted.quantile if isinstance(fitted, FittedRegression) and fitted.loss == "quantile" else None


def response_by_task(estimator: Any, X: Any, method: str, names: Sequence[Hashable]) -> list[NDArray[Any] | None]:
    """Call a method of the estimator and give each task its part of the answer.

    Returns
    -------
    list of ndarray of shape (n_rows,) or (n_rows, n_classes), or of None where the method tells nothing of the task
    """
    answers = getattr(estimator, method)(X)
    if isinstance(answers, Mapping):
        names = _own_names(estimator, names)
    return answers_by_task(answers, names, f"{method} of {type(estimator).__name__}")


def _own_names(estimator: Any, names: Sequence[Hashable]) -> Sequence[Hashable]:
    """What the estimator calls the tasks: a y of another form may name its columns otherwise, or not at all."""
    last = last_step(estimator)
    return [task.name for task in last._tasks] if isinstance(last, BaseMMoE) else names


def answers_by_task(answers: Any, names: Sequence[Hashable], source: str) -> list[NDArray[Any] | None]:
    """Take answers in any of the forms that estimators give them in apart into tasks.

    Parameters
    ----------
    answers : mapping of task name to array, list of arrays, or array of shape (n_rows,) or (n_rows, n_tasks)
    source : str
        Where they come from, for the message of an error.
    """
    if isinstance(answers, Mapping):
        return [None if (own := answers.get(name)) is None else np.asarray(own) for name in names]
    if isinstance(answers, list):
        return [np.asarray(own) for own in answers]
    answers = np.asarray(answers)
    if len(names) == 1:
        return [typed(answers.reshape(-1)) if answers.size == len(answers) else answers]
    if answers.ndim != 2 or answers.shape[1] != len(names):
        raise ValueError(
            f"y has {len(names)} tasks {list(names)}, but {source} gives an array of shape {answers.shape}: both must "
            "have a column for each task."
        )
    return [typed(column) for column in answers.T]


def _classes_by_task(estimator: Any, names: Sequence[Hashable]) -> list[NDArray[Any] | None]:
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        return [None] * len(names)
    if isinstance(classes, Mapping):
        return [classes.get(name) for name in _own_names(estimator, names)]
    if isinstance(classes, list):
        return [np.asarray(own) for own in classes]
    if len(names) == 1:
        return [np.asarray(classes)]
    return [np.arange(2)] * len(names) if is_classifier(estimator) else [None] * len(names)  # multilabel
