"""Whether the weights of a saved model are those of its network, and what its optimizers remember is of them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mmoe._common.surroundings import undisturbed
from sklearn_mmoe._files.model_file import in_short
from sklearn_mmoe._files.saved_state import SavedState
from sklearn_mmoe._training.named_types import with_types
from sklearn_mmoe.nn._mmoe import MMoE


def check_weights(state: SavedState) -> None:
    """Compare the weights with a network that has shapes and no memory.

    The parameters may ask for a network of any size, and lists of layers and outputs take memory even so: there must be
    as many weights.

    Raises
    ------
    ValueError
        The message names the array.
    """
    params = {
        name.removeprefix("module__"): with_types(value)
        for name, value in state.net_params.items()
        if name.startswith("module__")
    }
    # A network that was compiled has this before all its names
    found = {name.removeprefix("_orig_mod."): array for name, array in state.parts["module"].items()}
    n_layers = sum(len(sizes) for name, sizes in params.items() if name.endswith("layer_sizes"))
    n_outputs = state.n_members * sum(task.width for task in state.tasks)
    if n_layers > len(found) or n_outputs > sum(array.size for array in found.values()):
        raise ValueError(f"net_ has {n_layers} layers and {n_outputs} outputs, and fewer weights than that")
    _compare(found, undisturbed(_without_memory, params, state.dtype))  # which puts back what a Ctrl-C leaves set


def _without_memory(params: dict[str, Any], dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights of a network that has their types and shapes only."""
    with torch.device("meta"):
        return MMoE(**params).to(dtype=dtype).state_dict()


def _compare(found: Mapping[str, Any], expected: Mapping[str, Tensor]) -> None:
    for name in sorted(found.keys() | expected.keys()):
        array, own = found.get(name), expected.get(name)
        what = None if own is None else (str(own.dtype).removeprefix("torch."), tuple(own.shape))
        if array is None or what != (array.dtype.name, array.shape) or not np.isfinite(array).all():
            raise ValueError(f"module.{name} must be finite numbers of {what}, got {in_short(array)}")


def try_out(net: Any, state: SavedState) -> None:
    """Ask a net for one row: not all that is a module of torch is an activation.

    Raises
    ------
    ValueError
        If the answer is none of its tasks.
    """
    row = torch.zeros(1, state.n_numeric, dtype=state.dtype, device=net.device)
    known = () if state.categories is None else state.categories.known
    codes = torch.zeros(1, len(known), dtype=torch.int64, device=net.device) if known else None
    with torch.inference_mode():
        outputs, _ = net.module_.outputs_and_gates(row, codes)
    if outputs.shape[-2:] != (1, sum(task.width for task in state.tasks)):
        raise ValueError(f"net_ answers one row by outputs of shape {tuple(outputs.shape)}")


def check_optimizers(net: Any) -> None:
    """Compare what the optimizers of a net remember of its parameters with what others like them do after a step.

    Raises
    ------
    ValueError
        If training could not go on from there.
    """
    for optimizer in (getattr(net, f"{name}_") for name in net._optimizers):
        known = {parameter for group in optimizer.param_groups for parameter in group["params"]}
        if strangers := optimizer.state.keys() - known:
            raise ValueError(f"the optimizer remembers parameters that are not there: {in_short(strangers)}")
        for group in optimizer.param_groups:
            after_a_step: dict[int, dict[str, Any] | None] = {}  # by number of dimensions
            for parameter in group["params"]:
                if parameter.dim() not in after_a_step:
                    after_a_step[parameter.dim()] = _after_a_step(type(optimizer), group, parameter)
                expected = after_a_step[parameter.dim()]
                found = optimizer.state.get(parameter)
                if found is not None and expected is not None and not _are_alike(found, expected, parameter.shape):
                    raise ValueError(f"the optimizer remembers {in_short(found)} of a parameter of {parameter.shape}")


_PROBE = (2, 3, 5, 7)  # a shape that tells what is of the shape of the parameter


def _after_a_step(kind: Any, group: dict[str, Any], parameter: Tensor) -> dict[str, Any] | None:
    """What an optimizer of this kind, with these options, remembers of a small parameter; None if it does not say."""
    small = nn.Parameter(parameter.new_zeros(_PROBE[: parameter.dim()]))
    optimizer = kind([small], **{key: own for key, own in group.items() if key in _options_of(kind)})
    if missing := optimizer.param_groups[0].keys() - group.keys():
        raise ValueError(f"the optimizer lacks {missing}")
    small.grad = torch.ones_like(small)
    if kind is torch.optim.SparseAdam:
        small.grad = small.grad.to_sparse()
    try:
        optimizer.step()
    except TypeError:  # it needs a function to ask for the loss
        return None
    return dict(optimizer.state[small])


@cache
def _options_of(kind: Any) -> set[str]:
    return set(inspect.signature(kind).parameters) - {"params"}


def _are_alike(found: Any, expected: dict[str, Any], shape: torch.Size) -> bool:
    if not isinstance(found, dict) or found.keys() != expected.keys():
        return False
    for key, own in expected.items():
        if type(found[key]) is not type(own):
            return False
        if isinstance(own, Tensor):
            is_like_the_parameter = own.shape == _PROBE[: len(shape)]
            if found[key].shape != shape if is_like_the_parameter else found[key].dim() != own.dim():
                return False
    return True
