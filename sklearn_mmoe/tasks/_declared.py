"""Declarations of tasks: what the user says of a column of y.

`declaration.fit(column, ...)` looks at the labels and gives a *fitted task*, which encodes labels and decodes the
outputs of the network.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np

from sklearn_mmoe._arrays.foreign import detached
from sklearn_mmoe._arrays.frame_dtypes import described
from sklearn_mmoe._common.names import by_index
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import errors_of, shown
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe.tasks._fitted import (
    FittedClassification,
    FittedOrdinal,
    FittedRegression,
    location_and_scale,
    numbers_for,
)
from sklearn_mmoe.tasks._labels import classes_of, listed, ordered_classes_of, refuse_classes
from sklearn_mmoe.tasks._running_stats import RunningStats
from sklearn_mmoe.tasks._validation import Column, Targets

RegressionLoss = Literal["squared_error", "absolute_error", "huber", "poisson", "gamma", "quantile"]
REGRESSION_LOSSES: tuple[str, ...] = get_args(RegressionLoss)


class OfNumbers(ABC):
    """Declarations of tasks that predict numbers, on a scale that is learned from the weighted labels of all ranks."""

    @abstractmethod
    def fit(
        self, column: Column, weights: FloatArray | None, classes: Any = None, group: Group = ALONE
    ) -> FittedRegression:
        """Learn the scale."""


class OfClasses(ABC):
    """Declarations of tasks that predict classes."""

    @abstractmethod
    def fit(self, column: Column, weights: FloatArray | None, classes: Any = None) -> FittedClassification:
        """Learn the classes."""


@dataclass(frozen=True)
class Regression(OfNumbers):
    """A real-valued target.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "poisson", "gamma", "quantile"}, default="squared_error"
        Loss of the task, on the standardised target. "huber" is quadratic up to one standard deviation of the target
        and linear beyond. "poisson" is for non-negative whole numbers and equals `Count`; "gamma" is for numbers above
        0 and equals `Positive`.
    quantile : float in (0, 1), default=0.5
        The quantile that `loss="quantile"` predicts. Several quantiles of one quantity are several tasks: repeat its
        column in `y`, each time under another name.

    Examples
    --------
    >>> from sklearn_mmoe.tasks import Regression
    >>> Regression(loss="quantile", quantile=0.9)
    Regression(loss='quantile', quantile=0.9)
    """

    loss: RegressionLoss = "squared_error"
    quantile: float = 0.5

    def __post_init__(self) -> None:
        if not (isinstance(self.loss, str) and self.loss in REGRESSION_LOSSES):
            raise ValueError(f"loss of a Regression must be one of {list(REGRESSION_LOSSES)}, got {shown(self.loss)}.")
        if not (_is_finite(self.quantile) and 0.0 < self.quantile < 1.0):
            raise ValueError(f"quantile of a Regression must be between 0 and 1, got {shown(self.quantile)}.")

    def fit(
        self, column: Column, weights: FloatArray | None, classes: Any = None, group: Group = ALONE
    ) -> FittedRegression:
        """Learn the scale of the target from its labels, those of all ranks, and their weights."""
        refuse_classes(classes, column.name)
        seen = RunningStats.of(numbers_for(self.loss, column.values, column.name), weights).of_all(group)
        scale = location_and_scale(seen, self.loss, column.name)
        return FittedRegression(column.name, self.loss, *scale, self.quantile, seen)


@dataclass(frozen=True)
class Count(OfNumbers):
    """A target of whole numbers from 0 up, learned by the Poisson deviance with a logarithmic link.

    Predictions are expected counts: positive, not rounded.

    Examples
    --------
    >>> from sklearn_mmoe.tasks import Count
    >>> Count()
    Count()
    """

    def fit(
        self, column: Column, weights: FloatArray | None, classes: Any = None, group: Group = ALONE
    ) -> FittedRegression:
        """Learn the mean count."""
        return Regression(loss="poisson").fit(column, weights, classes, group)


@dataclass(frozen=True)
class Positive(OfNumbers):
    """A target of numbers above 0, learned by the gamma deviance with a logarithmic link.

    Errors count in proportion to the mean, as suits amounts, prices, durations. Predictions are means: positive.

    Examples
    --------
    >>> from sklearn_mmoe.tasks import Positive
    >>> Positive()
    Positive()
    """

    def fit(
        self, column: Column, weights: FloatArray | None, classes: Any = None, group: Group = ALONE
    ) -> FittedRegression:
        """Learn the mean."""
        return Regression(loss="gamma").fit(column, weights, classes, group)


@dataclass(frozen=True)
class Binary(OfClasses):
    """A target of two classes of any type, learned by the log-loss of one logit.

    Parameters
    ----------
    positive_weight : float > 0, default=1.0
        Weight of the positive class, the second of the sorted classes, in the loss. Above 1, fewer positives are missed
        and probabilities are too high.
    focal_gamma : float >= 0, default=0.0
        Exponent of the focal loss [1]_, which weighs each row by ``(1 - p) ** focal_gamma``, p the probability of its
        label: rows that are right already count less. 0 is the plain log-loss. Above 0, probabilities are too close to
        one half.

    Notes
    -----
    Both distort the probabilities. Scores by rank, such as the area under the ROC curve, do not care. Where the
    probabilities themselves matter, leave both alone, or calibrate: `MMoEClassifier` with its `class_weight` fits into
    :class:`sklearn.calibration.CalibratedClassifierCV`.

    References
    ----------
    .. [1] Lin, T.-Y., Goyal, P., Girshick, R., He, K., & Dollar, P. (2017). Focal Loss for Dense Object Detection.
       ICCV.

    Examples
    --------
    >>> from sklearn_mmoe.tasks import Binary
    >>> Binary(positive_weight=10.0)
    Binary(positive_weight=10.0, focal_gamma=0.0)
    """

    positive_weight: float = 1.0
    focal_gamma: float = 0.0

    def __post_init__(self) -> None:
        if not (_is_finite(self.positive_weight) and self.positive_weight > 0):
            raise ValueError(
                f"positive_weight of a Binary must be a finite number above 0, got {shown(self.positive_weight)}."
            )
        _check_focal_gamma(self.focal_gamma, "Binary")

    def fit(self, column: Column, weights: FloatArray | None, classes: Any = None) -> FittedClassification:
        """Learn the two classes."""
        classes = classes_of(column, classes)
        if len(classes) != 2:
            raise ValueError(
                f"Task {column.name!r} is declared binary but has {len(classes)} classes: {listed(classes)}. "
                "Declare it 'multiclass', or check its labels."
            )
        return FittedClassification(
            column.name, "log_loss", classes, described(column.dtype), self.positive_weight, self.focal_gamma
        )


@dataclass(frozen=True)
class Multiclass(OfClasses):
    """A target of two or more classes of any type, learned by the cross-entropy of one logit per class.

    Parameters
    ----------
    focal_gamma : float >= 0, default=0.0
        Exponent of the focal loss, which weighs each row by ``(1 - p) ** focal_gamma``, p the probability of its label.
        0 is the plain cross-entropy. Above 0, probabilities are too close to each other; see `Binary`.

    Examples
    --------
    >>> from sklearn_mmoe.tasks import Multiclass
    >>> Multiclass()
    Multiclass(focal_gamma=0.0)
    """

    focal_gamma: float = 0.0

    def __post_init__(self) -> None:
        _check_focal_gamma(self.focal_gamma, "Multiclass")

    def fit(self, column: Column, weights: FloatArray | None, classes: Any = None) -> FittedClassification:
        """Learn the classes."""
        classes = classes_of(column, classes)
        dtype = described(column.dtype)
        return FittedClassification(column.name, "cross_entropy", classes, dtype, focal_gamma=self.focal_gamma)


@dataclass(frozen=True)
class Ordinal(OfClasses):
    """A target of classes that stand in an order, such as grades, learned by cumulative logits.

    The network learns the probability of each class from the probabilities of being above each of them, which fall from
    class to class by construction. `classes_` and the columns of `predict_proba` are in the order of the classes.

    Parameters
    ----------
    categories : sequence, default=None
        All classes, the lowest first. None takes the order of a pandas ordered categorical or a polars Enum, and sorts
        numbers by value; other labels have no order of their own.

    Examples
    --------
    >>> from sklearn_mmoe.tasks import Ordinal
    >>> Ordinal(categories=["low", "middle", "high"])
    Ordinal(categories=('low', 'middle', 'high'))
    """

    categories: Any = None

    def __post_init__(self) -> None:
        if self.categories is None:
            return
        allowed = "must be a sequence of two or more classes, the lowest first"
        got = f"got {shown(self.categories)}."
        with errors_of("categories"):
            given = np.asarray(detached(self.categories, "categories"), dtype=object)
        if isinstance(self.categories, str | bytes | Set | Mapping) or given.ndim != 1:
            raise ValueError(f"categories of an Ordinal {allowed}, such as ['low', 'middle', 'high']; {got}")
        categories = tuple(given.tolist())
        if any(category is None or category != category for category in categories):
            raise ValueError(f"categories of an Ordinal {allowed}, none of them missing; {got}")
        if len({isinstance(category, str) for category in categories}) > 1:
            raise ValueError(f"categories of an Ordinal {allowed}, all numbers or all strings; {got}")
        with errors_of("categories"):
            n_different = len(set(categories))
        if len(categories) < 2 or n_different < len(categories):
            raise ValueError(f"categories of an Ordinal {allowed}, each of them once; {got}")
        object.__setattr__(self, "categories", categories)

    def fit(self, column: Column, weights: FloatArray | None, classes: Any = None) -> FittedOrdinal:
        """Learn the classes and their order."""
        ordered = ordered_classes_of(column, self.categories, classes)
        return FittedOrdinal(column.name, "ordinal", ordered, described(column.dtype))


@dataclass(frozen=True)
class Classification(OfClasses):
    """A target of classes, binary or multiclass as the labels show."""

    def fit(self, column: Column, weights: FloatArray | None, classes: Any = None) -> FittedClassification:
        """Learn the classes."""
        classes = classes_of(column, classes)
        loss = "log_loss" if len(classes) == 2 else "cross_entropy"
        return FittedClassification(column.name, loss, classes, described(column.dtype))


Task = OfNumbers | OfClasses
KINDS: dict[str, type[Task]] = {
    "regression": Regression,
    "count": Count,
    "positive": Positive,
    "binary": Binary,
    "multiclass": Multiclass,
    "ordinal": Ordinal,
}
DECLARATIONS = (*KINDS.values(), Classification)


def as_task(declaration: Any, name: Hashable) -> Task:
    """A declaration, or the string that stands for one, -> the declaration."""
    if isinstance(declaration, str) and declaration in KINDS:
        return KINDS[declaration]()
    if isinstance(declaration, Task):
        return declaration
    raise ValueError(
        f"tasks declares {name!r} as {declaration!r}. Allowed are the strings {list(KINDS)} and the "
        "declarations in sklearn_mmoe.tasks, such as Regression(loss='huber')."
    )


def as_tasks(asked: Any, targets: Targets, classes: Sequence[Any] | None) -> list[Task]:
    """Declarations of all columns of y: those that `MMoEMultiTask(tasks=asked)` gives, or what their values say."""
    names = targets.names
    if isinstance(asked, str):
        has_classes = [own is not None for own in classes or [None] * len(names)]
        return [infer_task(column, own) for column, own in zip(targets.columns, has_classes, strict=True)]
    if len(asked) != len(names):
        raise ValueError(f"tasks declares {len(asked)} tasks {list(asked)}, but y has {len(names)} columns {names}.")
    if isinstance(asked, Mapping):
        declared, unknown = by_index(asked, names)
        lacking = [name for t, name in enumerate(names) if t not in declared]
        if unknown or lacking:
            raise ValueError(
                f"tasks and the columns of y do not match. Declared, not in y: {unknown}; in y, not declared: "
                f"{lacking}; the columns of y are {names}."
            )
        return [as_task(declared[t], name) for t, name in enumerate(names)]
    return [as_task(task, name) for task, name in zip(asked, names, strict=True)]


def infer_task(column: Column, has_classes: bool = False) -> Task:
    """The declaration that the type of the labels leaves no doubt about; a classification if its classes are given.

    Raises
    ------
    ValueError
        For whole numbers, which may be measurements, counts or class labels, and where there is no label.
    """
    if has_classes:
        return Classification()
    kind = column.values.dtype.kind
    if not len(column.values):
        raise ValueError(
            f"tasks='auto' cannot tell what column {column.name!r} of y is, as it has no label here. Declare it: "
            f"tasks={{{column.name!r}: 'regression'}} (or {', '.join(map(repr, list(KINDS)[1:]))}), and the other "
            "columns with it; or give its classes."
        )
    if not column.is_categorical and (kind == "f" or all(isinstance(value, Decimal) for value in column.values)):
        return Regression()
    if column.is_categorical or kind in "bUS" or all(isinstance(value, str | bool) for value in column.values):
        return Classification()
    raise ValueError(
        f"tasks='auto' cannot tell what column {column.name!r} of y is: labels of type {column.values.dtype} may be "
        "measurements, counts or classes. Declare it: "
        f"tasks={{{column.name!r}: 'regression'}} (or {', '.join(map(repr, list(KINDS)[1:]))}), and the other columns "
        "with it."
    )


# --------------------------------------------------------------------------------------------------------------------


def _is_finite(value: Any) -> bool:
    """Whether a value is a number, and one that a float can hold."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except (OverflowError, TypeError):  # 10**400; a timedelta64, which NumPy counts among the integers
        return False


def _check_focal_gamma(focal_gamma: Any, kind: str) -> None:
    if not (_is_finite(focal_gamma) and focal_gamma >= 0):
        raise ValueError(f"focal_gamma of a {kind} must be a finite number, 0 or more, got {shown(focal_gamma)}.")
