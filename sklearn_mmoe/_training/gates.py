"""What the gates do with the experts: how evenly they use them, and whether that has collapsed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr
from torch import Tensor

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe.exceptions import ExpertCollapseWarning

ALL_WEIGHT = 0.99  # mean weight from which on a task listens to one expert only
NO_WEIGHT = 0.01  # share of an equal weight, 1 / n_experts, below which an expert is not used


def usage_in_batch(gates: Tensor, n_members: int = 1) -> Tensor:
    """Mean weight of each expert over rows and tasks, of shape (n_members, n_experts).

    Parameters
    ----------
    gates : Tensor of shape (n_rows, n_members * n_gates, n_experts)
    """
    return gates.view(len(gates), n_members, -1, gates.shape[-1]).mean(dim=(0, 2))


def usage_imbalance(usage: Tensor) -> Tensor:
    """Squared coefficient of variation of the weight that each expert gets over rows and tasks, mean of all members.

    That is the importance loss of Shazeer et al. (2017, "Outrageously Large Neural Networks"): 0 where all experts get
    the same weight, n_experts - 1 where one gets it all. A single row or task may still choose as it likes.

    Parameters
    ----------
    usage : Tensor of shape (n_members, n_experts)
    """
    return usage.shape[-1] * usage.square().sum(dim=-1).mean() - 1


def expert_usage(gates: FloatArray) -> NDArray[np.float64]:
    """Mean weight of each expert: gates of shape (n_rows, n_tasks, n_experts) -> (n_tasks, n_experts)."""
    return np.asarray(gates.mean(axis=0, dtype=np.float64))


def gate_entropy(gates: FloatArray, n_members: int = 1) -> NDArray[np.float64]:
    """Mean entropy of each task's gate, in nats, over rows and members.

    Gates of shape (n_rows, n_tasks, n_members * n_experts) -> (n_tasks,).
    """
    # Weights of an ensemble are those in each member by n_members, which adds log(n_members) to what is surprising
    return np.asarray(entr(gates.astype(np.float64)).sum(axis=2).mean(axis=0) - np.log(n_members))


def warn_of_collapse(
    usage: NDArray[np.float64], task_names: Sequence[str], n_members: int = 1, n_task_experts: int = 0
) -> None:
    """Warn if a task has put all its weight on one shared expert of a member, or if such an expert is used by nobody.

    Where tasks have experts of their own, a task may well listen to these alone, or not at all.
    """
    n_experts = usage.shape[1] // n_members
    n_shared = n_experts - len(usage) * n_task_experts
    if n_experts == 1:
        return
    columns = np.arange(usage.shape[1]).reshape(n_members, n_experts)[:, :n_shared].ravel()
    usage = usage[:, columns] * n_members
    alone = [f"{name!r} on expert {columns[k]}" for name, k, top in _favourites(usage, task_names) if top > ALL_WEIGHT]
    idle = columns[usage.max(axis=0) < NO_WEIGHT / n_experts].tolist()
    found = []
    if alone:
        found.append(f"all weight of task {', '.join(alone)}")
    if idle:
        found.append(f"no weight of any task on expert{'s' if len(idle) > 1 else ''} {', '.join(map(str, idle))}")
    if found:
        warnings.warn(
            f"The gates have collapsed: {'; '.join(found)}. Try gate_balance=0.01, gate_dropout=0.1, a smaller "
            "learning_rate, features of about unit scale, or fewer experts. expert_usage_ shows the weights.",
            ExpertCollapseWarning,
            stacklevel=2,
        )


def _favourites(usage: NDArray[np.float64], task_names: Sequence[str]) -> list[tuple[str, int, float]]:
    best = usage.argmax(axis=1)
    return [(name, int(k), float(row[k])) for name, k, row in zip(task_names, best, usage, strict=True)]
