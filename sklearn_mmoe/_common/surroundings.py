"""What may be set in torch around a call, and how the call goes on as if nothing were.

torch keeps for each thread whether there are gradients, inference mode and autocast, and a default device. All of these
change what a fit computes, or end it. Its default data type is the whole process's, so that it cannot be set for a
while: where it matters, as networks are made, tensors are made of the usual type instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, ParamSpec, TypeVar

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import DeviceContext

P = ParamSpec("P")
T = TypeVar("T")

USUAL_DTYPE = torch.float32
AUTOCAST_DEVICES = ("cpu", "cuda", "mps")


class Surroundings(NamedTuple):
    """What is set for this thread beside its gradients: a default device is one of the modes of torch's functions."""

    autocasts: tuple[bool, ...]  # whether there is autocast, by device
    modes: tuple[Any, ...]

    @classmethod
    def of_now(cls) -> Surroundings:
        modes = [torch._C._get_function_stack_at(i) for i in range(torch._C._len_torch_function_stack())]
        return cls(tuple(torch.is_autocast_enabled(device) for device in AUTOCAST_DEVICES), tuple(modes))

    def without_disturbance(self) -> Surroundings:
        """No autocast, no default device; other modes, which may be there to watch, stay."""
        modes = [mode for mode in self.modes if not isinstance(mode, DeviceContext)]
        return Surroundings((False,) * len(AUTOCAST_DEVICES), tuple(modes))

    def set_up(self) -> None:
        """Make them what is set; begun anew after an interrupt, it ends as if there had been none."""
        if Surroundings.of_now() == self:
            return
        for device, enabled in zip(AUTOCAST_DEVICES, self.autocasts, strict=True):
            torch.set_autocast_enabled(device, enabled)
        while torch._C._len_torch_function_stack():
            torch._C._pop_torch_function_stack()
        for mode in self.modes:
            torch._C._push_on_torch_function_stack(mode)


def undisturbed(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function as if nothing were set in torch, with gradients, and leave behind what was set."""
    found = Surroundings.of_now()
    try:
        try:
            found.without_disturbance().set_up()
            with torch.inference_mode(False):  # which brings gradients, too, and puts back what there was
                return function(*args, **kwargs)
        finally:
            found.set_up()
    except BaseException:
        found.set_up()  # a second time: an interrupt may have come in the midst of the first
        raise


def undisturbed_answer(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for a function that needs no gradients, as quick as can be where nothing is set."""
    if torch._C._len_torch_function_stack() or any(map(torch.is_autocast_enabled, AUTOCAST_DEVICES)):
        return undisturbed(function, *args, **kwargs)
    return function(*args, **kwargs)


# --------------------------------------------------------------------------------------------------------------------
# The default data type


@contextmanager
def usual_dtype() -> Iterator[None]:
    """Make tensors of torch's usual type, whatever its default is, where nothing else is said."""
    if torch.get_default_dtype() == USUAL_DTYPE:
        yield
        return
    with _UsualDtype():
        yield


class _UsualDtype(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if kwargs.get("dtype") is not None:
            return func(*args, **kwargs)
        if func in _MAKE_FLOATS:
            return func(*args, **{**kwargs, "dtype": USUAL_DTYPE})
        made = func(*args, **kwargs)
        if func not in _MAKE_WHAT_THEY_ARE_GIVEN or any(hasattr(value, "dtype") for value in (*args, *kwargs.values())):
            return made
        return func(*args, **{**kwargs, "dtype": USUAL_DTYPE}) if made.is_floating_point() else made


_MAKE_FLOATS = {
    *(torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.eye, torch.linspace, torch.logspace),
}
_MAKE_WHAT_THEY_ARE_GIVEN = {torch.tensor, torch.full, torch.arange, torch.scalar_tensor}  # of Python's floats, floats
