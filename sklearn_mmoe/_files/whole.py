"""Files that are there as a whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sklearn_mmoe._common.words import shown

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]  # Windows has none: what killed writers have left stays there

_UNFINISHED = re.compile(r"\.sklearn_mmoe-[0-9a-f]{32}\.unfinished")
_NO_PLACE = re.compile(r"/dev|/dev/fd|/proc(/.*)?")  # what stands there are devices, and open files of processes


def write_whole(path: str | os.PathLike[str], parts: Iterable[bytes]) -> None:
    """Write a file; what stood under this name is replaced in the end or, if an error comes up, stays.

    It goes where a symbolic link leads, and has the permissions of the file that stood there. Until it is complete, it
    stands in the same folder under a name of its own; what a killed writer has left there is removed.

    Raises
    ------
    ValueError
        If the path leads to a device, a pipe or the like.
    OSError
        If it leads to a folder or to nowhere, or what is there may not be written to.
    """
    place, before = place_of(path)
    _remove_abandoned(place.parent)
    try:
        with _unfinished_file(place.parent, before) as (unfinished, file):
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
            if os.name != "posix":
                file.close()  # what is open cannot be renamed there
            os.replace(unfinished, place)
    except OSError as error:
        if error.filename is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error  # not the name that nobody has asked for
    _make_lasting(place.parent)


def name_of(path: str | os.PathLike[str]) -> str:
    """The name of a file, checked to be one."""
    try:
        name = os.fspath(path)
    except TypeError:
        name = None
    if not isinstance(name, str):
        raise TypeError(f"path must be a str, or path-like of one; got {shown(path)}.")
    if "\0" in name:
        raise ValueError(f"path is no name that a file can have, {shown(name)}: it has a null character.")
    return name


def place_of(path: str | os.PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """Where a file is to stand, and what there is to know of the one that stands there already.

    Raises
    ------
    ValueError, OSError
        If none can be written there, as far as that shows before.
    """
    name = name_of(path)
    try:
        before = os.stat(name)
    except FileNotFoundError:
        if not os.path.basename(name):
            raise
        before = None
    except ValueError as error:
        raise ValueError(f"path is no name that a file can have, {name!r}: {error}.") from error
    if before is not None and stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    places = list(_followed(name))
    is_file = before is None or stat.S_ISREG(before.st_mode)
    if not is_file or any(_NO_PLACE.fullmatch(str(place.parent)) for place in places):
        raise ValueError(
            f"path leads to a device, a pipe or the like, {name!r}, which no file can take the place of: give the name "
            "of a file."
        )
    if before is not None and not os.access(name, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    return places[-1], before


def _followed(name: str) -> Iterator[Path]:
    """The place that a path leads to and, as long as a symbolic link stands there, the one that the link leads to."""
    folder, own = os.path.split(name)
    place = Path(os.path.realpath(folder), own)
    yield place
    if place.is_symlink():
        yield from _followed(str(place.parent / os.readlink(place)))


@contextmanager
def _unfinished_file(folder: Path, before: os.stat_result | None) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file with the permissions of the one before. As long as it is open, it is locked; then it is removed.

    Only what is moved to another place by then stays.
    """
    mode = 0o666 if before is None else stat.S_IMODE(before.st_mode)
    is_held = False
    while not is_held:
        path = folder / f".sklearn_mmoe-{uuid.uuid4().hex}.unfinished"
        try:
            with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                is_held = _lock(file)
                if is_held:
                    if before is not None and os.name == "posix":
                        _make_alike(file, before)
                    yield path, file
        finally:
            path.unlink(missing_ok=True)


def _lock(file: BinaryIO) -> bool:
    """Tell other writers that this one lives; False if one of them has taken the file for abandoned before."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nobody removes anything there
        return True
    return os.fstat(file.fileno()).st_nlink > 0


def _make_alike(file: BinaryIO, before: os.stat_result) -> None:
    """Give a file the permissions of another and, as far as that is allowed, its owner."""
    for owner, group in ((-1, before.st_gid), (before.st_uid, -1)):
        with suppress(PermissionError):
            os.chown(file.fileno(), owner, group)
    os.chmod(file.fileno(), stat.S_IMODE(before.st_mode))


def _remove_abandoned(folder: Path) -> None:
    """Remove unfinished files that no writer holds: a lock ends with its process, however that ends."""
    if fcntl is None:
        return
    with suppress(OSError):  # a folder may be writable and not readable
        for entry in os.scandir(folder):
            if _UNFINISHED.fullmatch(entry.name):
                with suppress(OSError), open(entry.path, "rb+") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(entry.path)


def _make_lasting(folder: Path) -> None:
    """Have the new name on the disk, too, where the system can do that for a folder."""
    with suppress(OSError):
        own = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(own)
        finally:
            os.close(own)
