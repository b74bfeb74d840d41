"""A training under way: all that its epochs to come depend on, as plain values and arrays, and back."""

from __future__ import annotations

from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Protocol

import numpy as np
import torch
from skorch.history import History
from torch import Tensor, nn
from torch.utils._pytree import tree_map, tree_map_only

from sklearn_mmoe._common.device import generator_states, restore_generators
from sklearn_mmoe._common.words import in_one_line
from sklearn_mmoe._training.net_parts import NetParts, as_arrays, as_tensors
from sklearn_mmoe._training.stopping import Schedule

TENSOR = "tensor of torch"  # the key of an array that was one
_OF_ANY_MODULE = frozenset(vars(nn.Module()))
_UNCHANGING = (FunctionType, BuiltinFunctionType, MethodType, type)
_MUTABLE = (list, dict, set, np.ndarray, Tensor)  # may be the same object and hold something else


class States(Protocol):
    """Where states of a training are kept."""

    found: dict[str, Any] | None  # the state to go on from

    def check(self, state: dict[str, Any]) -> None: ...

    def keep(self, state: Callable[[], dict[str, Any]], epoch: int) -> None: ...


class Training:
    """The training of a net, from which its state can be taken after an epoch, and which can go on from such a state.

    Parameters
    ----------
    net : NetParts
        Before its callbacks are told that training begins: what they, and the weighting, remember from then on is part
        of the state.
    schedule : Schedule

    Attributes
    ----------
    best : dict or None
        The best state so far of the net's modules.
    epochs_before : int
        Epochs of the trainings before.
    """

    def __init__(self, net: NetParts, schedule: Schedule) -> None:
        self.net = net
        self.schedule = schedule
        self.best: dict[str, Any] | None = None
        self.epochs_before = len(net.history)
        own = {name for name, _ in net._default_callbacks} | {"sklearn"}
        callbacks = {f"callbacks.{name}": callback for name, callback in net.callbacks_ if name not in own}
        weighting = {f"task_weights.{name}": module for name, module in net.weighting_.named_modules()}
        self._rememberers: dict[str, Any] = {**callbacks, **weighting}
        self._at_first = {name: dict(vars(owner)) for name, owner in self._rememberers.items()}

    def state(self) -> dict[str, Any]:
        """The state of now."""
        return {
            "parts": self.net.parts_as_arrays(),
            "best": None if self.best is None else as_arrays(self.best),
            "patience": dict(vars(self.schedule.patience)),
            "schedule": self.schedule.progress(),
            "epochs_before": self.epochs_before,
            "history": [dict(row) for row in self.net.history],
            "generators": as_arrays(generator_states(self._device)),
            "memories": {name: self._memory(name, owner) for name, owner in self._rememberers.items()},
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from such a state, of a net that was built alike."""
        try:
            self._resume(state)
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            what = in_one_line(error)
            raise ValueError(f"checkpoint holds no state that this fit can go on from ({what}). Delete it.") from error

    def _resume(self, state: dict[str, Any]) -> None:
        self.net.load_arrays(state["parts"])
        vars(self.schedule.patience).update(state["patience"])
        vars(self.schedule).update(state["schedule"])
        self.epochs_before = state["epochs_before"]
        self.net.history_ = History(state["history"])
        for name, owner in self._rememberers.items():
            vars(owner).update(_unmarked(state["memories"][name]))
        restore_generators(as_tensors(state["generators"]), self._device)
        if state["best"] is not None:
            self.best = tree_map_only(Tensor, lambda own: own.to(self._device), as_tensors(state["best"]))

    @property
    def n_epochs(self) -> int:
        """Epochs of this training so far."""
        return len(self.net.history) - self.epochs_before

    @property
    def _device(self) -> torch.device:
        return torch.device(self.net.device)

    def _memory(self, name: str, owner: Any) -> dict[str, Any]:
        """The attributes that may have changed."""
        before = self._at_first[name]

        def may_have_changed(key: str, value: Any) -> bool:
            if key in _OF_ANY_MODULE or isinstance(value, _UNCHANGING):
                return False
            return isinstance(value, _MUTABLE) or value is not before.get(key, self)

        return {key: _marked(value) for key, value in vars(owner).items() if may_have_changed(key, value)}


def _marked(value: Any) -> Any:
    return tree_map_only(Tensor, lambda tensor: {TENSOR: tensor.detach().cpu().numpy()}, value)


def _unmarked(value: Any) -> Any:
    def is_mark(node: Any) -> bool:
        return isinstance(node, dict) and list(node) == [TENSOR]

    return tree_map(lambda leaf: torch.tensor(leaf[TENSOR]) if is_mark(leaf) else leaf, value, is_leaf=is_mark)
