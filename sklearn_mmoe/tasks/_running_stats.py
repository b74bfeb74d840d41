"""Weight, mean and spread of numbers that come in parts, one part after the other or side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._ranks.group import Group


@dataclass(frozen=True)
class RunningStats:
    """Sum of the weights, weighted mean, and standard deviation, all in float64.

    Two parts are merged as Chan, Golub and LeVeque do (1983, "Algorithms for computing the sample variance"): there is
    no difference of two large sums, so that numbers far from 0 keep their spread. Weights are counted in units of
    about the largest, and squares are taken of numbers near 1, so that neither has to be near 1 itself. The units are
    powers of two: nothing is rounded by them.

    Of numbers that are all the same, the mean is that number, and the deviation 0.
    """

    weight: float = 0.0
    mean: float = 0.0
    deviation: float = 0.0
    unit: float = 1.0

    @classmethod
    def of(cls, values: FloatArray, weights: FloatArray | None = None) -> RunningStats:
        """Those of one part; numbers too large for float64 to add up make them infinite or NaN."""
        values = values.astype(np.float64, copy=False)
        unit = 1.0
        if weights is not None:
            values, weights = values[weights > 0], weights[weights > 0]
            unit = power_of_two(weights)
            weights = weights / unit
        if not len(values):
            return cls()
        weight = float(len(values) if weights is None else weights.sum())
        if (values == values[0]).all():
            return cls(weight, float(values[0]), 0.0, unit)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float((values if weights is None else values * weights).sum() / weight)
            apart = values - mean
            size = power_of_two(apart)
            squares = np.square(apart / size)
            mean_square = float((squares if weights is None else squares * weights).sum() / weight)
            return cls(weight, mean, size * math.sqrt(mean_square), unit)

    def of_all(self, group: Group) -> RunningStats:
        """Those of the parts of all ranks."""
        return reduce(RunningStats.merged, group.gather(self))

    def merged(self, other: RunningStats) -> RunningStats:
        """Those of both parts together."""
        if not (self.weight and other.weight):
            return self if self.weight else other
        unit = max(self.unit, other.unit)
        own, others = self.weight * (self.unit / unit), other.weight * (other.unit / unit)
        weight = own + others
        share, rest = others / weight, own / weight
        apart = other.mean - self.mean
        deviation = math.hypot(
            math.sqrt(rest) * self.deviation, math.sqrt(share) * other.deviation, math.sqrt(rest * share) * apart
        )
        return RunningStats(weight, self.mean + apart * share, deviation, unit)


def power_of_two(numbers: FloatArray) -> float:
    """The power of two next to the largest number, below it; 1 if there is none that is not 0."""
    largest = float(np.abs(numbers).max(initial=0.0))
    return math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest else 1.0
