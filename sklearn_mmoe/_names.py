"""Names of tasks that fit beside a picture or into a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

NAME_LENGTH = 24  # characters of a task's name that fit beside or below a picture


def short_names(names: Sequence[str], length: int = NAME_LENGTH) -> list[str]:
    """Names cut where they are longer, as far as that keeps what tells them apart: if it does not, they stay longer."""
    for room in range(length, max(map(len, names), default=0)):
        for cut in _cuts(names, room):
            if len(set(cut)) == len(set(names)):
                return cut
    return list(names)


def _cuts(names: Sequence[str], length: int) -> Iterator[list[str]]:
    """Names cut in the middle, at the end, at the start, and at both ends around where they differ."""
    head, tail = length // 2, length - length // 2 - 1
    for start, end in ((head, tail), (length - 1, 0), (0, length - 1)):
        yield [name if len(name) <= length else _without_middle(name, start, end) for name in names]
    start = _n_shared(names)
    end = _n_shared([name[start:][::-1] for name in names])
    n_apart = max(map(len, names)) - start - end
    start = max(0, start - max(0, length - 2 - n_apart) // 2)  # what they share fills up what is left, from both sides
    yield [_window(name, start, start + length - 2) for name in names]


def _without_middle(name: str, start: int, end: int) -> str:
    """The first `start` and the last `end` letters."""
    return f"{name[:start]}…{name[len(name) - end :]}"


def _n_shared(names: Sequence[str]) -> int:
    """How many letters all names begin with."""
    return sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False)))


def _window(name: str, start: int, end: int) -> str:
    return ("…" if start else "") + name[start:end] + ("…" if end < len(name) else "")
