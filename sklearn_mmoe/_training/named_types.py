"""Types of torch and of the network's parts, called by their names where a model is saved: no file holds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from sklearn_mmoe._features.tensors import RowBatches, TensorRows
from sklearn_mmoe._training.losses import TaskLosses
from sklearn_mmoe.nn._mmoe import MMoE
from sklearn_mmoe.weighting._balancing import GradientBalancing, Scalarizing
from sklearn_mmoe.weighting._schemes import OWN_WEIGHTINGS

_PARTS: dict[str, type] = {
    part.__name__: part
    for part in (MMoE, TaskLosses, *OWN_WEIGHTINGS, GradientBalancing, Scalarizing, TensorRows, RowBatches)
}
_DTYPES = {name: getattr(torch, name) for name in ("float16", "bfloat16", "float32", "float64")}
_OF_TORCH: dict[str, tuple[Any, type]] = {
    "torch.nn": (torch.nn, torch.nn.Module),
    "torch.optim": (torch.optim, torch.optim.Optimizer),
}


@dataclass(frozen=True)
class Named:
    """A type by its name.

    Parameters
    ----------
    kind : {"part", "torch.nn", "torch.optim", "dtype", "device"}
        Where to look the name up: among the parts of the net, or in torch.
    name : str
    """

    kind: str
    name: str

    def found(self) -> Any:
        """What the name stands for."""
        found: Any = None
        if self.kind == "device":
            return torch.device(self.name)
        if self.kind == "dtype":
            found = _DTYPES.get(self.name)
        elif self.kind == "part":
            found = _PARTS.get(self.name)
        elif self.kind in _OF_TORCH:
            module, base = _OF_TORCH[self.kind]
            found = getattr(module, self.name, None)
            found = found if isinstance(found, type) and issubclass(found, base) else None
        if found is None:
            raise ValueError(f"The saved model needs {self.name!r} of {self.kind!r}, which is not known here.")
        return found


def with_names(state: Any) -> Any:
    """The state with names in place of types, however deep in dicts, lists and tuples; of the user's types as it is."""
    return _mapped(_name_of, state)


def with_types(state: Any) -> Any:
    """The state with types in place of names: what `with_names` was given."""
    return _mapped(lambda value: value.found() if isinstance(value, Named) else value, state)


def _name_of(value: Any) -> Any:
    if isinstance(value, torch.dtype):
        return Named("dtype", str(value).removeprefix("torch."))
    if isinstance(value, torch.device):
        return Named("device", str(value))
    if not isinstance(value, type):
        return value
    name = value.__name__
    if _PARTS.get(name) is value:
        return Named("part", name)
    for kind, (module, base) in _OF_TORCH.items():
        if issubclass(value, base) and getattr(module, name, None) is value:
            return Named(kind, name)
    return value


def _mapped(function: Callable[[Any], Any], state: Any) -> Any:
    """The state with a function applied to all that is no container; containers in which nothing changes are kept."""
    kind = type(state)
    if kind is dict:
        mapped = {key: _mapped(function, value) for key, value in state.items()}
        return mapped if any(mapped[key] is not value for key, value in state.items()) else state
    if kind in (list, tuple):
        items = [_mapped(function, value) for value in state]
        return kind(items) if any(new is not old for new, old in zip(items, state, strict=True)) else state
    return function(state)
