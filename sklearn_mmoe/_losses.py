"""The losses of all tasks of a batch, one call per kind of loss: (outputs, targets) -> one mean loss per task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearn_mmoe._encoding import Tasks, output_slices
from sklearn_mmoe._fitted_tasks import FittedRegression


class TaskLosses(nn.Module):
    """Mean loss of every task over its own labelled weight.

    Parameters
    ----------
    tasks : tuple of fitted tasks
    dtype : torch.dtype
    """

    order: Tensor | None

    def __init__(self, tasks: Tasks, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.n_tasks = len(tasks)
        self.tiny = torch.finfo(dtype).tiny
        kinds = list(dict.fromkeys(task.loss for task in tasks))
        members = [[t for t, task in enumerate(tasks) if task.loss == kind] for kind in kinds]
        slices = output_slices(tasks)
        self.groups = nn.ModuleList()
        for kind, own in zip(kinds, members, strict=True):
            if kind == "cross_entropy":
                self.groups.append(_MulticlassGroup(own, [slices[t] for t in own]))
            elif kind == "quantile":
                quantiles = torch.tensor(
                    [task.quantile for task in tasks if isinstance(task, FittedRegression) and task.loss == kind],
                    dtype=dtype,
                )
                self.groups.append(_QuantileGroup(own, [slices[t].start for t in own], quantiles))
            else:
                self.groups.append(_PointwiseGroup(kind, own, [slices[t].start for t in own]))
        shuffled = [t for own in members for t in own]
        order = None if shuffled == sorted(shuffled) else torch.tensor([shuffled.index(t) for t in range(self.n_tasks)])
        self.register_buffer("order", order, persistent=False)

    def forward(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        """Losses of one batch.

        Parameters
        ----------
        outputs : Tensor of shape (n_rows, sum of widths)
        targets : Tensor of shape (n_rows, n_tasks) or (n_rows, 2 * n_tasks)
            Encoded labels, then, if cells differ in weight, the weight of each cell.

        Returns
        -------
        losses : Tensor of shape (n_tasks,)
            0 for a task without a label in this batch.
        weight : Tensor of shape (n_tasks,) or None
            The labelled weight of each task; None where every row counts as 1.
        """
        labels, weights = targets[:, : self.n_tasks], None
        if targets.shape[1] > self.n_tasks:
            weights = targets[:, self.n_tasks :]
        cells = [group(outputs, labels, weights) for group in self.groups]
        losses = cells[0] if len(cells) == 1 else torch.cat(cells, dim=1)
        if self.order is not None:
            losses = losses.index_select(1, self.order)
        if weights is None:
            return losses.mean(dim=0), None
        weight = weights.sum(dim=0)
        shares = weights / weight.clamp(min=self.tiny)  # before the losses come in: nothing of it needs a gradient
        return (shares * losses).sum(dim=0), weight


class _PointwiseGroup(nn.Module):
    """Tasks with one output each that share a loss: (n_rows, n_own) losses."""

    def __init__(self, kind: str, tasks: Sequence[int], columns: Sequence[int]) -> None:
        super().__init__()
        self.kind = kind
        self.outputs = _Columns(columns)
        self.labels = _Columns(tasks)

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        outputs = self.outputs(outputs)
        if self.kind == "poisson" and weights is not None:
            # The exponential of an unlabelled row may overflow, and infinity times weight 0 is NaN.
            outputs = torch.where(self.labels(weights) > 0, outputs, 0.0)
        return _POINTWISE[self.kind](outputs, self.labels(labels))

    def extra_repr(self) -> str:
        return self.kind


class _QuantileGroup(nn.Module):
    """Tasks that each predict a quantile of their own: (n_rows, n_own) pinball losses."""

    quantiles: Tensor

    def __init__(self, tasks: Sequence[int], columns: Sequence[int], quantiles: Tensor) -> None:
        super().__init__()
        self.outputs = _Columns(columns)
        self.labels = _Columns(tasks)
        self.register_buffer("quantiles", quantiles, persistent=False)

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        error = self.labels(labels) - self.outputs(outputs)
        return torch.maximum(self.quantiles * error, (self.quantiles - 1) * error)

    def extra_repr(self) -> str:
        return "quantile"


class _MulticlassGroup(nn.Module):
    """Multiclass tasks, laid out on a grid as wide as the one with most classes: (n_rows, n_own) cross-entropies."""

    grid: Tensor | None

    def __init__(self, tasks: Sequence[int], columns: Sequence[slice]) -> None:
        super().__init__()
        self.labels = _Columns(tasks)
        widths = [own.stop - own.start for own in columns]
        self.n_own, self.width = len(widths), max(widths)
        self.outputs = _Columns([i for own in columns for i in range(own.start, own.stop)])
        grid = None
        if min(widths) != self.width:
            past_the_end = sum(widths)  # a column of -inf stands there: probability 0, gradient 0
            starts = [sum(widths[:i]) for i in range(self.n_own)]
            grid = torch.full((self.n_own, self.width), past_the_end)
            for row, start, width in zip(grid, starts, widths, strict=True):
                row[:width] = torch.arange(start, start + width)
            grid = grid.flatten()
        self.register_buffer("grid", grid, persistent=False)

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        logits = self.outputs(outputs)
        if self.grid is not None:
            logits = F.pad(logits, (0, 1), value=-torch.inf).index_select(1, self.grid)
        log_probabilities = torch.log_softmax(logits.unflatten(1, (self.n_own, self.width)), dim=-1)
        codes = self.labels(labels).long().unsqueeze(-1)
        return -log_probabilities.gather(-1, codes).squeeze(-1)

    def extra_repr(self) -> str:
        return "cross_entropy"


class _Columns(nn.Module):
    """Pick columns: a view where they stand side by side, a gather where they do not."""

    index: Tensor | None

    def __init__(self, columns: Sequence[int]) -> None:
        super().__init__()
        self.start, self.stop = columns[0], columns[-1] + 1
        adjacent = list(columns) == list(range(self.start, self.stop))
        self.register_buffer("index", None if adjacent else torch.tensor(columns), persistent=False)

    def forward(self, table: Tensor) -> Tensor:
        return table[:, self.start : self.stop] if self.index is None else table.index_select(1, self.index)


_POINTWISE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared_error": partial(F.mse_loss, reduction="none"),
    "absolute_error": partial(F.l1_loss, reduction="none"),
    "huber": partial(F.huber_loss, reduction="none"),
    "poisson": partial(F.poisson_nll_loss, reduction="none"),
    "log_loss": partial(F.binary_cross_entropy_with_logits, reduction="none"),
}
