"""What the net consists of: module, losses, weighting and optimizers; how it is built, resumed, and saved as arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils._param_validation import InvalidParameterError
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from skorch.history import History
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from sklearn_mmoe._common.device import device_or_cpu, with_own_seed
from sklearn_mmoe._common.surroundings import undisturbed, usual_dtype
from sklearn_mmoe._training.named_types import with_names, with_types
from sklearn_mmoe.nn._arguments import ACTIVATIONS
from sklearn_mmoe.nn._layers import Heads
from sklearn_mmoe.tasks._encoding import Tasks, rescaling

TRAINING_ONLY = ("dropout", "gate_dropout", "sparse_gradients")
NOT_IN_SHAPES = ("activation", "final_expert_activation")  # they make another network of the same weights


class NetParts(NeuralNet):
    """A skorch net with a weighting beside its criterion, optimizers for sparse gradients, a state of NumPy arrays."""

    dtype: torch.dtype
    weighting: Any
    keep_gradients: bool
    full_rates_: list[float] | None = None  # those of the optimizers' groups, where a schedule takes shares of them

    def initialize_module(self) -> Self:
        with usual_dtype():
            module = self.initialized_instance(self.module, self.get_params_for("module"))
        self.module_ = module.to(dtype=self.dtype)
        return self

    def initialize_criterion(self) -> Self:
        """The task losses, and the module that makes one loss of them (its parameters, if any, are learned, too)."""
        self.criterion_ = self.initialized_instance(self.criterion, self.get_params_for("criterion"))
        self.weighting_ = self.initialized_instance(self.weighting, self.get_params_for("weighting"))
        return self

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> Self:
        """The optimizer and, where gradients are sparse and not kept, a SparseAdam for these with its learning rate.

        It touches the rows of a batch only, as the other optimizers would not; it knows no weight decay.
        """
        sparse = {part.weight: None for part in self.module_.modules() if getattr(part, "sparse", False)}
        self._kept_gradients = {}
        if self.keep_gradients:
            self._kept_gradients, sparse = {weight: torch.zeros_like(weight) for weight in sparse}, {}
        weights = list(self.weighting_.parameters())
        apart = {*sparse, *weights}
        named = [(name, parameter) for name, parameter in self.get_all_learnable_params() if parameter not in apart]
        (groups,), options = self.get_params_for_optimizer("optimizer", named)
        if weights:  # decay would pull the learned weights of tasks towards 1
            groups.append({"params": weights, **({"weight_decay": 0.0} if "weight_decay" in options else {})})
        try:
            self.optimizer_ = self.optimizer(groups, **options)
        except (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError) as error:
            raise InvalidParameterError(
                f"The optimizer {self.optimizer.__name__} cannot be made with {options} ({error}). Choose another "
                "optimizer, or give it what it needs, by net_params={'optimizer__...': ...}."
            ) from error
        if sparse:
            self.sparse_optimizer_ = torch.optim.SparseAdam(list(sparse), lr=options["lr"])
        return self

    def resume_from(self, other: Self) -> None:
        """Take over the weights, the history and, if the optimizer is of the same kind, the state of another net.

        It answers as the other does, on the scales that the tasks have now.
        """
        if changed := self._changed_since(other):
            raise ValueError(
                f"warm_start and partial_fit go on from the weights of the last fit, but {', '.join(changed)} "
                f"{'has' if len(changed) == 1 else 'have'} changed since. Set it back, or fit a clone."
            )
        self._load_state(other._state())
        # X may be sparse and may not have been, or the other way round: then the optimizers share out otherwise
        for name in self._optimizers if self._optimizers == other._optimizers else []:
            own, known = getattr(self, f"{name}_"), getattr(other, f"{name}_")
            if type(own) is type(known):
                moments = _copied(known.state_dict()["state"])
                own.load_state_dict({**own.state_dict(), "state": moments})  # the learning rate is today's
        self.history_ = History(dict(row) for row in other.history)
        if self._tasks != other._tasks and self.can_rescale_outputs:
            self._rescale_outputs(other._tasks)

    def _changed_since(self, other: Self) -> list[str]:
        """What makes this net more than the other one trained further: parameters, with their values then and now.

        How a net is trained may change, and so may weights of tasks that are given, not learned.
        """
        own, known = self._shapes(), other._shapes()
        now, then = self._parameters_of_module(), other._parameters_of_module()
        of_other_shapes = own["module"] != known["module"]
        names = [
            f"{name} ({then.get(name)}, now {now.get(name)})"
            for name in now | then
            if now.get(name) != then.get(name) and (of_other_shapes or name in NOT_IN_SHAPES)
        ]
        if of_other_shapes and not names:
            names = ["the network"]
        parts = {"criterion": "the criterion", "weighting": "task_weights"}
        return names + [name for part, name in parts.items() if own[part] != known[part]]

    def _parameters_of_module(self) -> dict[str, str]:
        """What the module is made of, in words."""
        defaults = inspect.signature(self.module).parameters if isinstance(self.module, type) else {}
        values = {name: parameter.default for name, parameter in defaults.items()}
        values |= {"module": self.module, **self.get_params_for("module")}
        return {name: _in_words(value) for name, value in values.items() if name not in TRAINING_ONLY}

    def _shapes(self) -> dict[str, dict[str, torch.Size]]:
        return {part: {key: own.shape for key, own in state.items()} for part, state in self._state().items()}

    @property
    def can_rescale_outputs(self) -> bool:
        """Whether the last layers are ours, as those of a module of the user's may not be."""
        return isinstance(getattr(self.module_, "heads", None), Heads)

    def _rescale_outputs(self, known: Tasks) -> None:
        """Change last layers made for the scales of known tasks so that predictions stay, on the scales of today.

        That is van Hasselt et al. (2016, "Learning values across many orders of magnitude"). What the optimizer
        remembers stays as it is.
        """
        heads = self.module_.heads
        steps = rescaling(known, self._tasks)
        factor, shift = torch.tensor(steps, dtype=heads.bias.dtype, device=heads.bias.device)
        heads.rescale(factor.repeat(self.module_.n_members), shift.repeat(self.module_.n_members))
        if (linear_part := getattr(self.module_, "linear_part", None)) is not None:
            linear_part.rescale(factor)  # what is added is added once

    @property
    def _tasks(self) -> Tasks:
        tasks: Tasks = self.get_params_for("criterion")["tasks"]
        return tasks

    def _zero_grad_optimizer(self, set_to_none: bool | None = None) -> None:
        super()._zero_grad_optimizer(set_to_none)
        for parameter, gradient in self._kept_gradients.items():
            parameter.grad = gradient.zero_()

    def _step_optimizer(self, step_fn: Callable[[], Tensor]) -> None:
        """One step of all optimizers from one pass over the batch; skorch would take a pass for each of them."""
        first, *others = (getattr(self, f"{name}_") for name in self._optimizers)
        first.step(step_fn)
        for optimizer in others:
            optimizer.step()

    # ----------------------------------------------------------------------------------------------------------------
    # Learning rates

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Those of all optimizers: what has a learning rate."""
        return [group for name in self._optimizers for group in getattr(self, f"{name}_").param_groups]

    def _begin_schedules(self, kind: str) -> None:
        """Note the full rates, unless they stay; let schedules of the user's go on from where an earlier fit began."""
        groups = self._parameter_groups()
        of_users = [name for name, callback in self.callbacks_ if isinstance(callback, LRScheduler)]
        if of_users and kind != "constant":
            raise ValueError(
                f"learning_rate_schedule={kind!r} and the callback {of_users[0]!r} would both set the learning rate: "
                "set learning_rate_schedule='constant', or leave out the callback."
            )
        self.full_rates_ = None if kind == "constant" else [group["lr"] for group in groups]
        if of_users and self.history:  # they ask the optimizer where that was
            for group in groups:
                group.setdefault("initial_lr", group["lr"])

    def _set_rates(self, share: float) -> None:
        """Let the optimizers take a share of the full rates; constant ones may be those of a callback."""
        if self.full_rates_ is not None:
            for group, rate in zip(self._parameter_groups(), self.full_rates_, strict=True):
                group["lr"] = rate * share

    @contextmanager
    def _full_rates(self) -> Iterator[None]:
        groups = self._parameter_groups()
        now = [group["lr"] for group in groups]
        self._set_rates(1.0)
        try:
            yield
        finally:
            for group, rate in zip(groups, now, strict=True):
                group["lr"] = rate

    # ----------------------------------------------------------------------------------------------------------------
    # State

    def _state(self) -> dict[str, Any]:
        """The tensors of all modules by name, not copied."""
        return {name: getattr(self, f"{name}_").state_dict() for name in (*self._modules, *self._criteria)}

    def tensors(self) -> list[Tensor]:
        """The tensors of all modules, not copied."""
        return [leaf for leaf in tree_leaves(self._state()) if isinstance(leaf, Tensor)]

    def _state_copy(self) -> dict[str, Any]:
        copied: dict[str, Any] = _copied(self._state())
        return copied

    def _best_state(self, best: dict[str, Any] | None, improved: NDArray[np.bool_]) -> dict[str, Any]:
        """The best state so far, with what has improved taken over: all, or the weights of some members."""
        if best is None or improved.all():
            return self._state_copy()
        if improved.any():
            members = torch.from_numpy(improved)
            for name, now in self._state().items():
                for key, tensor in now.items():
                    if name == "module":  # of all its tensors, the first dimension goes from member to member
                        best[name][key].view(len(members), -1)[members] = tensor.view(len(members), -1)[members]
                    else:
                        best[name][key].copy_(tensor)
        return best

    def _load_state(self, parts: dict[str, Any]) -> None:
        for name, state in parts.items():
            getattr(self, f"{name}_").load_state_dict(state)

    def __getstate__(self) -> dict[str, Any]:
        """Parameters, types among them by their names, and all tensors as NumPy arrays."""
        # Callbacks served the run that is over; the next fit copies them, and what is set of them, from the estimator.
        # What begins with an underscore is no parameter, whatever skorch says
        kept = {
            key: value for key, value in self.get_params(deep=False).items() if not key.startswith(("callbacks", "_"))
        }
        state: dict[str, Any] = {"params": with_names(kept)}
        if self.initialized_:
            with self._full_rates():  # also in the middle of a training that has others
                state |= {"parts": self.parts_as_arrays(), "history": [dict(row) for row in self.history]}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the net again, on its device if that is here, else on the CPU."""
        params = {**with_types(state["params"]), "device": device_or_cpu(state["params"]["device"])}
        self.__init__(**params)  # type: ignore[misc]  # on an instance on purpose: unpickling skipped it
        if "parts" not in state:
            return
        undisturbed(self._restore, state)

    def _restore(self, state: dict[str, Any]) -> None:
        # The weights that are drawn here are replaced
        with_own_seed(0, torch.device("cpu"), lambda turn: self.initialize())
        self.load_arrays(state["parts"])
        self._set_training(False)
        self.history_ = History(state["history"])

    def parts_as_arrays(self) -> dict[str, Any]:
        """The states of modules, losses and optimizers by name, their tensors as NumPy arrays."""
        saved = (*self._modules, *self._criteria, *self._optimizers)
        parts: dict[str, Any] = as_arrays({name: dict(getattr(self, f"{name}_").state_dict()) for name in saved})
        return parts

    def load_arrays(self, arrays: dict[str, Any]) -> None:
        """Take over states that `parts_as_arrays` has given."""
        parts = as_tensors(arrays)
        for name in self._optimizers:
            getattr(self, f"{name}_").load_state_dict(parts.pop(name))
        self._load_state(parts)


def _in_words(value: Any) -> str:
    """A parameter of the module; a name of an activation stands for its class."""
    value = ACTIVATIONS.get(value, value) if isinstance(value, str) else value
    return value.__name__ if isinstance(value, type) else repr(value)


def as_arrays(state: Any) -> Any:
    """Tensors in dicts and lists -> copies of them as NumPy arrays."""
    return tree_map_only(Tensor, lambda tensor: tensor.detach().cpu().numpy().copy(), state)


def as_tensors(state: Any) -> Any:
    """NumPy arrays in dicts and lists -> copies of them as tensors."""
    return tree_map_only(np.ndarray, torch.tensor, state)


def _copied(state: Any) -> Any:
    return tree_map_only(Tensor, lambda tensor: tensor.detach().clone(), state)
