"""Logits: the probabilities that they stand for, and the logits that stand for the mean of several members."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_expit
from torch import Tensor
from torch.nn import functional as F

from sklearn_mmoe._common.types import FloatArray


def log_mean(logarithms: Tensor) -> Tensor:
    """Logarithm of the mean over the members, which are the first dimension."""
    return torch.logsumexp(logarithms, dim=0) - math.log(len(logarithms))


def logit_of_mean(logits: Tensor) -> Tensor:
    """Logit of the mean probability, from the logarithms of both sides: 1 - p would lose the digits of a p near 1."""
    return log_mean(F.logsigmoid(logits)) - log_mean(F.logsigmoid(-logits))


# --------------------------------------------------------------------------------------------------------------------
# Cumulative logits: a first one, and the steps from each to the next


def mean_of_cumulative(outputs: Tensor) -> Tensor:
    """The first logit and the steps between logits whose probabilities of "above" are the members' means."""
    first, steps = outputs[..., :1], outputs[..., 1:]
    logits = logit_of_mean(torch.cat([first, F.logsigmoid(-steps)], dim=-1).cumsum(dim=-1))
    falls = (logits[:, :-1] - logits[:, 1:]).clamp(min=torch.finfo(logits.dtype).tiny)
    return torch.cat([logits[:, :1], falls + torch.log(-torch.expm1(-falls))], dim=-1)  # softplus, inverted


def cumulative_log_probabilities(outputs: Tensor) -> Tensor:
    """Logarithms of the probabilities of all classes, from a first logit and the steps between logits.

    With s the sigmoid, class c has the probability s(a) - s(b), a the logit of "above class c - 1", b that of "above
    class c", and a - b = softplus(step). Its logarithm is logsigmoid(a) + logsigmoid(-b) + logsigmoid(step), without a
    difference of nearly equal numbers.
    """
    first, steps = outputs[..., :1], outputs[..., 1:]
    logits = torch.cat([first, F.logsigmoid(-steps)], dim=-1).cumsum(dim=-1)  # -softplus(x) = logsigmoid(-x)
    return (
        F.pad(F.logsigmoid(logits), (1, 0)) + F.pad(F.logsigmoid(-logits), (0, 1)) + F.pad(F.logsigmoid(steps), (1, 1))
    )


def cumulative_log_probabilities_of_array(outputs: FloatArray) -> NDArray[np.float64]:
    """The same for outputs of shape (n_rows, width), in NumPy."""
    steps = outputs[:, 1:]
    logits = np.column_stack([outputs[:, :1], log_expit(-steps)]).cumsum(axis=1)
    result = np.zeros((len(outputs), outputs.shape[1] + 1))
    result[:, 1:] += log_expit(logits)
    result[:, :-1] += log_expit(-logits)
    result[:, 1:-1] += log_expit(steps)
    return result
