"""Values in the words of errors: short, whatever they are."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

LONGEST_TEXT = 1000  # characters of an error of another library's
LONGEST_REASON = 500  # of one inside brackets


class _Repr(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        """As `repr` of other numbers; Python refuses to write out one of thousands of digits."""
        n_bits = abs(x).bit_length()
        return super().repr_int(x, level) if n_bits < 1000 else f"a whole number of {n_bits} bits"


_SHORT = _Repr()
_SHORT.maxlevel, _SHORT.maxlong = 3, 60
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = 10
_SHORT.maxstring = _SHORT.maxother = 200


def shown(value: Any) -> str:
    """How an error shows a value: as `repr` does, a long one without its middle."""
    return _SHORT.repr(value)


def shortened(items: Sequence[str], limit: int = 10) -> str:
    """A list in words, a long one without its end."""
    text = ", ".join(items[:limit])
    return text if len(items) <= limit else f"{text}, ... ({len(items)} in all)"


def in_one_line(error: Exception) -> str:
    """The kind and the text of an error that is the reason of another."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]


@contextmanager
def errors_of(name: str) -> Iterator[None]:
    """Let errors of other libraries name the argument, in short, and be of the kinds that our own are."""
    try:
        yield
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        text = str(error)
        named = re.search(rf"\b{name}\b", text) is not None
        if named and len(text) <= LONGEST_TEXT and isinstance(error, TypeError | ValueError):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(("" if named else f"{name}: ") + text[:LONGEST_TEXT]) from error
