"""Layers of many experts, gates or towers at once (torch only)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from sklearn_mmoe._common.memory import require_room
from sklearn_mmoe.nn._rows import SparseRows
from sklearn_mmoe.nn._sparse import sparse_linear, sparse_product

SMALL = 400  # products of a matmul: with fewer, torch's CPU kernel of batched ones goes number by number
MOST_ROWS_MORE = 4  # that zeros are added up to
FEW = 16  # numbers: a vector of them is what CPUs take at once
# The arguments that say how large a layer is
SIZES = (
    *("n_features", "n_members", "n_experts", "n_task_experts"),
    *("expert_layer_sizes", "gate_layer_sizes", "tower_layer_sizes"),
)


class Linear(nn.Linear):
    """A linear layer that takes sparse rows, too, and tables of several members, each read by a share of the units."""

    sparse = False  # whether they give its weight a sparse gradient
    scale = 1.0  # of its inputs, where they are dense

    def __init__(self, n_in: int, n_out: int) -> None:
        require_room((n_out, n_in), SIZES)
        super().__init__(n_in, n_out)

    def forward(self, x: Tensor | SparseRows) -> Tensor:
        if isinstance(x, SparseRows):
            return sparse_linear(x, self.weight, self.bias, sparse_gradient=self.sparse)
        if x.dim() == 3:  # (n_members, n_rows, n_in) -> (n_rows, n_out)
            weight, bias = self.weight.view(len(x), -1, x.shape[2]), self.bias.view(len(x), 1, -1)
            return torch.baddbmm(bias, x, weight.transpose(1, 2), alpha=self.scale).transpose(0, 1).flatten(1)
        return torch.addmm(self.bias, x, self.weight.T, alpha=self.scale)


class BatchedLinear(nn.Module):
    """`n_layers` independent linear layers in one matmul: (n_layers, n_rows, n_in) -> (n_layers, n_rows, n_out).

    Sparse rows are one input for all layers, and give the weight a sparse gradient if `sparse` says so.
    """

    def __init__(self, n_layers: int, n_in: int, n_out: int, sparse: bool = False) -> None:
        super().__init__()
        self.sparse = sparse
        require_room((n_layers, n_in, n_out), SIZES)
        self.weight = nn.Parameter(torch.empty(n_layers, n_in, n_out))
        self.bias = nn.Parameter(torch.empty(n_layers, 1, n_out))
        _initialize_as_linear(self.weight, self.bias, n_in)

    def forward(self, x: Tensor | SparseRows) -> Tensor:
        if isinstance(x, SparseRows):
            return self.bias + sparse_product(x, self.weight, sparse_gradient=self.sparse)
        return torch.baddbmm(self.bias, x, self.weight)

    def extra_repr(self) -> str:
        n_layers, n_in, n_out = self.weight.shape
        return f"{n_layers} x ({n_in} -> {n_out})"


class Heads(nn.Module):
    """The last linear layer of every tower: (n_tasks, n_rows, n_in) -> (n_rows, sum(widths)).

    The parameters are stored side by side, one row per output. Where the widths differ, they are laid out on a grid as
    wide as the widest task for one batched matmul, and the unused cells are left out of the result.
    """

    slots: Tensor | None

    def __init__(self, n_in: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.n_tasks, self.width = len(widths), max(widths)
        require_room((sum(widths), n_in), (*SIZES, "task_outputs"))
        self.weight = nn.Parameter(torch.empty(sum(widths), n_in))
        self.bias = nn.Parameter(torch.empty(sum(widths)))
        _initialize_as_linear(self.weight, self.bias, n_in)
        slots = [task * self.width + i for task, width in enumerate(widths) for i in range(width)]
        self.register_buffer("slots", None if min(widths) == self.width else torch.tensor(slots), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if self.slots is not None:
            cells = self.n_tasks * self.width
            weight = weight.new_zeros(cells, weight.shape[1]).index_copy(0, self.slots, weight)
            bias = bias.new_zeros(cells).index_copy(0, self.slots, bias)
        weight = weight.view(self.n_tasks, self.width, -1).transpose(1, 2)
        out = torch.baddbmm(bias.view(self.n_tasks, 1, self.width), x, weight)
        out = out.transpose(0, 1).flatten(1)
        return out if self.slots is None else out.index_select(1, self.slots)

    @torch.no_grad()
    def rescale(self, factor: Tensor, shift: Tensor) -> None:
        """Make each output `factor * output + shift` of what it was; both of shape (sum(widths),)."""
        self.weight.mul_(factor.unsqueeze(1))
        self.bias.mul_(factor).add_(shift)

    def extra_repr(self) -> str:
        return f"{self.n_tasks} tasks: {self.weight.shape[1]} -> {self.weight.shape[0]} outputs"


def softmax(logits: Tensor) -> Tensor:
    """torch's over the last dimension; over few logits, which CPUs take one by one there, as over the first one.

    With 12 gates of 4 experts, 8,192 rows take 2 ms in place of 8 on one core.
    """
    if logits.shape[-1] >= FEW:
        return torch.softmax(logits, dim=-1)
    return torch.softmax(logits.flatten(0, -2).t().contiguous(), dim=0).t().contiguous().view(logits.shape)


def mixtures(gates: Tensor, experts: Tensor) -> Tensor:
    """What gates let through of experts: (n, n_gates, n_experts) @ (n, n_experts, n_units), a matmul for each row.

    Gates of zeros are added where a row's matmul would be a small one. 3 gates of 2 experts of 64 units take 1.3 ms in
    place of 3.6 for 2,048 rows and their gradients, on one core; one gate of 4 such experts .5 in place of 1.5 for
    1,024.
    """
    n_gates = gates.shape[1]
    enough = -(-SMALL // (experts.shape[1] * experts.shape[2]))
    if not gates.is_cpu or not n_gates < enough <= MOST_ROWS_MORE:
        return torch.bmm(gates, experts)
    return torch.bmm(pad(gates, (0, 0, 0, enough - n_gates)), experts)[:, :n_gates]


def _initialize_as_linear(weight: nn.Parameter, bias: nn.Parameter, n_in: int) -> None:
    """Draw what `torch.nn.Linear` would: its `kaiming_uniform_(a=sqrt(5))` is uniform within 1 / sqrt(fan in)."""
    bound = 1 / math.sqrt(n_in)
    nn.init.uniform_(weight, -bound, bound)
    nn.init.uniform_(bias, -bound, bound)
