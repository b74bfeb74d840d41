"""How the losses of the tasks become one loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class FixedWeights(nn.Module):
    """The weighted mean of the task losses.

    Parameters
    ----------
    weights : sequence of float
        One weight per task, with mean 1.
    dtype : torch.dtype
    """

    weights: Tensor

    def __init__(self, weights: Sequence[float], dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.equal = all(weight == 1.0 for weight in weights)
        self.register_buffer("weights", torch.tensor(weights, dtype=dtype), persistent=False)

    def forward(self, losses: Tensor) -> Tensor:
        """Losses of shape (n_tasks,) -> one loss."""
        return losses.mean() if self.equal else (losses * self.weights).mean()

    def task_weights(self) -> Tensor:
        """The weights in force, of shape (n_tasks,)."""
        return self.weights


def check_task_weights(task_weights: Any, task_names: Sequence[str]) -> NDArray[np.float64]:
    """Check fixed task weights and scale them to mean 1, so that they do not change the learning rate.

    Parameters
    ----------
    task_weights : None, sequence of float or mapping of task name to float

    Returns
    -------
    ndarray of shape (n_tasks,)
    """
    if task_weights is None:
        return np.ones(len(task_names))
    if isinstance(task_weights, Mapping):
        unknown = [name for name in task_weights if name not in task_names]
        lacking = [name for name in task_names if name not in task_weights]
        if unknown or lacking:
            raise ValueError(
                f"task_weights must name each task once. Unknown: {unknown}; lacking: {lacking}; "
                f"the tasks are {list(task_names)}."
            )
        task_weights = [task_weights[name] for name in task_names]
    try:
        weights = np.asarray(task_weights, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"task_weights must be numbers, got {task_weights!r}.") from error
    if weights.shape != (len(task_names),):
        raise ValueError(
            f"task_weights must hold {len(task_names)} numbers, one per task {list(task_names)}; "
            f"got an array of shape {weights.shape}."
        )
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError(f"task_weights must be finite, 0 or more, and not all 0; got {weights.tolist()}.")
    return np.asarray(weights / weights.mean())
