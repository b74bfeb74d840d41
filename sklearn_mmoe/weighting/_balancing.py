"""Methods of torchjd: one gradient from the gradients of all tasks, or one loss from their losses."""

from __future__ import annotations

import copy
import inspect
from types import ModuleType
from typing import Any

import torch
from sklearn.utils._param_validation import InvalidParameterError
from torch import Tensor, nn

from sklearn_mmoe._common.extras import require
from sklearn_mmoe._common.words import shown
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe.weighting._schemes import SCHEMES, Weighting

# What torchjd asks for and the papers recommend
ARGUMENTS: dict[str, dict[str, float]] = {"CAGrad": {"c": 0.5}, "FairGrad": {"alpha": 1.0}}


class GradientBalancing(Weighting):
    """A torchjd aggregator makes one gradient of the tasks' gradients of the parameters that they share.

    Gates and towers belong to one task each and get the gradient of the mean loss; so do tables with sparse gradients.

    Parameters
    ----------
    aggregator : torchjd.aggregation.Aggregator or str
        Or the name of one. Copied: it may remember what it saw. What it remembers is not saved, and begins anew with
        each run.
    n_tasks : int
    dtype : torch.dtype
    """

    aggregator: Any
    used: Tensor

    def __init__(self, aggregator: Any, n_tasks: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if isinstance(aggregator, str):
            aggregator = _named_aggregator(aggregator, n_tasks)
        # Not a part of this module: a memory that comes into being in training cannot be loaded into another aggregator
        object.__setattr__(self, "aggregator", copy.deepcopy(aggregator))
        self.is_weighted = isinstance(aggregator, _import_torchjd(repr(aggregator)).aggregation.WeightedAggregator)
        self.needs_all_tasks = _has_settings_per_task(aggregator)
        self.register_buffer("used", torch.full((n_tasks,), 1.0 if self.is_weighted else torch.nan, dtype=dtype))
        self._seen: list[Tensor] = []  # the weights of each batch that had labels of all tasks

    def forward(self, losses: Tensor, labelled: Tensor | None = None) -> Tensor:
        return losses.mean()

    def backward(
        self, loss: Tensor, losses: Tensor, labelled: Tensor | None, module: nn.Module, group: Group = ALONE
    ) -> None:
        shared_parameters = getattr(module, "shared_parameters", None)
        if shared_parameters is None:
            raise ValueError(
                f"task_weights asks for balanced gradients, but the network, {type(module).__name__}, has no method "
                "shared_parameters() that tells which parameters its tasks share."
            )
        shared: list[nn.Parameter] = shared_parameters()
        ids = {id(parameter) for parameter in shared}
        own = [parameter for parameter in module.parameters() if id(parameter) not in ids]
        torch.autograd.backward(loss, retain_graph=True, inputs=own)
        group.sum_gradients(own)
        each = torch.eye(len(losses), dtype=losses.dtype, device=losses.device)
        gradients = torch.autograd.grad(losses, shared, each, is_grads_batched=True)
        jacobian = group.sum(torch.cat([gradient.flatten(1) for gradient in gradients], dim=1))
        combined = torch.split(self._combined(jacobian, labelled, group), [parameter.numel() for parameter in shared])
        for parameter, gradient in zip(shared, combined, strict=True):
            parameter.grad = gradient.view_as(parameter)

    def _combined(self, jacobian: Tensor, labelled: Tensor | None, group: Group) -> Tensor:
        """The one gradient, from those of shape (n_tasks, n_parameters); that of rank 0, as some methods draw lots."""
        if not jacobian.any():  # no task has a label, or all units are dead; some methods divide by the norm
            return jacobian[0]
        if labelled is not None and not self.needs_all_tasks:
            jacobian = jacobian[labelled > 0]  # the gradient of a task without a label is not where it wants to go
        if not self.is_weighted:
            combined: Tensor = self.aggregator(jacobian).contiguous()
            group.send([combined])
            return combined
        weights: Tensor = self.aggregator.weighting(jacobian).contiguous()
        group.send([weights])
        if len(weights) == len(self.used):
            self._seen.append(weights)
        return weights @ jacobian

    def task_weights(self) -> Tensor:
        return self.used

    def end_epoch(self, losses: Tensor) -> Tensor:
        if self._seen:
            mean = torch.stack(self._seen).mean(dim=0)
            self.used.copy_(mean * len(mean) / mean.abs().sum())
            self._seen.clear()
        return self.used


def _has_settings_per_task(aggregator: Any) -> bool:
    """Whether an aggregator of torchjd holds something for each task, so that it has to see the rows of all."""
    holders = [aggregator, getattr(aggregator, "weighting", None)]
    settings = ("n_tasks", "pref_vector", "weights", "leak")
    return any(getattr(holder, name, None) is not None for holder in holders for name in settings)


class Scalarizing(Weighting):
    """A torchjd scalarizer makes one loss of the tasks' losses.

    Parameters
    ----------
    scalarizer : torchjd.scalarization.Scalarizer
        Copied: it may remember what it saw. Its parameters, if any, are learned with the network's, and saved; what
        else it remembers begins anew with each run.
    n_tasks : int
    dtype : torch.dtype
    """

    used: Tensor
    last: Tensor

    def __init__(self, scalarizer: Any, n_tasks: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.scalarizer = copy.deepcopy(scalarizer).to(dtype=dtype)
        self.register_buffer("last", torch.ones(n_tasks, dtype=dtype))  # losses of the batch that last had labels
        self.register_buffer("used", torch.ones(n_tasks, dtype=dtype))  # weights at the end of the last epoch

    def forward(self, losses: Tensor, labelled: Tensor | None = None) -> Tensor:
        if labelled is not None:  # a loss of 0 would look like a task that is solved, and has no logarithm
            losses = torch.where(labelled > 0, losses, self.last)
        # Only a step may change what is remembered; other questions go to a copy
        if not losses.requires_grad:
            return self._scalar(copy.deepcopy(self.scalarizer), losses)
        self.last.copy_(losses.detach())
        return self._scalar(self.scalarizer, losses)

    def task_weights(self) -> Tensor:
        return self.used

    def end_epoch(self, losses: Tensor) -> Tensor:
        self.used.copy_(self._slopes(torch.where(losses == 0, self.last, losses)))
        if hasattr(self.scalarizer, "step"):
            self.scalarizer.step()
        return self.used

    def _slopes(self, losses: Tensor) -> Tensor:
        """By how much the one loss grows with each task's, scaled to mean 1."""
        losses = losses.detach().clone().requires_grad_()
        with torch.enable_grad():  # a copy, since to be asked may change what it remembers
            (slopes,) = torch.autograd.grad(self._scalar(copy.deepcopy(self.scalarizer), losses), losses)
        return slopes * len(slopes) / slopes.abs().sum()

    @staticmethod
    def _scalar(scalarizer: Any, losses: Tensor) -> Tensor:
        loss: Tensor = scalarizer(losses)
        return loss


def torchjd_weighting(method: Any, n_tasks: int) -> tuple[type[Weighting], dict[str, Any]] | None:
    """The weighting that a name or an object of torchjd stands for, and its parameters; None if it is none.

    Raises
    ------
    ImportError
        If torchjd is missing, or what this method of torchjd needs.
    """
    if isinstance(method, str):
        _named_aggregator(method, n_tasks)  # a name that is none is an error here, before there is a net
        return GradientBalancing, {"aggregator": method, "n_tasks": n_tasks}
    if not isinstance(method, nn.Module):
        return None
    torchjd = _import_torchjd(f"the object {method!r}")
    if isinstance(method, torchjd.aggregation.Aggregator):
        return GradientBalancing, {"aggregator": method, "n_tasks": n_tasks}
    if isinstance(method, torchjd.scalarization.Scalarizer):
        if hasattr(method, "update"):
            raise ValueError(
                f"task_weights={method!r} has to see the losses again after each step, which this package does not "
                "do. Take another scalarizer, or an aggregator."
            )
        return Scalarizing, {"scalarizer": method, "n_tasks": n_tasks}
    return None


def refuse_lots(weighting: type[Weighting], parameters: dict[str, Any]) -> None:
    """Refuse a scalarizer that draws lots: each rank of a distributed fit would draw others."""
    scalarizer = parameters.get("scalarizer")
    if weighting is Scalarizing and type(scalarizer).__name__ == "Random":
        raise ValueError(
            f"task_weights={scalarizer!r} draws weights at random, which ranks that train together cannot do each for "
            "itself. Take another scalarizer, an aggregator, or distributed=False."
        )


def _named_aggregator(name: str, n_tasks: int) -> Any:
    """torchjd's aggregator of that name, "aligned_mtl" for AlignedMTL."""
    aggregation = _import_torchjd(repr(name)).aggregation
    offered = {}
    for cls_name in aggregation.__all__:
        cls = getattr(aggregation, cls_name)
        if not issubclass(cls, aggregation.Aggregator) or inspect.isabstract(cls):
            continue
        taken = inspect.signature(cls).parameters
        arguments = {**ARGUMENTS.get(cls_name, {}), **({"n_tasks": n_tasks} if "n_tasks" in taken else {})}
        if all(p.default is not p.empty or key in arguments for key, p in taken.items()):
            offered[cls_name.lower()] = cls, arguments
    if (key := name.replace("_", "").lower()) not in offered:
        raise InvalidParameterError(
            f"The 'task_weights' parameter must be numbers, {', '.join(map(repr, SCHEMES))}, or a method of torchjd, "
            f"one of {sorted(offered)}; got {shown(name)} instead."
        )
    cls, arguments = offered[key]
    return cls(**arguments)


def _import_torchjd(what: str) -> ModuleType:
    modules = ("torchjd", "torchjd.aggregation", "torchjd.scalarization")
    *others, last = map(repr, SCHEMES)
    instead = f"Without it there are {', '.join(['numbers', *others])} and {last}."
    require(f"task_weights={what}", *modules, extra="balance", instead=instead)
    import torchjd
    import torchjd.aggregation
    import torchjd.scalarization

    return torchjd
