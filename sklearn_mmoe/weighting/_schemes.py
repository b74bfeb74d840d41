"""How the losses of the tasks become one loss, or the gradients of the tasks one gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sklearn_mmoe._arrays.foreign import detached, unmasked
from sklearn_mmoe._common.arguments import check_dtype, checked_numbers, checked_size
from sklearn_mmoe._common.memory import require_room
from sklearn_mmoe._common.names import by_index
from sklearn_mmoe._common.words import errors_of, shown
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe.tasks._encoding import Tasks


class Weighting(nn.Module, ABC):
    """What every scheme does. Parameters are learned with those of the network, buffers are saved with the model."""

    @abstractmethod
    def forward(self, losses: Tensor, labelled: Tensor | None = None) -> Tensor:
        """The one loss that is minimised.

        Parameters
        ----------
        losses : Tensor of shape (n_tasks,)
            Those of a batch.
        labelled : Tensor of shape (n_tasks,), default=None
            Above 0 for tasks that have a label in the batch, the others' losses are 0; None where all have.
        """

    @abstractmethod
    def task_weights(self) -> Tensor:
        """The weights in force, of shape (n_tasks,), with mean 1."""

    def backward(
        self, loss: Tensor, losses: Tensor, labelled: Tensor | None, module: nn.Module, group: Group = ALONE
    ) -> None:
        """Leave the gradients of a batch in the parameters.

        Parameters
        ----------
        loss, losses : Tensor
            The one loss, and the losses of the tasks, of shape (n_tasks,), that it is made of.
        labelled : Tensor of shape (n_tasks,) or None
            As in `forward`.
        module : Module
            The network.
        group : Group
            The ranks that have a part of the batch each. The losses are those of the whole batch, and so must be the
            gradients in the end, though a backward pass finds those of a part.
        """
        torch.autograd.backward(loss)
        group.sum_gradients(module.parameters())

    def end_epoch(self, losses: Tensor) -> Tensor:
        """Hear of the mean losses of an epoch of training, and say which weights were in force in it.

        Parameters
        ----------
        losses : Tensor of shape (n_tasks,)
            0 for a task without a label.
        """
        return self.task_weights()


class FixedWeights(Weighting):
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
        check_dtype(dtype)
        weights = checked_numbers(weights, "weights")
        self.equal = all(weight == 1.0 for weight in weights)
        self.register_buffer("weights", torch.tensor(weights, dtype=dtype), persistent=False)

    def forward(self, losses: Tensor, labelled: Tensor | None = None) -> Tensor:
        return losses.mean() if self.equal else (losses * self.weights).mean()

    def task_weights(self) -> Tensor:
        return self.weights


class UncertaintyWeights(Weighting):
    r"""Weights from the uncertainty of each task, one learned log-variance :math:`s_t` per task [1]_.

    .. math:: L = \frac{1}{T} \sum_t \left( c_t \, e^{-s_t} L_t + \tfrac{1}{2} s_t \right)

    where :math:`c_t` is 1/2 for the squared error (a Gaussian likelihood of variance :math:`e^{s_t}`) and 1 for all
    other losses (a likelihood of temperature :math:`e^{s_t}`). At the optimum a task weighs as much as the inverse of
    its loss. The log-variances may have either sign, so that a task can gain weight, too.

    Parameters
    ----------
    likelihoods : sequence of float
        :math:`c_t` of each task.
    dtype : torch.dtype

    References
    ----------
    .. [1] Kendall, A., Gal, Y., & Cipolla, R. (2018). Multi-Task Learning Using Uncertainty to Weigh Losses for Scene
       Geometry and Semantics. CVPR.
    """

    likelihoods: Tensor

    def __init__(self, likelihoods: Sequence[float], dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        check_dtype(dtype)
        likelihoods = checked_numbers(likelihoods, "likelihoods")
        self.log_variances = nn.Parameter(torch.zeros(len(likelihoods), dtype=dtype))
        self.register_buffer("likelihoods", torch.tensor(likelihoods, dtype=dtype), persistent=False)

    def forward(self, losses: Tensor, labelled: Tensor | None = None) -> Tensor:
        terms = self.likelihoods * torch.exp(-self.log_variances) * losses + 0.5 * self.log_variances
        # A task without a label tells nothing of its variance either
        return terms.mean() if labelled is None else (terms * (labelled > 0)).mean()

    def task_weights(self) -> Tensor:
        weights = self.likelihoods * torch.exp(-self.log_variances.detach())
        return weights / weights.mean()


class DynamicWeightAverage(Weighting):
    r"""Weights from the rate at which each loss falls: a task that lags behind gains weight [1]_.

    With :math:`L_t(e)` the mean loss of task :math:`t` in epoch :math:`e`,

    .. math:: w_t(e) = T \; \mathrm{softmax}_t\!\left( \frac{L_t(e-1)}{L_t(e-2)} \Big/ 2 \right)

    and all weights are 1 in the first two epochs. The rate needs positive losses: where one of the two is not (a task
    without a label in an epoch, a likelihood below 0), it counts as 1, a loss that stands still.

    Parameters
    ----------
    n_tasks : int
    dtype : torch.dtype

    References
    ----------
    .. [1] Liu, S., Johns, E., & Davison, A. J. (2019). End-to-End Multi-Task Learning with Attention. CVPR.
    """

    TEMPERATURE = 2.0  # the paper's

    past: Tensor

    def __init__(self, n_tasks: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        check_dtype(dtype)
        n_tasks = checked_size(n_tasks, "n_tasks")
        require_room((2, n_tasks), ["n_tasks"])
        self.register_buffer("past", torch.zeros(2, n_tasks, dtype=dtype))  # the epoch before the last, the last

    def forward(self, losses: Tensor, labelled: Tensor | None = None) -> Tensor:
        return (losses * self.task_weights()).mean()

    def task_weights(self) -> Tensor:
        before, last = self.past
        rates = torch.where((before > 0) & (last > 0), last / before, 1.0)
        return len(rates) * torch.softmax(rates / self.TEMPERATURE, dim=0)

    def end_epoch(self, losses: Tensor) -> Tensor:
        weights = self.task_weights()
        self.past.copy_(torch.stack([self.past[1], losses]))
        return weights


# By what `task_weights` calls them: the class, and the parameters that it gets for the tasks of a fit
SCHEMES: dict[str, tuple[type[Weighting], Callable[[Tasks], dict[str, Any]]]] = {
    "uncertainty": (
        UncertaintyWeights,
        lambda tasks: {"likelihoods": [0.5 if task.loss == "squared_error" else 1.0 for task in tasks]},
    ),
    "dwa": (DynamicWeightAverage, lambda tasks: {"n_tasks": len(tasks)}),
}
OWN_WEIGHTINGS: tuple[type[Weighting], ...] = (FixedWeights, *(scheme for scheme, _ in SCHEMES.values()))


def check_task_weights(task_weights: Any, task_names: Sequence[Hashable]) -> NDArray[np.float64]:
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
    weights = weights_by_task(task_weights, task_names, "task_weights")
    return np.asarray(weights / weights.mean())


def weights_by_task(
    weights: Any, task_names: Sequence[Hashable], name: str, *, unnamed: float | None = None
) -> NDArray[np.float64]:
    """Check numbers that a parameter gives task by task, as a sequence or as a mapping of task names.

    Parameters
    ----------
    unnamed : float, default=None
        What a task has that a mapping does not name; None: it has to name all.

    Returns
    -------
    ndarray of shape (n_tasks,), 0 or more, not all 0
    """
    if isinstance(weights, Mapping):
        found, unknown = by_index(weights, task_names)
        lacking = [task for t, task in enumerate(task_names) if t not in found and unnamed is None]
        if unknown or lacking:
            raise ValueError(
                f"{name} must name each task once. Unknown: {unknown}; lacking: {lacking}; "
                f"the tasks are {list(task_names)}."
            )
        weights = [found.get(t, unnamed) for t in range(len(task_names))]
    try:
        with errors_of(name):
            numbers = np.asarray(unmasked(detached(weights, name), name), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers, got {shown(weights)}.") from error
    if numbers.shape != (len(task_names),):
        raise ValueError(
            f"{name} must hold {len(task_names)} numbers, one per task {list(task_names)}; "
            f"got an array of shape {numbers.shape}."
        )
    if not np.isfinite(numbers).all() or (numbers < 0).any() or not numbers.any():
        raise ValueError(f"{name} must be finite, 0 or more, and not all 0; got {numbers.tolist()}.")
    return numbers
