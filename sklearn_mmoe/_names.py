"""Names of tasks that fit beside a picture or into a table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

NAME_LENGTH = 24  # characters of a task's name that fit beside or below a picture


def short_names(names: Sequence[str], length: int = NAME_LENGTH) -> list[str]:
    """Names cut where they are longer: in the middle, or at both ends where that keeps what tells them apart.

    All stay whole if neither does.
    """
    head, tail = length // 2, length - length // 2 - 1
    cut = [name if len(name) <= length else f"{name[:head]}…{name[-tail:]}" for name in names]
    if len(set(cut)) == len(set(names)):
        return cut
    start = _n_shared(names)
    end = _n_shared([name[start:][::-1] for name in names])
    n_apart = max(map(len, names)) - start - end
    start = max(0, start - max(0, length - 2 - n_apart) // 2)  # what they share fills up what is left, from both sides
    cut = [_window(name, start, start + length - 2) for name in names]
    return cut if len(set(cut)) == len(set(names)) else list(names)


def _n_shared(names: Sequence[str]) -> int:
    """How many letters all names begin with."""
    return sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False)))


def _window(name: str, start: int, end: int) -> str:
    return ("…" if start else "") + name[start:end] + ("…" if end < len(name) else "")
