"""Tasks whose labels have been seen: labels -> what the losses read, outputs of the network -> answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.metrics import d2_tweedie_score
from torch import Tensor

from sklearn_mmoe._arrays.values import distinct
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe.tasks._labels import as_numbers, class_codes, listed
from sklearn_mmoe.tasks._logits import (
    cumulative_log_probabilities,
    cumulative_log_probabilities_of_array,
    log_mean,
    logit_of_mean,
    mean_of_cumulative,
)
from sklearn_mmoe.tasks._running_stats import RunningStats

LARGEST_LABEL = 1e150  # scores take squares
Kind = Literal["regression", "count", "positive", "binary", "multiclass", "ordinal"]


@dataclass(frozen=True)
class Deviance:
    """A deviance of numbers that regressions are learned by: the network learns the logarithm of their mean.

    Parameters
    ----------
    kind : str
        What a task that is learned by it is called.
    name : str
        As it stands in a title.
    power : int
        The variance of the labels grows with this power of their mean, as in Tweedie distributions.
    allows : callable
        Which numbers may be labels.
    asks : str
        The same in words, after the name of the task.
    advice : str, default=""
        What else to do about labels that are none.
    """

    kind: Kind
    name: str
    power: int
    allows: Callable[[FloatArray], NDArray[np.bool_]]
    asks: str
    advice: str = ""

    @property
    def metric(self) -> str:
        """What the share of deviance explained is called."""
        return f"d2_{self.name.lower()}"

    @property
    def d2(self) -> Callable[..., float]:
        """The share of deviance explained, as a metric of scikit-learn's."""
        return partial(d2_tweedie_score, power=self.power)

    def check(self, numbers: FloatArray, name: Hashable) -> None:
        allowed = self.allows(numbers)
        if not allowed.all():
            found = listed(np.unique(numbers[~allowed]))
            raise ValueError(f"Task {name!r} {self.asks}, got {found}.{self.advice}")


DEVIANCES = {  # by the name of the loss
    "poisson": Deviance(
        "count",
        "Poisson",
        power=1,
        allows=lambda numbers: (numbers >= 0) & (numbers == np.floor(numbers)),
        asks="counts: its labels must be whole numbers from 0 up",
    ),
    "gamma": Deviance(
        "positive",
        "gamma",
        power=2,
        allows=lambda numbers: numbers > 0,
        asks="is positive: its labels must be greater than 0",
        advice=" Drop these labels (NaN), or declare the task a 'regression'.",
    ),
}


@dataclass(frozen=True)
class Traits:
    """What metrics and displays go by: they ask for these, not for the name of a kind."""

    has_classes: bool = False
    is_binary: bool = False
    is_ordered: bool = False  # its classes
    deviance: Deviance | None = None  # of numbers that it is learned by, if it is not that of the squares


TRAITS: dict[Kind, Traits] = {
    "regression": Traits(),
    **{deviance.kind: Traits(deviance=deviance) for deviance in DEVIANCES.values()},
    "binary": Traits(has_classes=True, is_binary=True),
    "multiclass": Traits(has_classes=True),
    "ordinal": Traits(has_classes=True, is_ordered=True),
}


# --------------------------------------------------------------------------------------------------------------------
# Numbers


