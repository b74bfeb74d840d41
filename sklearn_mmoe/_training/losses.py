"""The losses of all tasks of a batch, one call per kind of loss: (outputs, targets) -> one mean loss per task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearn_mmoe.tasks._encoding import Tasks, output_slices
from sklearn_mmoe.tasks._fitted import DEVIANCES, FittedClassification, FittedTask
from sklearn_mmoe.tasks._logits import cumulative_log_probabilities

TRAINED_ON, HELD_OUT = 1, -1  # the role of a row for a member; 0 is none


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
        kinds = list(dict.fromkeys(_kind(task) for task in tasks))
        members = [[t for t, task in enumerate(tasks) if _kind(task) == kind] for kind in kinds]
        self.groups = nn.ModuleList(
            _make_group(kind, tasks, own, dtype) for kind, own in zip(kinds, members, strict=True)
        )
        shuffled = [t for own in members for t in own]
        order = None if shuffled == sorted(shuffled) else torch.tensor([shuffled.index(t) for t in range(self.n_tasks)])
        self.register_buffer("order", order, persistent=False)

    def forward(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        """Losses of one batch.

        Parameters
        ----------
        outputs : Tensor of shape (n_rows, sum of widths), or (n_members, n_rows, sum of widths)
        targets : Tensor of shape (n_rows, n_tasks), (n_rows, 2 * n_tasks) or (n_rows, 2 * n_tasks + n_members)
            Encoded labels; then, if cells differ in weight, the weight of each cell; then, if members are trained on
            different rows, the role of the row for each: it counts in training, in validation, or not at all.

        Returns
        -------
        losses : Tensor of shape (n_tasks,), or (n_members, n_tasks)
            0 for a task without a label in this batch.
        weight : Tensor of the same shape, or None
            The labelled weight of each task; None where every row counts as 1.
        """
        members = outputs.shape[:-2]
        labels, weights = self._labels_and_weights(targets, members)
        if members:
            outputs = outputs.flatten(0, 1)
        cells = [group(outputs, labels, weights) for group in self.groups]
        losses = cells[0] if len(cells) == 1 else torch.cat(cells, dim=1)
        if self.order is not None:
            losses = losses.index_select(1, self.order)
        if members:
            losses = losses.view(*members, -1, self.n_tasks)
            weights = None if weights is None else weights.view(*members, -1, self.n_tasks)
        if weights is None:
            return losses.mean(dim=-2), None
        weight = weights.sum(dim=-2, keepdim=True)
        shares = weights / weight.clamp(min=self.tiny)  # before the losses come in: nothing of it needs a gradient
        return (shares * losses).sum(dim=-2), weight.squeeze(-2)

    def _labels_and_weights(self, targets: Tensor, members: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """What each row of each member is compared with; `members` is (n_members,), or () of a single network."""
        labels = targets[:, : self.n_tasks]
        weights = targets[:, self.n_tasks : 2 * self.n_tasks] if targets.shape[1] > self.n_tasks else None
        counts = None
        if targets.shape[1] > 2 * self.n_tasks:
            counts = targets[:, 2 * self.n_tasks :] == (TRAINED_ON if self.training else HELD_OUT)
        if not members:  # a module that knows of none is the first one
            return labels, weights if weights is None or counts is None else weights * counts[:, :1]
        labels = labels.expand(*members, -1, -1).flatten(0, 1)
        if weights is None:
            return labels, None
        weights = weights.expand(*members, -1, -1)
        if counts is not None:
            weights = weights * counts.T.unsqueeze(-1)
        return labels, weights.flatten(0, 1)


def _kind(task: FittedTask) -> str:
    """The name under which tasks share one call."""
    return f"focal_{task.loss}" if isinstance(task, FittedClassification) and task.focal_gamma else task.loss


def _make_group(kind: str, tasks: Tasks, own: Sequence[int], dtype: torch.dtype) -> nn.Module:
    slices = output_slices(tasks)
    columns = [slices[t] for t in own]
    match kind:
        case "cross_entropy":
            return _MulticlassGroup(own, columns)
        case "focal_cross_entropy":
            return _FocalMulticlassGroup(own, columns, _parameters("focal_gamma", tasks, own, dtype))
        case "focal_log_loss":
            return _FocalBinaryGroup(own, columns, _parameters("focal_gamma", tasks, own, dtype))
        case "ordinal":
            return _OrdinalGroup(own, columns)
        case "quantile":
            return _QuantileGroup(own, columns, _parameters("quantile", tasks, own, dtype))
        case _:
            return _PointwiseGroup(kind, own, columns)


def _parameters(name: str, tasks: Tasks, own: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A number that each task of a group has of its own."""
    return torch.tensor([getattr(tasks[t], name) for t in own], dtype=dtype)


# --------------------------------------------------------------------------------------------------------------------
# Groups of tasks with one output each


class _SingleGroup(nn.Module):
    """Tasks with one output each: (n_rows, n_own) losses."""

    def __init__(self, kind: str, tasks: Sequence[int], columns: Sequence[slice]) -> None:
        super().__init__()
        self.kind = kind
        self.outputs = _Columns([own.start for own in columns])
        self.labels = _Columns(tasks)

    def extra_repr(self) -> str:
        return self.kind


class _PointwiseGroup(_SingleGroup):
    """Tasks that share a loss."""

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        outputs = self.outputs(outputs)
        if self.kind in DEVIANCES and weights is not None:
            # The exponential of an unlabelled row may overflow, and infinity times weight 0 is NaN.
            outputs = torch.where(self.labels(weights) > 0, outputs, 0.0)
        return _POINTWISE[self.kind](outputs, self.labels(labels))


