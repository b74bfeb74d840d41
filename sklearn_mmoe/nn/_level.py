"""Experts and the gates over them: one level of a network, which may have several, one behind the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor, nn

from sklearn_mmoe.nn._layers import BatchedLinear, Linear, mixtures, softmax
from sklearn_mmoe.nn._rows import SparseRows

MOST_LEVELS = 100  # more are a mistake


@dataclass(frozen=True)
class Plan:
    """What all levels of a network have in common."""

    n_members: int
    n_tasks: int
    n_gates: int  # of each member: one for each task, or one for all
    n_experts: int  # of each member, for all tasks
    n_task_experts: int  # of each member and task
    expert_layer_sizes: tuple[int, ...]
    gate_layer_sizes: tuple[int, ...]
    hidden: Callable[[], list[nn.Module]]  # what follows a hidden layer
    final_expert_activation: bool
    gate_dropout: float


class Level(nn.Module):
    """Experts that all tasks share, experts of single tasks, and gates that mix them. `_build` makes the layers."""

    shared_gate_input_layer: Linear
    shared_gate_layers: nn.Sequential

    def _build(self, plan: Plan, n_in: int, *, goes_on: bool, sparse: bool = False, gate_scale: float = 1.0) -> Self:
        """Make the layers; with a gate for the shared experts of the next level, if it `goes_on`."""
        self.n_members, self.n_tasks, self.n_gates = plan.n_members, plan.n_tasks, plan.n_gates
        self.n_experts, self.n_task_experts = plan.n_experts, plan.n_task_experts
        self.gate_dropout = plan.gate_dropout
        self.expert_layers = _expert_layers(plan, self.n_members * self.n_experts, n_in, sparse)
        self.task_expert_layers = None
        if self.n_task_experts:
            n_own = self.n_members * self.n_tasks * self.n_task_experts
            self.task_expert_layers = _expert_layers(plan, n_own, n_in, sparse)
        n_read, n_all = self.n_experts + self.n_task_experts, self.n_experts + self.n_tasks * self.n_task_experts
        self.gate_input_layer, self.gate_layers = _gate_layers(plan, self.n_members * self.n_gates, n_in, n_read)
        self.gate_input_layer.sparse, self.gate_input_layer.scale = sparse, gate_scale
        self.goes_on = goes_on
        if goes_on:
            self.shared_gate_input_layer, self.shared_gate_layers = _gate_layers(plan, self.n_members, n_in, n_all)
            self.shared_gate_input_layer.sparse, self.shared_gate_input_layer.scale = sparse, gate_scale
        return self

    def _mixed(self, x: Tensor | SparseRows, by_task: Tensor | SparseRows, gates: Tensor) -> tuple[Tensor, Tensor]:
        """What gates let through of the experts, for the towers or for what is of a task in the next level.

        Parameters
        ----------
        x : Tensor or SparseRows
            What shared experts read, of shape (n_rows, n_in), or (n_members, n_rows, n_in).
        by_task : Tensor or SparseRows
            What experts of single tasks read, of such shapes, or of shape (n_members * n_tasks, n_rows, n_in).
        gates : Tensor of shape (n_rows, n_members * n_gates, n_experts + n_task_experts)
            As `_gates` gives them.

        Returns
        -------
        mixed : Tensor of shape (n_members * n_gates, n_rows, n_units)
        shared : Tensor of shape (n_members, n_rows, n_units)
            The same for shared experts of the next level; in the last one, the same as `mixed`.
        """
        experts = self.expert_layers(_read_by(x, self.n_members * self.n_experts)).transpose(0, 1)
        mixed = self._through(gates[..., : self.n_experts] if self.n_task_experts else gates, experts, self.n_gates)
        if self.task_expert_layers is not None:
            n_own = self.n_members * self.n_tasks * self.n_task_experts
            own = self.task_expert_layers(_read_by(by_task, n_own))
            weights = gates[..., self.n_experts :].permute(1, 2, 0).unsqueeze(-1)
            mixed = mixed + (weights * own.view(-1, self.n_task_experts, *own.shape[1:])).sum(dim=1)
            experts = self._beside(experts, own)
        return mixed, self._through(self._shared_gates(x), experts, 1) if self.goes_on else mixed

    def _gates(self, x: Tensor | SparseRows) -> Tensor:
        """(n_rows, n_in), or a table for each member or gate -> (n_rows, n_members * n_gates, n_experts + own)."""
        logits = _logits(self.gate_input_layer, self.gate_layers, x, self.n_members * self.n_gates)
        return softmax(self._dropped(logits) if self.training and self.gate_dropout else logits)

    def _gates_over_all(self, gates: Tensor) -> Tensor:
        """Weights of all experts of all members, also of those that a task does not read: 0.

        Returns
        -------
        Tensor of shape (n_rows, n_tasks, n_members * (n_experts + n_tasks * n_task_experts))
            Of each member first the shared experts, then those of each task.
        """
        gates = self._by_member(gates) / self.n_members
        if self.n_task_experts:
            own = torch.eye(self.n_tasks, dtype=gates.dtype, device=gates.device).unsqueeze(-1)
            placed = (gates[..., self.n_experts :].unsqueeze(3) * own).flatten(3)
            gates = torch.cat([gates[..., : self.n_experts], placed], dim=-1)
        return gates.expand(-1, -1, self.n_tasks, -1).transpose(1, 2).flatten(2)

    def _shared_gates(self, x: Tensor | SparseRows) -> Tensor:
        return softmax(_logits(self.shared_gate_input_layer, self.shared_gate_layers, x, self.n_members))

    def _beside(self, experts: Tensor, own: Tensor) -> Tensor:
        """Those of all tasks beside the shared ones: (n_rows, n_members * (n_experts + n_tasks * own), n_units)."""
        n_rows, _, n_units = experts.shape
        parts = [part.reshape(n_rows, self.n_members, -1, n_units) for part in (experts, own.transpose(0, 1))]
        return torch.cat(parts, dim=2).flatten(1, 2)

    def _through(self, gates: Tensor, experts: Tensor, n_gates: int) -> Tensor:
        """(n_rows, n_members * n_gates, k), (n_rows, n_members * k, units) -> (n_members * n_gates, n_rows, units)."""
        n_rows, _, n_units = experts.shape
        if self.n_members > 1:  # a gate sees its own member's
            gates = gates.reshape(n_rows * self.n_members, n_gates, gates.shape[-1])
            experts = experts.reshape(n_rows * self.n_members, gates.shape[-1], n_units)
        return mixtures(gates, experts).reshape(n_rows, self.n_members * n_gates, n_units).transpose(0, 1)

    def _by_member(self, gates: Tensor) -> Tensor:
        """(n_rows, n_members * n_gates, k) -> (n_rows, n_members, n_gates, k)."""
        return gates.view(gates.shape[0], self.n_members, self.n_gates, gates.shape[-1])

    def _dropped(self, logits: Tensor) -> Tensor:
        """Take whole experts away from single rows; the softmax that follows renormalises what is left."""
        by_member = self._by_member(logits)
        dropped = torch.rand_like(by_member[:, :, :1]) < self.gate_dropout
        if self.n_task_experts:  # those of each task by themselves
            own = torch.rand_like(by_member[..., self.n_experts :]) < self.gate_dropout
            shared = dropped[..., : self.n_experts].expand(-1, -1, self.n_gates, -1)
            dropped = torch.cat([shared, own], dim=-1)
        dropped = dropped & ~dropped.all(dim=-1, keepdim=True)
        return by_member.masked_fill(dropped, -math.inf).flatten(1, 2)


def _expert_layers(plan: Plan, n_experts: int, n_in: int, sparse: bool) -> nn.Sequential:
    layers = nn.Sequential()
    for n_read, n_out in pairwise((n_in, *plan.expert_layer_sizes)):
        # the deeper layers read dense rows
        layers.append(BatchedLinear(n_experts, n_read, n_out, sparse and not len(layers))).extend(plan.hidden())
    if not plan.final_expert_activation:
        del layers[-len(plan.hidden())]  # the last activation; a dropout after it stays
    return layers


def _gate_layers(plan: Plan, n_gates: int, n_in: int, n_experts: int) -> tuple[Linear, nn.Sequential]:
    """The first layer, which may read sparse rows, and those after it."""
    sizes = [*plan.gate_layer_sizes, n_experts]
    first, layers = Linear(n_in, n_gates * sizes[0]), nn.Sequential()
    for n_read, n_out in pairwise(sizes):
        layers.extend(plan.hidden()).append(BatchedLinear(n_gates, n_read, n_out))
    return first, layers


def _logits(first: Linear, layers: nn.Sequential, x: Tensor | SparseRows, n_gates: int) -> Tensor:
    """(n_rows, n_in), or (n_parts, n_rows, n_in) -> (n_rows, n_gates, n_experts)."""
    logits = first(x)
    logits = logits.view(logits.shape[0], n_gates, logits.shape[1] // n_gates)
    return layers(logits.transpose(0, 1)).transpose(0, 1) if len(layers) else logits


def _read_by(x: Tensor | SparseRows, n: int) -> Tensor | SparseRows:
    """What n networks read: a table for all, or one for each of as many neighbours; sparse rows go as they are."""
    if isinstance(x, SparseRows):
        return x
    return x.expand(n, -1, -1) if x.dim() == 2 else repeated(x, n // len(x))


def repeated(parts: Tensor, times: int) -> Tensor:
    """Each part several times, one after the other; no copy is made where there is no need."""
    if times == 1:
        return parts
    return parts.expand(times, -1, -1) if len(parts) == 1 else parts.repeat_interleave(times, dim=0)
