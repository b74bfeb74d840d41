"""What one task is: how its labels become numbers, how wide its output is, its loss, how outputs become answers.

A *declaration* (`Regression`, `Count`, `Binary`, `Multiclass`) says what the user wants. `declaration.fit(column, ...)`
looks at the labels and gives a *fitted task*, which encodes labels and decodes the outputs of the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.utils.multiclass import check_classification_targets

from sklearn_mmoe._validation import Column

__all__ = ["Binary", "Count", "Multiclass", "Regression"]

FloatArray = NDArray[np.floating[Any]]
RegressionLoss = Literal["squared_error", "absolute_error", "huber", "poisson", "quantile"]
REGRESSION_LOSSES: tuple[str, ...] = get_args(RegressionLoss)


# --------------------------------------------------------------------------------------------------------------------
# Fitted tasks


@dataclass(frozen=True)
class FittedRegression:
    """A regression whose scale is known: `prediction = location + scale * link(output)`."""

    name: str
    loss: str
    location: float
    scale: float
    quantile: float = 0.5
    dtype: Any = None

    width: ClassVar[int] = 1

    def encode(self, values: NDArray[Any]) -> FloatArray:
        """Labels -> the targets that the loss compares outputs with, of about unit scale."""
        return (self.as_numbers(values) - self.location) / self.scale

    def as_numbers(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Labels, checked, on the scale of the predictions."""
        return _as_numbers(values, self.name, self.loss)

    def decode(self, outputs: FloatArray) -> FloatArray:
        """Outputs of shape (n_rows, 1) -> predictions of shape (n_rows,)."""
        values = outputs[:, 0]
        return self.location + self.scale * (np.exp(values) if self.loss == "poisson" else values)


@dataclass(frozen=True, eq=False)
class FittedClassification:
    """A classification whose classes are known: one logit for two classes, one logit per class for more."""

    name: str
    loss: str
    classes: NDArray[Any]
    dtype: Any = None

    @property
    def width(self) -> int:
        return 1 if self.loss == "log_loss" else len(self.classes)

    def encode(self, values: NDArray[Any]) -> FloatArray:
        """Labels -> the indices of their classes."""
        try:
            codes = np.searchsorted(self.classes, values).clip(max=len(self.classes) - 1)
            unknown = self.classes[codes] != values
        except TypeError:  # labels and classes cannot be compared at all
            codes, unknown = np.zeros(len(values), dtype=int), np.ones(len(values), dtype=bool)
        if unknown.any():
            raise ValueError(
                f"Task {self.name!r} has labels that are not among its classes: {_listed(np.unique(values[unknown]))}; "
                f"its classes are {_listed(self.classes)}."
            )
        return codes.astype(np.float64)

    def decode(self, outputs: FloatArray) -> NDArray[Any]:
        """Outputs of shape (n_rows, width) -> the most probable class of each row."""
        codes = (outputs[:, 0] > 0).astype(int) if self.width == 1 else outputs.argmax(axis=1)
        return self.classes[codes]

    def probabilities(self, outputs: FloatArray) -> NDArray[np.float64]:
        """Outputs of shape (n_rows, width) -> probabilities of shape (n_rows, n_classes)."""
        if self.width > 1:
            return np.asarray(softmax(outputs, axis=1))
        positive = expit(outputs[:, 0])
        return np.column_stack([1.0 - positive, positive])


FittedTask = FittedRegression | FittedClassification


# --------------------------------------------------------------------------------------------------------------------
# Declarations


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
        _refuse_classes(classes, column.name)
        values = _as_numbers(column.values, column.name, self.loss)
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
        classes = _classes_of(column, classes)
        if len(classes) != 2:
            raise ValueError(
                f"Task {column.name!r} is declared binary but has {len(classes)} classes: {_listed(classes)}. "
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
        return FittedClassification(column.name, "cross_entropy", _classes_of(column, classes), column.dtype)


@dataclass(frozen=True)
class Classification:
    """A target of classes, binary or multiclass as the labels show."""

    def fit(self, column: Column, weights: FloatArray | None, classes: Any = None) -> FittedClassification:
        """Learn the classes."""
        classes = _classes_of(column, classes)
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


# --------------------------------------------------------------------------------------------------------------------


def _as_numbers(values: NDArray[Any], name: str, loss: str) -> NDArray[np.float64]:
    """Check that labels are numbers (and counts where the loss is for counts)."""
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"Task {name!r} is a regression but its labels are no numbers: found {_listed(values[:1])}. "
            "Encode them as numbers, or make the task a classification."
        )
    numbers = values.astype(np.float64)
    if loss == "poisson" and (bad := (numbers < 0) | (numbers != np.floor(numbers))).any():
        raise ValueError(
            f"Task {name!r} counts: its labels must be whole numbers from 0 up, got {_listed(np.unique(numbers[bad]))}."
        )
    return numbers


def _classes_of(column: Column, classes: Any) -> NDArray[Any]:
    """The sorted classes of a task: given, or found in its labels."""
    if classes is not None:
        given = np.unique(np.asarray(classes))
        if len(given) < 2:
            raise ValueError(f"classes of task {column.name!r} must be at least two, got {_listed(given)}.")
        return given
    try:
        found = np.unique(column.values)
    except TypeError as error:
        kinds = sorted({type(value).__name__ for value in column.values})
        raise ValueError(
            f"Task {column.name!r} mixes labels of types {', '.join(kinds)}: make them one type."
        ) from error
    try:
        if not column.is_categorical:
            check_classification_targets(column.values)
    except ValueError as error:
        raise ValueError(f"Task {column.name!r}: {error}") from error
    if len(found) == 1:
        raise ValueError(
            f"Task {column.name!r} has only one class, {_listed(found)}: there is nothing to tell apart. "
            "Leave the task out, or give rows of another class."
        )
    return found


def _refuse_classes(classes: Any, name: str) -> None:
    if classes is not None:
        raise ValueError(f"classes gives classes for task {name!r}, which is no classification.")


def _listed(values: Any, limit: int = 10) -> str:
    items = [repr(value) for value in np.asarray(values).tolist()[:limit]]
    return ", ".join(items) + (", ..." if len(values) > limit else "")