class _QuantileGroup(_SingleGroup):
    """Tasks that each predict a quantile of their own, by pinball losses."""

    quantiles: Tensor

    def __init__(self, tasks: Sequence[int], columns: Sequence[slice], quantiles: Tensor) -> None:
        super().__init__("quantile", tasks, columns)
        self.register_buffer("quantiles", quantiles, persistent=False)

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        error = self.labels(labels) - self.outputs(outputs)
        return torch.maximum(self.quantiles * error, (self.quantiles - 1) * error)


class _FocalBinaryGroup(_SingleGroup):
    """Binary tasks with focal losses, each with an exponent of its own."""

    gammas: Tensor

    def __init__(self, tasks: Sequence[int], columns: Sequence[slice], gammas: Tensor) -> None:
        super().__init__("focal log_loss", tasks, columns)
        self.register_buffer("gammas", gammas, persistent=False)

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        logits = self.outputs(outputs) * (2 * self.labels(labels) - 1)  # of the label that there is
        return -torch.exp(self.gammas * F.logsigmoid(-logits)) * F.logsigmoid(logits)


# --------------------------------------------------------------------------------------------------------------------
# Groups of tasks with several outputs each


class _GridGroup(nn.Module):
    """Tasks of several outputs, laid out on a grid as wide as the widest: (n_rows, n_own) losses.

    Parameters
    ----------
    padding : float
        What stands where a task has fewer outputs than the widest.
    """

    grid: Tensor | None

    def __init__(self, tasks: Sequence[int], columns: Sequence[slice], padding: float) -> None:
        super().__init__()
        self.labels = _Columns(tasks)
        self.padding = padding
        widths = [own.stop - own.start for own in columns]
        self.n_own, self.width = len(widths), max(widths)
        self.outputs = _Columns([i for own in columns for i in range(own.start, own.stop)])
        grid = None
        if min(widths) != self.width:
            past_the_end = sum(widths)  # a column of the padding stands there
            starts = [sum(widths[:i]) for i in range(self.n_own)]
            grid = torch.full((self.n_own, self.width), past_the_end)
            for row, start, width in zip(grid, starts, widths, strict=True):
                row[:width] = torch.arange(start, start + width)
            grid = grid.flatten()
        self.register_buffer("grid", grid, persistent=False)

    def on_grid(self, outputs: Tensor) -> Tensor:
        """The group's outputs, of shape (n_rows, n_own, width)."""
        own: Tensor = self.outputs(outputs)
        if self.grid is not None:
            own = F.pad(own, (0, 1), value=self.padding).index_select(1, self.grid)
        return own.view(len(own), self.n_own, self.width)

    def codes(self, labels: Tensor) -> Tensor:
        """Which class each label is, of shape (n_rows, n_own, 1)."""
        return self.labels(labels).long().unsqueeze(-1)


class _MulticlassGroup(_GridGroup):
    """Multiclass tasks: cross-entropies. The padding has probability 0 and gradient 0."""

    def __init__(self, tasks: Sequence[int], columns: Sequence[slice]) -> None:
        super().__init__(tasks, columns, padding=-torch.inf)

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        log_probabilities = torch.log_softmax(self.on_grid(outputs), dim=-1)
        return -log_probabilities.gather(-1, self.codes(labels)).squeeze(-1)

    def extra_repr(self) -> str:
        return "cross_entropy"


class _FocalMulticlassGroup(_MulticlassGroup):
    """Multiclass tasks with focal losses, each with an exponent of its own."""

    gammas: Tensor

    def __init__(self, tasks: Sequence[int], columns: Sequence[slice], gammas: Tensor) -> None:
        super().__init__(tasks, columns)
        self.register_buffer("gammas", gammas, persistent=False)

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        log_probabilities = torch.log_softmax(self.on_grid(outputs), dim=-1)
        codes = self.codes(labels)
        # log(1 - p) as the sum over the other classes: the difference from 1 would lose the digits of a small rest
        rest = log_probabilities.scatter(-1, codes, -torch.inf).logsumexp(dim=-1)
        return -torch.exp(self.gammas * rest) * log_probabilities.gather(-1, codes).squeeze(-1)

    def extra_repr(self) -> str:
        return "focal cross_entropy"


class _OrdinalGroup(_GridGroup):
    """Ordinal tasks: negative log-likelihoods of cumulative logits. A step of infinity is the padding: nothing lies
    beyond it.
    """

    def __init__(self, tasks: Sequence[int], columns: Sequence[slice]) -> None:
        super().__init__(tasks, columns, padding=torch.inf)

    def forward(self, outputs: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        log_probabilities = cumulative_log_probabilities(self.on_grid(outputs))
        return -log_probabilities.gather(-1, self.codes(labels)).squeeze(-1)

    def extra_repr(self) -> str:
        return "ordinal"


# --------------------------------------------------------------------------------------------------------------------


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


def _gamma_loss(outputs: Tensor, labels: Tensor) -> Tensor:
    """Half the gamma deviance of means exp(outputs), but for what does not depend on them."""
    return torch.exp(-outputs) * labels + outputs


_POINTWISE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared_error": partial(F.mse_loss, reduction="none"),
    "absolute_error": partial(F.l1_loss, reduction="none"),
    "huber": partial(F.huber_loss, reduction="none"),
    "poisson": partial(F.poisson_nll_loss, reduction="none"),
    "gamma": _gamma_loss,
    "log_loss": partial(F.binary_cross_entropy_with_logits, reduction="none"),
}
