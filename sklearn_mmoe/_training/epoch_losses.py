"""The losses of an epoch: gathered batch by batch, and summed up when it is over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sklearn_mmoe._features.tensors import TensorsOfBatches
from sklearn_mmoe._training.stopping import watched_loss
from sklearn_mmoe.exceptions import DivergenceError


class EpochLosses:
    """The losses of the batches of one epoch, on the device until it is over."""

    def __init__(self) -> None:
        self._losses, self._weights = TensorsOfBatches(), TensorsOfBatches()
        self._sizes: list[int] = []

    def add(self, losses: Tensor, weight: Tensor | None, n_rows: int) -> None:
        """Those of a batch, of shape (n_tasks,) or (n_members, n_tasks); where all labels weigh the same, by its rows.

        Parameters
        ----------
        losses : Tensor
            Mean loss of each task.
        weight : Tensor of the same shape, or None
            Weight of its labels in the batch.
        """
        self._losses.append(losses)
        if weight is None:
            self._sizes.append(n_rows)
        else:
            self._weights.append(weight)

    def summed_up(self) -> SummedLosses:
        """The mean loss of each task over its own labelled weight in the epoch."""
        losses = self._losses.stacked()
        weights = self._sizes_as_weights(losses) if self._sizes else self._weights.stacked()
        weight = weights.sum(dim=0)
        by_member = (losses * weights).sum(dim=0) / torch.where(weight > 0, weight, 1.0)
        if by_member.dim() == 1:  # of a single network
            by_member, weight = by_member.unsqueeze(0), weight.unsqueeze(0)
        return SummedLosses(by_member, weight)

    def _sizes_as_weights(self, losses: Tensor) -> Tensor:
        n_rows = torch.tensor(self._sizes, dtype=losses.dtype, device=losses.device)
        return n_rows.view(-1, *([1] * (losses.dim() - 1))).expand_as(losses)


class SummedLosses(NamedTuple):
    """The mean losses of an epoch, and the weights of the labels, of shape (n_members, n_tasks)."""

    by_member: Tensor
    weight: Tensor

    @property
    def labelled(self) -> Tensor:
        """Which tasks had a label, member by member."""
        return self.weight > 0

    def by_task(self) -> Tensor:
        """The mean over the members, of shape (n_tasks,)."""
        labelled = self.labelled
        return (self.by_member * labelled).sum(dim=0) / labelled.sum(dim=0).clamp(min=1)

    def watched(self, shares: Sequence[float]) -> list[float]:
        """The weighted mean over the tasks, member by member."""
        members = zip(self.by_member.tolist(), self.labelled.tolist(), strict=True)
        return [watched_loss(own, labelled, shares) for own, labelled in members]


def refuse_infinite(losses: Sequence[float], task_names: Sequence[str], *, epoch: int, validation: bool) -> None:
    """Whether all losses of an epoch are numbers, which later ones are not when one is not."""
    for name, loss in zip(task_names, losses, strict=True):
        if not math.isfinite(loss):
            what = f"loss of task {name!r} is {loss} in epoch {epoch}"
            if validation:
                what = f"validation {what}, as it is of features far larger than those that are trained on"
            raise diverged(what)


def diverged(what: str) -> DivergenceError:
    """The error that says what to do where a training has come to this."""
    return DivergenceError(
        f"Training diverged: {what}. Try a smaller learning_rate (or weight_decay, gate_balance), "
        "features of about unit scale (sklearn.preprocessing.StandardScaler before the estimator), or "
        "callbacks=[skorch.callbacks.GradientNormClipping(1.0)]."
    )
