"""Tasks whose labels have been seen: labels -> what the losses read, outputs of the network -> answers."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, softmax

from sklearn_mmoe._arrays.values import distinct
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe.tasks._labels import as_numbers, class_codes, listed
from sklearn_mmoe.tasks._running_stats import RunningStats

EXPONENTIAL_LOSSES = ("poisson", "gamma")  # the network learns the logarithm of the mean
LARGEST_LABEL = 1e150  # scores take squares
Kind = Literal["regression", "count", "positive", "binary", "multiclass", "ordinal"]
_KIND_OF_LOSS: dict[str, Kind] = {"poisson": "count", "gamma": "positive"}


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
        return _KIND_OF_LOSS.get(self.loss, "regression")

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
        if self.loss not in EXPONENTIAL_LOSSES:
            return self.scale / other.scale, (self.location - other.location) / other.scale
        if self.is_constant:
            return 0.0, math.log(self.location / other.scale) if self.location else 0.0
        return 1.0, math.log(self.scale / other.scale)

    def encode(self, values: NDArray[Any]) -> FloatArray:
        """Labels -> the targets that the loss compares outputs with, of about unit scale."""
        shift = 0.0 if self.loss in EXPONENTIAL_LOSSES else self.location
        return (self.as_numbers(values) - shift) / self.unit

    def as_numbers(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Labels, checked, on the scale of the predictions."""
        return as_numbers(values, self.name, self.loss)

    def decode(self, outputs: FloatArray) -> FloatArray:
        """Outputs of shape (n_rows, 1) -> predictions of shape (n_rows,)."""
        if self.is_constant:
            return np.full(len(outputs), self.location)
        values = outputs[:, 0]
        return self.location + self.scale * (np.exp(values) if self.loss in EXPONENTIAL_LOSSES else values)


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
    return (0.0, stats.mean) if loss in EXPONENTIAL_LOSSES else (stats.mean, stats.deviation)


@dataclass(frozen=True, eq=False)
class FittedClassification:
    """A classification whose classes are known: one logit for two classes, one logit per class for more."""

    name: Hashable
    loss: str
    classes: NDArray[Any]
    dtype: Any = None  # that the labels had in a data frame, as `_frame_dtypes.described` gives it
    positive_weight: float = 1.0
    focal_gamma: float = 0.0

    @property
    def width(self) -> int:
        return 1 if self.loss == "log_loss" else len(self.classes)

    @property
    def kind(self) -> Kind:
        return "binary" if len(self.classes) == 2 else "multiclass"

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


@dataclass(frozen=True, eq=False)
class FittedOrdinal(FittedClassification):
    """A classification whose classes stand in an order: cumulative logits, one for each step from class to class.

    The first output is the logit of "above the lowest class"; each further one says, by its softplus, how much lower
    the next such logit is.
    """

    @property
    def width(self) -> int:
        return len(self.classes) - 1

    @property
    def kind(self) -> Kind:
        return "ordinal"

    def decode(self, outputs: FloatArray) -> NDArray[Any]:
        """Outputs of shape (n_rows, width) -> the most probable class of each row."""
        return self.classes[self._log_probabilities(outputs).argmax(axis=1)]

    def probabilities(self, outputs: FloatArray) -> NDArray[np.float64]:
        """Outputs of shape (n_rows, width) -> probabilities of shape (n_rows, n_classes)."""
        return np.exp(self._log_probabilities(outputs))

    def _log_probabilities(self, outputs: FloatArray) -> NDArray[np.float64]:
        """log(expit(a) - expit(b)) = log_expit(a) + log_expit(-b) + log_expit(step), where a - b = softplus(step)."""
        steps = outputs[:, 1:]
        logits = np.column_stack([outputs[:, :1], log_expit(-steps)]).cumsum(axis=1)
        result = np.zeros((len(outputs), len(self.classes)))
        result[:, 1:] += log_expit(logits)
        result[:, :-1] += log_expit(-logits)
        result[:, 1:-1] += log_expit(steps)
        return result


FittedTask = FittedRegression | FittedClassification
