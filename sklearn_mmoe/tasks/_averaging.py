"""One answer from the answers of all members: the mean of their predictions and probabilities, as raw outputs again."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from sklearn_mmoe.tasks._encoding import Tasks, output_slices
from sklearn_mmoe.tasks._fitted import EXPONENTIAL_LOSSES


def averaged(tasks: Tasks, outputs: Tensor) -> Tensor:
    """The raw outputs that stand for the mean of what the members answer.

    The mean is taken where answers live, not of logits: a member that is sure of a class and another that is sure of
    its opposite make one half, however sure each is.

    Parameters
    ----------
    tasks : tuple of fitted tasks
    outputs : Tensor of shape (n_members, n_rows, sum of widths), or (n_rows, sum of widths) of a single network

    Returns
    -------
    Tensor of shape (n_rows, sum of widths)
    """
    if outputs.dim() == 2:
        return outputs
    result = outputs.mean(dim=0)
    for task, own in zip(tasks, output_slices(tasks), strict=True):
        if task.loss in EXPONENTIAL_LOSSES:
            result[:, own] = _log_mean(outputs[..., own])
        elif task.loss == "log_loss":
            result[:, own] = _logit_of_mean(outputs[..., own])
        elif task.loss == "cross_entropy":
            result[:, own] = _log_mean(torch.log_softmax(outputs[..., own], dim=-1))
        elif task.loss == "ordinal":
            result[:, own] = _mean_of_ordinals(outputs[..., own])
    return result


def _log_mean(logarithms: Tensor) -> Tensor:
    """Logarithm of the mean over the members."""
    return torch.logsumexp(logarithms, dim=0) - math.log(len(logarithms))


def _logit_of_mean(logits: Tensor) -> Tensor:
    """Logit of the mean probability, from the logarithms of both sides: 1 - p would lose the digits of a p near 1."""
    return _log_mean(logsigmoid(logits)) - _log_mean(logsigmoid(-logits))


def _mean_of_ordinals(outputs: Tensor) -> Tensor:
    """The first logit and the steps between logits whose probabilities of "above" are the members' means."""
    first, steps = outputs[..., :1], outputs[..., 1:]
    logits = _logit_of_mean(torch.cat([first, logsigmoid(-steps)], dim=-1).cumsum(dim=-1))
    falls = (logits[:, :-1] - logits[:, 1:]).clamp(min=torch.finfo(logits.dtype).tiny)
    return torch.cat([logits[:, :1], falls + torch.log(-torch.expm1(-falls))], dim=-1)  # softplus, inverted
