"""Declarations of tasks: what the user says of a column of y.

`declaration.fit(column, ...)` looks at the labels and gives a *fitted task*, which encodes labels and decodes the
outputs of the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from sklearn_mmoe._fitted_tasks import FittedClassification, FittedRegression
from sklearn_mmoe._labels import as_numbers, classes_of, listed, refuse_classes
from sklearn_mmoe._validation import Column, FloatArray

__all__ = ["Binary", "Count", "Multiclass", "Regression"]

RegressionLoss = Literal["squared_error", "absolute_error", "huber", "poisson", "quantile"]
REGRESSION_LOSSES: tuple[str, ...] = get_args(RegressionLoss)


@dataclass(frozen=True)
class Regression:
    """A real-valued target.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "poisson", "quantile"}, default="squared_error"
        Loss of the task, on the standardised target. "huber" is quadratic up to one standard deviation of the target
        and linear beyond. "poisson" is for non-negative whole numbers and equals `Count`.
    quantile : float in (0, 1), default=0.5
        The quantile that `loss="quantile"` predicts.

    Examples
    --------
    >>> from sklearn_mmoe.tasks import Regression
    >>> Regression(loss="quantile", quantile=0.9)
    Regression(loss='quantile', quantile=0.9)
    """

    loss: RegressionLoss = "squared_error"
    quantile: float = 0.5

    def __post_init__(self) -> None:
        if self.loss not in REGRESSION_LOSSES:
            raise ValueError(f"loss of a Regression must be one of {list(REGRESSION_LOSSES)}, got {self.loss!r}.")
        if not 0.0 < self.quantile < 1.0:
            raise ValueError(f"quantile of a Regression must be between 0 and 1, got {self.quantile!r}.")

    def fit(self, column: Column, weights: FloatArray | None, classes: Any = None) -> FittedRegression:
        """Learn the scale of the target from its labels and their weights."""
        refuse_classes(classes, column.name)
        values = as_numbers(column.values, column.name, self.loss)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(np.average(values, weights=weights))
            scale = float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
        if not np.isfinite([mean, scale]).all():
            raise ValueError(f"Task {column.name!r} has labels too large to take the variance of: rescale them.")
        if self.loss == "poisson":
            # The network learns log(mean of this row / mean of all rows): no shift, so that the link stays a logarithm.
            return FittedRegression(column.name, self.loss, 0.0, mean or 1.0, self.quantile, column.dtype)
        constant = scale <= 10 * np.finfo(np.float64).eps * abs(mean)
        return FittedRegression(column.name, self.loss, mean, 1.0 if constant else scale, self.quantile, column.dtype)


@dataclass(frozen=True)
class Count:
    """A target of whole numbers from 0 up, learned by the Poisson deviance with a logarithmic link.

    Predictions are expected counts: positive, not rounded.

    Examples
    --------
    >>> from sklearn_mmoe.tasks import Count
    >>> Count()
    Count()
    """

    def fit(self, column: Column, weights: FloatArray | None, classes: Any = None) -> FittedRegression:
        """Learn the mean count."""
        return Regression(loss="poisson").fit(column, weights, classes)


@dataclass(frozen=True)
class Binary:
    """A target of two classes of any type, learned by the log-loss of one logit.

    Examples
    --------
    >>> from sklearn_mmoe.tasks import Binary
    >>> Binary()
    Binary()
    """

    def fit(self, column: Column, weights: FloatArray | None, classes: Any = None) -> FittedClassification:
        """Learn the two classes."""
        classes = classes_of(column, classes)
        if len(classes) != 2:
            raise ValueError(
                f"Task {column.name!r} is declared binary but has {len(classes)} classes: {listed(classes)}. "
                "Declare it 'multiclass', or check its labels."
            )
        return FittedClassification(column.name, "log_loss", classes, column.dtype)


@dataclass(frozen=True)
class Multiclass:
    """A target of two or more classes of any type, learned by the cross-entropy of one logit per class.

    Examples
    --------
    >>> from sklearn_mmoe.tasks import Multiclass
    >>> Multiclass()
    Multiclass()
    """

    def fit(self, column: Column, weights: FloatArray | None, classes: Any = None) -> FittedClassification:
        """Learn the classes."""
        return FittedClassification(column.name, "cross_entropy", classes_of(column, classes), column.dtype)


@dataclass(frozen=True)
class Classification:
    """A target of classes, binary or multiclass as the labels show."""

    def fit(self, column: Column, weights: FloatArray | None, classes: Any = None) -> FittedClassification:
        """Learn the classes."""
        classes = classes_of(column, classes)
        loss = "log_loss" if len(classes) == 2 else "cross_entropy"
        return FittedClassification(column.name, loss, classes, column.dtype)


Task = Regression | Count | Binary | Multiclass | Classification
KINDS: dict[str, type[Task]] = {
    "regression": Regression,
    "count": Count,
    "binary": Binary,
    "multiclass": Multiclass,
}


def as_task(declaration: Any, name: str) -> Task:
    """A declaration, or the string that stands for one, -> the declaration."""
    if isinstance(declaration, str) and declaration in KINDS:
        return KINDS[declaration]()
    if isinstance(declaration, Task):
        return declaration
    raise ValueError(
        f"tasks declares {name!r} as {declaration!r}. Allowed are the strings {list(KINDS)} and the "
        "declarations in sklearn_mmoe.tasks, such as Regression(loss='huber')."
    )


def infer_task(column: Column) -> Task:
    """The declaration that the type of the labels leaves no doubt about.

    Raises
    ------
    ValueError
        For whole numbers, which may be measurements, counts or class labels.
    """
    kind = column.values.dtype.kind
    if kind == "f" and not column.is_categorical:
        return Regression()
    if column.is_categorical or kind in "bUS" or all(isinstance(value, str | bool) for value in column.values):
        return Classification()
    raise ValueError(
        f"tasks='auto' cannot tell what column {column.name!r} of y is: labels of type {column.values.dtype} may be "
        "measurements, counts or classes. Declare it: "
        f"tasks={{{column.name!r}: 'regression'}} (or 'count', 'binary', 'multiclass'), and the other columns with it."
    )
