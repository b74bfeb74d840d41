"""Where a model lives: which devices are here, and their random generators."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from threading import RLock
from typing import Any, Self

import torch
from torch import Tensor

from sklearn_mmoe._words import shown

_GENERATORS = RLock()  # held by the thread whose numbers torch's generators give


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


class local_seed:
    """Seed torch's generators of the CPU and of one device, and put them back afterwards.

    The generators belong to the process. Threads that fit at the same time take turns, so that each gets the numbers
    of its own seed.

    Parameters
    ----------
    seed : int
    device : torch.device
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed = seed
        self.device = device
        self._own: list[Tensor] | None = None
        self._lock: Any = None  # while it is held

    def __enter__(self) -> Self:
        lock = _GENERATORS
        lock.acquire()
        try:
            self._found = _states(self.device)
            if self._own is None:
                seed_generators(self.seed, self.device)
            else:
                _restore(self._own, self.device)
        except BaseException:
            lock.release()
            raise
        self._lock = lock
        return self

    def __exit__(self, *error: object) -> None:
        if self._lock is None:
            return  # a Ctrl-C while another thread had its turn
        try:
            self._own = _states(self.device)
            _restore(self._found, self.device)
        finally:
            lock, self._lock = self._lock, None
            lock.release()

    def interrupted_by(self, function: Callable[[], Any]) -> Callable[[], Any]:
        """Make a function of another during which other threads may have the generators; this seed goes on after it.

        A scorer that fits models in threads, and waits for them, would otherwise wait for ever.
        """

        def call() -> Any:
            self.__exit__()
            try:
                return function()
            finally:
                self.__enter__()

        return call


def _states(device: torch.device) -> list[Tensor]:
    """The states of the generators of the CPU and of another device."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return states


def _restore(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states[1])


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed torch's generators of the CPU and of one device, within `local_seed`."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
