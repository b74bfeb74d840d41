"""How much memory there is, whether weights find room in it, and which memory maps are too large to be copied."""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sklearn_mmoe._common.words import shown

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]  # Windows has none, and no such limits

MAPPED_SHARE = 1 / 4  # of the memory that is available: a larger memory map is read batch by batch
CERTAIN_ROOM = 2**28  # bytes that are there without a look
ASSUMED_MEMORY = 2**33  # where the system does not say
_GROUP_LIMITS = {"": ("", "memory.max"), "memory": ("memory", "memory.limit_in_bytes")}  # cgroup v2, v1


def require_room(shape: Sequence[int], names: Sequence[str], bytes_per_cell: int = 4) -> None:
    """See that an array finds room before it is made: systems may promise memory that they do not have.

    Parameters
    ----------
    names : sequence of str
        The arguments that ask for the array.
    """
    n_bytes = math.prod(shape) * bytes_per_cell
    if n_bytes > CERTAIN_ROOM and n_bytes > (available := available_memory()):
        raise ValueError(
            f"{', '.join(names)} ask for an array of shape {shown(tuple(shape))}, of {shown(n_bytes >> 20)} MiB, and "
            f"{available >> 20} MiB are there: make one of them smaller."
        )


def is_large_map(array: Any) -> bool:
    """Whether an array is a memory map that takes more than its share of the memory."""
    return is_memory_map(array) and array.nbytes > MAPPED_SHARE * available_memory()


def is_memory_map(array: Any) -> bool:
    """Whether an array is a `numpy.memmap`, or a view of one."""
    if not isinstance(array, np.ndarray):
        return False
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that can be taken without swapping, and within the limits of the process and of its container.

    Linux says how many these are; of other systems it is the whole memory, or 8 GiB where nobody says.

    Parameters
    ----------
    root : Path
        Where the system's own files are.
    """
    return min([_free_memory(root), *_process_limits(), *_group_limits(root)])


def _free_memory(root: Path) -> int:
    for line in _lines(root / "proc/meminfo"):
        name, _, size = line.partition(":")
        if name == "MemAvailable":
            return 1024 * int(size.split()[0])
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return ASSUMED_MEMORY


def _process_limits() -> Iterator[int]:
    """What `ulimit -v` and `ulimit -d` say."""
    if resource is not None:
        limits = (resource.getrlimit(which)[0] for which in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
        yield from (limit for limit in limits if limit != resource.RLIM_INFINITY)


def _group_limits(root: Path) -> Iterator[int]:
    """The limits of the control groups that this process is in, and of those around them."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, group = line.split(":", 2)
        for controller in set(controllers.split(",")) & set(_GROUP_LIMITS):
            folder, name = _GROUP_LIMITS[controller]
            path = PurePosixPath(group)
            for around in (path, *path.parents):
                limit = "".join(_lines(root / "sys/fs/cgroup" / folder / around.relative_to("/") / name))
                if limit.isdigit():  # "max" is none
                    yield int(limit)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
