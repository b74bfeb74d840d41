"""Weight, mean and spread of numbers that come in parts, one part after the other or side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np

from sklearn_mmoe._distributed import Group
from sklearn_mmoe._validation import FloatArray


@dataclass(frozen=True)
class RunningStats:
    """Sum of the weights, weighted mean, and weighted sum of squared deviations from it, all in float64.

    Two parts are merged as Chan, Golub and LeVeque do (1983, "Algorithms for computing the sample variance"): there is
    no difference of two large sums, so that numbers far from 0 keep their spread.
    """

    weight: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: FloatArray, weights: FloatArray | None = None) -> RunningStats:
        """Those of one part; numbers too large for float64 to square make them infinite or NaN."""
        values = values.astype(np.float64, copy=False)
        weight = float(len(values) if weights is None else weights.sum())
        if not weight:
            return cls()
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float((values if weights is None else values * weights).sum() / weight)
            squares = (values - mean) ** 2
            return cls(weight, mean, float((squares if weights is None else squares * weights).sum()))

    def of_all(self, group: Group) -> RunningStats:
        """Those of the parts of all ranks."""
        return reduce(RunningStats.merged, group.gather(self))

    def merged(self, other: RunningStats) -> RunningStats:
        """Those of both parts together."""
        if not (self.weight and other.weight):
            return self if self.weight else other
        weight = self.weight + other.weight
        share, apart = other.weight / weight, other.mean - self.mean
        squares = self.squares + other.squares + apart * apart * self.weight * share
        return RunningStats(weight, self.mean + apart * share, squares)

    @property
    def deviation(self) -> float:
        """Standard deviation."""
        return math.sqrt(self.squares / self.weight)
