"""Arguments of modules, checked without scikit-learn (torch only)."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch

from sklearn_mmoe._common.words import shown

LARGEST_SIZE = 2**63 - 1  # that torch counts to


def checked_size(value: Any, name: str, at_least: int = 1, at_most: int = LARGEST_SIZE) -> int:
    """An integer of any integer type, positive unless `at_least` says otherwise."""
    try:
        size = -1 if isinstance(value, bool | torch.Tensor) else operator.index(value)
    except TypeError:
        size = -1
    if not at_least <= size <= at_most:
        end = "up" if at_most == LARGEST_SIZE else f"to {at_most}"
        raise ValueError(f"{name} must be an integer from {at_least} {end}, got {shown(value)}.")
    return size


def checked_sizes(values: Any, name: str, *, n_at_least: int = 0, at_least: int = 1) -> tuple[int, ...]:
    """A sequence of such integers, and of so many at least."""
    if not _is_sequence(values):
        raise ValueError(f"{name} must be a sequence of integers from {at_least} up, got {shown(values)}.")
    if len(values) < n_at_least:
        raise ValueError(f"{name} must not be empty.")
    return tuple(checked_size(value, f"each of {name}", at_least) for value in values)


def checked_numbers(values: Any, name: str) -> list[float]:
    """A sequence of finite numbers, 0 or more."""
    if not _is_sequence(values) or not len(values):
        raise ValueError(f"{name} must be a sequence of numbers, one per task, got {shown(values)}.")
    if not all(0 <= as_float(value) < math.inf for value in values):
        raise ValueError(f"{name} must hold finite numbers, 0 or more, got {shown(values)}.")
    return [float(value) for value in values]


def check_positive(value: Any, name: str) -> None:
    """A finite number above 0."""
    if not (0 < as_float(value) < math.inf):
        raise ValueError(f"{name} must be a finite number above 0, got {shown(value)}.")


def check_option(value: Any, name: str, allowed: Sequence[str]) -> None:
    if not (isinstance(value, str) and value in allowed):
        raise ValueError(f"{name} must be one of {list(allowed)}, got {shown(value)}.")


def check_share(value: Any, name: str) -> None:
    """A number from 0 up to 1, and below."""
    if not (0 <= as_float(value) < 1):
        raise ValueError(f"{name} must be in [0, 1), got {shown(value)}.")


def check_flag(value: Any, name: str) -> None:
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {shown(value)}.")


def check_dtype(value: Any, name: str = "dtype") -> None:
    """A data type of floats, as modules have it."""
    if not (isinstance(value, torch.dtype) and value.is_floating_point):
        raise ValueError(f"{name} must be a torch.dtype of floats, got {shown(value)}.")


def _is_sequence(values: Any) -> bool:
    if isinstance(values, np.ndarray):
        return values.ndim == 1
    return isinstance(values, Sequence) and not isinstance(values, str | bytes)


def as_float(value: Any) -> float:
    """A number as a float, NaN of all else."""
    try:
        is_number = isinstance(value, Real) and not isinstance(value, np.timedelta64)  # NumPy counts it among integers
        return float(value) if is_number else math.nan
    except OverflowError:  # 10**400
        return math.nan
