"""Quantiles of columns of numbers: where they are, how far apart, and where functions of them may bend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

QUARTILES = 1.3489795  # between those of a normal distribution, in standard deviations


@np.errstate(over="ignore")  # of numbers that fill the range of floats, a step may be infinite
def quantile_knots(
    values: NDArray[np.float64], n_knots: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Knots that differ, from the least value to the greatest, of shape (n_knots,).

    The quantiles of a column that is mostly 0, such as capital gains, are mostly 0, too: its other values would share a
    knot or two. Here, a value of more rows than fall to a knot gets one for itself, and the quantiles of all other
    values share the rest.
    """
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) < 2:  # a constant one, or none
        return float(distinct[0] if len(distinct) else 0.0) + np.arange(n_knots, dtype=np.float64)
    counts = np.bincount(places, weights)
    common = distinct[counts * n_knots > counts.sum() * (1 + 1e-9)]  # which weights may have rounded
    is_rest = ~np.isin(values, common)
    rest, shares = values[is_rest], np.linspace(0, 1, max(n_knots - len(common), 2))
    if not len(rest):
        inner = rest
    elif weights is None:
        inner = np.quantile(rest, shares)
    else:
        parts = quantiles(torch.from_numpy(rest[:, None]), torch.from_numpy(weights[is_rest]), shares.tolist())
        inner = torch.cat(parts).numpy()
    knots = np.unique(np.concatenate([distinct[[0, -1]], common, inner]))
    while len(knots) > n_knots:  # the ends may be neither common nor quantiles: drop what stands closest to another
        knots = np.delete(knots, 1 + np.argmin(np.diff(knots[:-1])))
    while len(knots) < n_knots:
        widest = np.argmax(np.diff(knots))
        knots = np.insert(knots, widest + 1, (knots[widest : widest + 2] / 2).sum())
    return knots


def bulk(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Median and standard deviation of the bulk of each column of doubles, NaN left out; 0 and 1 where all are."""
    lower, center, upper = quantiles(x, weight, (0.25, 0.5, 0.75))
    weights = weight.unsqueeze(1).masked_fill(torch.isnan(x), 0.0)
    weights = weights / weights.sum(dim=0)
    beside = (x - center).nan_to_num(0.0)  # of a constant exactly 0, and so is its deviation
    deviation = ((beside - (beside * weights).sum(dim=0)).square() * weights).sum(dim=0).sqrt()
    scale = torch.where(upper > lower, (upper - lower) / QUARTILES, deviation)
    return center.nan_to_num(0.0), torch.where(scale > 0, scale, 1.0)


def quantiles(x: Tensor, weight: Tensor, shares: Sequence[float]) -> list[Tensor]:
    """Those of each column, NaN of one that has no number.

    A row of weight 2 is as good as two: where a share ends between two values, it is the middle of them.
    """
    ordered, order = x.sort(dim=0)  # NaN comes last
    reached = weight[order].masked_fill(torch.isnan(ordered), 0.0).cumsum(dim=0)
    last = (~torch.isnan(x)).sum(dim=0, keepdim=True).clamp(min=1) - 1
    found = []
    for share in shares:
        goal, rounding = share * reached[-1], 1e-9 * reached[-1]
        at, after = (reached < goal - rounding).sum(dim=0), (reached <= goal + rounding).sum(dim=0)
        ends = [ordered.gather(0, torch.minimum(place.unsqueeze(0), last))[0] for place in (at, after)]
        found.append(ends[0] / 2 + ends[1] / 2)
    return found
