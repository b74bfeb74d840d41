"""Names of tasks: which one is meant, and names that fit beside a picture or into a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

NAME_LENGTH = 24  # characters of a task's name that fit beside or below a picture


def index_of(asked: Any, names: Sequence[Hashable]) -> int | None:
    """Which task is meant, by its name or by that as a string, as messages say it; None if there is no such task."""
    for known in (list(names), [str(name) for name in names]):
        if asked in known:
            return known.index(asked)
    return None


def by_index(given: Mapping[Any, Any], names: Sequence[Hashable]) -> tuple[dict[int, Any], list[Any]]:
    """What a mapping of task names says, by the index of the task; and its keys that name none, or one once more."""
    found: dict[int, Any] = {}
    unknown = []
    for key, value in given.items():
        t = index_of(key, names)
        if t is None or t in found:
            unknown.append(key)
        else:
            found[t] = value
    return found, unknown


def refuse_equal_names(names: Sequence[Hashable], what: str) -> None:
    """Names that are the same as strings would stand for one task in messages, graphs and tables."""
    counts = Counter(str(name) for name in names)
    equal = [name for name in names if counts[str(name)] > 1]
    if equal:
        raise ValueError(
            f"{what} must have names that differ, also as strings; got {', '.join(map(repr, equal))}. A task is known "
            "by its name: rename one of them."
        )


def short_names(names: Sequence[Hashable], length: int = NAME_LENGTH) -> list[str]:
    """Names cut where they are longer, as far as that keeps what tells them apart: if it does not, they stay longer."""
    whole = [str(name) for name in names]
    for room in range(length, max(map(len, whole), default=0)):
        for cut in _cuts(whole, room):
            if len(set(cut)) == len(set(whole)):
                return cut
    return whole


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
