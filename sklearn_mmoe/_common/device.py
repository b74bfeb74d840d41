"""Where a model lives: which devices are here, and their random generators."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from threading import RLock
from typing import Any, TypeVar

import torch
from torch import Tensor

from sklearn_mmoe._common.words import shown

T = TypeVar("T")

_GENERATORS: Any = RLock()  # held by the thread whose numbers torch's generators give


def _free_generators() -> None:
    """Let a forked process fit, too: the thread that had the generators when it was forked does not exist there."""
    global _GENERATORS
    _GENERATORS = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_generators)


def resolve_device(device: str | torch.device) -> torch.device:
    """The device that is meant; "auto" is the first available of cuda, mps, cpu.

    Raises
    ------
    ValueError
        If the device is unknown or not available here.
    """
    available = available_devices()
    if isinstance(device, str) and device == "auto":
        return torch.device(available[0])
    try:
        wanted = torch.device(device)
    except RuntimeError:
        wanted = None
    # "cpu:0" and "mps:0" are other names of "cpu" and "mps"
    if wanted is None or not {str(wanted), str(wanted).removesuffix(":0")} & set(available):
        raise ValueError(f"device {shown(str(device))} is not available; available here: {['auto', *available]}.")
    return wanted


def available_devices() -> list[str]:
    """Names of the devices that are here, the preferred one first."""
    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cuda = ["cuda", *(f"cuda:{i}" for i in range(n_cuda))] if n_cuda else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def device_or_cpu(device: str) -> str:
    """The device of a saved model if it is here, else the CPU, with a warning."""
    try:
        return str(resolve_device(device))
    except ValueError as error:
        warnings.warn(f"The model was trained elsewhere: {error} It is opened on the CPU.", UserWarning, stacklevel=2)
        return "cpu"


class Turn:
    """The time in which a thread has torch's generators of the CPU and of one device, seeded anew.

    The generators belong to the process. Threads that fit at the same time take turns, so that each gets the numbers
    of its own seed. `end` may be called at any time and more than once, also after an interrupt in the midst of `begin`
    or of itself: what is to be put back and released it reads off the lock and the states that were found.

    Parameters
    ----------
    seed : int
    device : torch.device
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed = seed
        self.device = device
        self._lock = _GENERATORS
        self._is_nested = self._lock._is_owned()  # a callback of a fit fits another model
        self._found: list[Tensor] | None = None  # the states to put back
        self._own: list[Tensor] | None = None  # where this seed goes on

    def begin(self) -> None:
        if not self._is_nested:
            self._lock.acquire()
        self._found = generator_states(self.device)
        if self._own is None:
            seed_generators(self.seed, self.device)
        else:
            restore_generators(self._own, self.device)

    def end(self) -> None:
        if self._lock._is_owned():  # else it has ended, or a Ctrl-C came while another thread had its turn
            if self._found is not None:
                restore_generators(self._found, self.device)
                self._found = None
            self.release()

    def release(self) -> None:
        """Let others have their turns."""
        if self._lock._is_owned() and not self._is_nested:
            self._lock.release()

    def interrupted_by(self, function: Callable[[], T]) -> Callable[[], T]:
        """Make a function of another during which other threads may have the generators; this seed goes on after it.

        A scorer that fits models in threads, and waits for them, would otherwise wait for ever.
        """

        def call() -> T:
            self._own = generator_states(self.device)
            self.end()
            result = function()
            self.begin()
            return result

        return call


def with_own_seed(seed: int, device: torch.device, function: Callable[[Turn], T]) -> T:
    """Call a function while torch's generators are seeded anew, and put them back, whatever becomes of it.

    No context manager: between its end and that of its block there would be a moment for a Ctrl-C to come.
    """
    turn = Turn(seed, device)
    try:
        try:
            turn.begin()
            return function(turn)
        finally:
            turn.end()
    except BaseException:
        try:
            turn.end()  # a second time: an interrupt may have come in the midst of the first
        finally:
            turn.release()
        raise


def generator_states(device: torch.device) -> list[Tensor]:
    """The states of the generators of the CPU and of another device."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return states


def restore_generators(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states[1])


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed torch's generators of the CPU and of one device, within `with_own_seed`."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
