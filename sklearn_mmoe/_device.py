"""Where a model lives: which devices are here, and their random generators."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import torch

_GENERATORS = RLock()


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
        raise ValueError(f"device {str(device)!r} is not available; available here: {['auto', *available]}.")
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


@contextmanager
def local_seed(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators of the CPU and of one device, and put them back afterwards.

    The generators belong to the process. Threads that fit at the same time take turns, so that each gets the numbers
    of its own seed.
    """
    with _GENERATORS, _seeded(seed, device):
        yield


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    if device.type == "mps":
        state = torch.mps.get_rng_state()
        try:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seed)
                torch.mps.manual_seed(seed)
                yield
        finally:
            torch.mps.set_rng_state(state)
        return
    index = torch.cuda.current_device() if device.type == "cuda" and device.index is None else device.index
    with torch.random.fork_rng(devices=[index] if device.type == "cuda" else [], device_type="cuda"):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.default_generators[index].manual_seed(seed)
        yield
