"""Rules for the entries of what is saved: what each must be, in words and as a question about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, Self

import numpy as np

from sklearn_mmoe._files.model_file import in_short


@dataclass(frozen=True)
class Rule:
    """What an entry must be.

    Parameters
    ----------
    words : str
    holds : callable
        Whether a value is that; it gets, too, the whole that the value is an entry of. An error means that it is not.
    is_optional : bool, default=False
        Whether there need not be such an entry.
    """

    words: str
    holds: Callable[[Any, Any], Any]
    is_optional: bool = False

    def check(self, name: str, value: Any, whole: Any) -> None:
        try:
            holds = self.holds(value, whole)
        except Exception:  # there is no end to what a value of the wrong type leads to
            holds = False
        if not holds:
            raise ValueError(f"{name} must be {self.words}, got {in_short(value)}")

    def if_any(self) -> Self:
        """The same rule for an entry that need not be there."""
        return replace(self, is_optional=True)

    def or_none(self) -> Self:
        """The same rule for an entry that may be None."""
        return replace(
            self, words=f"{self.words}, or None", holds=lambda value, whole: value is None or self.holds(value, whole)
        )


Rules = Mapping[str, Rule]


def check_entries(
    place: str,
    entries: Mapping[str, Any],
    rules: Rules,
    whole: Any,
    may_be: Callable[[str, Any], bool] = lambda name, value: False,
) -> None:
    """Check entries by the rules of their names.

    Parameters
    ----------
    place : str
        What stands before their names in messages.
    whole : object
        What the rules may ask for other entries.
    may_be : callable
        Whether there may be an entry that has no rule, by its name and value.

    Raises
    ------
    ValueError
        The message names the entry.
    """
    for name, rule in rules.items():
        if name in entries:
            rule.check(f"{place}{name}", entries[name], whole)
        elif not rule.is_optional:
            raise ValueError(f"{place}{name} is lacking")
    for name, value in entries.items():
        if name not in rules and not may_be(name, value):
            raise ValueError(f"{place}{name} is unknown"[:200])


def fields_by(rules_of: Mapping[type, Rules]) -> Rule:
    """An object of one of these types, whose fields keep to the rules."""

    def holds(value: Any, whole: Any) -> bool:
        check_entries("", vars(value), rules_of[type(value)], value)
        return True

    return Rule(" or ".join(f"a right {kind.__name__}" for kind in rules_of), holds)


# --------------------------------------------------------------------------------------------------------------------
# What is often asked


def is_whole(value: Any, at_least: int = 0) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and at_least <= int(value) < 2**63


def is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_array(value: Any, kinds: str, *shape: int) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in kinds and value.shape == shape


def are_counts(value: Any, n: int) -> bool:
    return is_array(value, "i", n) and value.dtype == np.int64 and bool((value >= 0).all())


def are_sorted(values: Any) -> bool:
    """Whether an array is of one dimension, and sorted; none is there twice, none is missing."""
    if not is_array(values, "biufmMUSO", len(values)) or (values != values).any():
        return False
    items = values if values.dtype.kind != "O" else values.tolist()
    return all(isinstance(item, Hashable) for item in items) and all(a < b for a, b in pairwise(items))


FLAG = Rule("True or False", lambda value, _: isinstance(value, bool | np.bool_))
NAME = Rule("a name", lambda value, _: isinstance(hash(value), int))
NUMBER = Rule("a number", lambda value, _: is_number(value))
NUMBER_FROM_0 = Rule("a number from 0 up", lambda value, _: is_number(value) and value >= 0)


def whole_from(least: int) -> Rule:
    return Rule(f"a whole number from {least} up", lambda value, _: is_whole(value, least))


def one_of(*allowed: Any) -> Rule:
    def holds(value: Any, whole: Any) -> bool:
        return any(type(value) is type(own) and value == own for own in allowed)

    return Rule(f"one of {list(allowed)}", holds)