@dataclass(frozen=True)
class FittedRegression:
    """A regression whose scale is known: `prediction = location + scale * link(output)`.

    `seen` are the labels that the scale was learned from. If these are all the same, but for rounding, they are the
    location, and the scale is 0: whatever the network says, they are predicted as they are.
    """

    name: Hashable
    loss: str
    location: float
    scale: float
    quantile: float = 0.5
    seen: RunningStats = field(default_factory=RunningStats)

    width: ClassVar[int] = 1

    @property
    def kind(self) -> Kind:
        return self.deviance.kind if self.deviance else "regression"

    @property
    def deviance(self) -> Deviance | None:
        """The deviance that it is learned by, if there is one and the link is a logarithm."""
        return DEVIANCES.get(self.loss)

    @property
    def loss_in_words(self) -> str:
        return f"quantile {self.quantile:g}" if self.loss == "quantile" else self.loss

    @property
    def is_linear(self) -> bool:
        """Whether the mean of outputs stands for the mean of what they are decoded to."""
        return self.deviance is None

    @property
    def is_constant(self) -> bool:
        """Whether all labels were the same."""
        return self.scale == 0

    @property
    def unit(self) -> float:
        """What differences of labels are counted in: the scale, or the size of labels that are all the same."""
        return self.scale or abs(self.location) or 1.0

    def after(
        self, values: NDArray[Any], weights: FloatArray | None, group: Group = ALONE, *, anew: bool = False
    ) -> Self:
        """The task after more labels: its scale is that of all that were seen, or, `anew`, of these alone."""
        new = RunningStats.of(self.as_numbers(values), weights).of_all(group)
        seen = new if anew and new.weight else self.seen.merged(new)
        location, scale = location_and_scale(seen, self.loss, self.name)
        return replace(self, location=location, scale=scale, seen=seen)

    def as_outputs_of(self, other: FittedRegression) -> tuple[float, float]:
        """Factor and shift that make outputs of this task, on its scale, outputs of the same task on another scale.

        What they are decoded to stays the same, but for counts that were all 0, of which there is no logarithm: they
        become the mean. A task that has had no label yet begins with the outputs that a task begins with, on whatever
        scale.
        """
        if other.is_constant or not self.seen.weight:
            return 1.0, 0.0
        if self.deviance is None:
            return self.scale / other.scale, (self.location - other.location) / other.scale
        if self.is_constant:
            return 0.0, math.log(self.location / other.scale) if self.location else 0.0
        return 1.0, math.log(self.scale / other.scale)

    def encode(self, values: NDArray[Any]) -> FloatArray:
        """Labels -> the targets that the loss compares outputs with, of about unit scale."""
        shift = 0.0 if self.deviance else self.location
        return (self.as_numbers(values) - shift) / self.unit

    def as_numbers(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Labels, checked, on the scale of the predictions."""
        return numbers_for(self.loss, values, self.name)

    def decode(self, outputs: FloatArray) -> FloatArray:
        """Outputs of shape (n_rows, 1) -> predictions of shape (n_rows,)."""
        if self.is_constant:
            return np.full(len(outputs), self.location)
        values = outputs[:, 0]
        return self.location + self.scale * (np.exp(values) if self.deviance else values)

    def averaged(self, outputs: Tensor) -> Tensor:
        """Outputs (n_members, n_rows, 1) of a task that is not linear -> those that stand for the mean prediction."""
        return log_mean(outputs)


def numbers_for(loss: str, values: NDArray[Any], name: Hashable) -> NDArray[np.float64]:
    """Labels as numbers, checked to be such as the loss takes."""
    numbers = as_numbers(values, name)
    if deviance := DEVIANCES.get(loss):
        deviance.check(numbers, name)
    return numbers


def location_and_scale(stats: RunningStats, loss: str, name: Hashable) -> tuple[float, float]:
    """What targets are standardised by: mean and standard deviation; 0 and the mean where the link is a logarithm.

    Labels that differ by no more than rounding have a scale of 0: one that is made of rounding would be noise.
    Without a label it is 0 and 1.
    """
    if not stats.weight:
        return 0.0, 1.0
    if not (abs(stats.mean) < LARGEST_LABEL and stats.deviation < LARGEST_LABEL):
        raise ValueError(f"Task {name!r} has labels too large to take the variance of: rescale them.")
    if stats.deviation <= 10 * np.finfo(np.float64).eps * abs(stats.mean):
        return stats.mean, 0.0
    # The network learns log(mean of this row / mean of all rows): no shift, so that the link stays a logarithm.
    return (0.0, stats.mean) if loss in DEVIANCES else (stats.mean, stats.deviation)


# --------------------------------------------------------------------------------------------------------------------
# Classes


@dataclass(frozen=True, eq=False)
class FittedClassification:
    """A classification whose classes are known: one logit for two classes, one logit per class for more."""

    name: Hashable
    loss: str
    classes: NDArray[Any]
    dtype: Any = None  # that the labels had in a data frame, as `_frame_dtypes.described` gives it
    positive_weight: float = 1.0
    focal_gamma: float = 0.0

    losses: ClassVar[tuple[str, ...]] = ("log_loss", "cross_entropy")
    is_linear: ClassVar[bool] = False

    @property
    def width(self) -> int:
        return 1 if self.loss == "log_loss" else len(self.classes)

    @property
    def kind(self) -> Kind:
        return "binary" if len(self.classes) == 2 else "multiclass"

    @property
    def loss_in_words(self) -> str:
        return f"{self.loss}, focal {self.focal_gamma:g}" if self.focal_gamma else self.loss

    def encode(self, values: NDArray[Any]) -> FloatArray:
        """Labels -> the indices of their classes."""
        codes = class_codes(values, self.classes)
        unknown = codes < 0
        if unknown.any():
            raise ValueError(
                f"Task {self.name!r} has labels that are not among its classes: {listed(distinct(values[unknown]))}; "
                f"its classes are {listed(self.classes)}."
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

    def tensor_of_probabilities(self, outputs: Tensor) -> Tensor:
        """The same of a tensor, whose last dimension are the outputs and then the classes."""
        if self.width > 1:
            return outputs.softmax(dim=-1)
        positive = outputs.sigmoid()
        return torch.cat([1 - positive, positive], dim=-1)

    def averaged(self, outputs: Tensor) -> Tensor:
        """Outputs of shape (n_members, n_rows, width) -> those whose probabilities are the means of the members'."""
        return logit_of_mean(outputs) if self.width == 1 else log_mean(torch.log_softmax(outputs, dim=-1))


@dataclass(frozen=True, eq=False)
class FittedOrdinal(FittedClassification):
    """A classification whose classes stand in an order: cumulative logits, one for each step from class to class.

    The first output is the logit of "above the lowest class"; each further one says, by its softplus, how much lower
    the next such logit is.
    """

    losses: ClassVar[tuple[str, ...]] = ("ordinal",)

    @property
    def width(self) -> int:
        return len(self.classes) - 1

    @property
    def kind(self) -> Kind:
        return "ordinal"

    def decode(self, outputs: FloatArray) -> NDArray[Any]:
        """Outputs of shape (n_rows, width) -> the most probable class of each row."""
        return self.classes[cumulative_log_probabilities_of_array(outputs).argmax(axis=1)]

    def probabilities(self, outputs: FloatArray) -> NDArray[np.float64]:
        """Outputs of shape (n_rows, width) -> probabilities of shape (n_rows, n_classes)."""
        return np.exp(cumulative_log_probabilities_of_array(outputs))

    def tensor_of_probabilities(self, outputs: Tensor) -> Tensor:
        return cumulative_log_probabilities(outputs).exp()

    def averaged(self, outputs: Tensor) -> Tensor:
        return mean_of_cumulative(outputs)


FittedTask = FittedRegression | FittedClassification
FITTED: tuple[type[FittedTask], ...] = (FittedRegression, FittedClassification, FittedOrdinal)
