"""What the gates do with the experts: how evenly they use them, and whether that has collapsed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr
from torch import Tensor

from sklearn_mmoe._validation import FloatArray
from sklearn_mmoe.exceptions import ExpertCollapseWarning

ALL_WEIGHT = 0.99  # mean weight from which on a task listens to one expert only
NO_WEIGHT = 0.01  # share of an equal weight, 1 / n_experts, below which an expert is not used


def usage_imbalance(gates: Tensor) -> Tensor:
    """Squared coefficient of variation of the weight that each expert gets over rows and tasks.

    That is the importance loss of Shazeer et al. (2017, "Outrageously Large Neural Networks"): 0 where all experts get
    the same weight, n_experts - 1 where one gets it all. A single row or task may still choose as it likes.

    Parameters
    ----------
    gates : Tensor of shape (n_rows, n_gates, n_experts)
    """
    usage = gates.mean(dim=(0, 1))
    return len(usage) * usage.square().sum() - 1


def expert_usage(gates: FloatArray) -> NDArray[np.float64]:
    """Mean weight of each expert: gates of shape (n_rows, n_tasks, n_experts) -> (n_tasks, n_experts)."""
    return np.asarray(gates.mean(axis=0, dtype=np.float64))


def gate_entropy(gates: FloatArray) -> NDArray[np.float64]:
    """Mean entropy of each task's gate, in nats: gates of shape (n_rows, n_tasks, n_experts) -> (n_tasks,)."""
    return np.asarray(entr(gates.astype(np.float64)).sum(axis=2).mean(axis=0))


def warn_of_collapse(usage: NDArray[np.float64], task_names: Sequence[str]) -> None:
    """Warn if a task has put all its weight on one expert, or if an expert is used by nobody."""
    n_experts = usage.shape[1]
    if n_experts == 1:
        return
    alone = [f"{name!r} on expert {k}" for name, k, top in _favourites(usage, task_names) if top > ALL_WEIGHT]
    idle = np.flatnonzero(usage.max(axis=0) < NO_WEIGHT / n_experts).tolist()
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
