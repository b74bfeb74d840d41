"""Arguments of the displays, checked: numbers to draw, names beside them, styles for matplotlib."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._plotting import _validate_style_kwargs

from sklearn_mmoe._common.arguments import checked_size
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import shown


def plotted_numbers(values: Any, name: str, shape: Sequence[int | None] | None = None) -> FloatArray:
    """Numbers as an array; NaN, where there is none, may stand among them.

    Parameters
    ----------
    shape : sequence of int or None, default=None
        How many there must be along each axis, of which None is one or more. None: any.
    """
    try:
        found = np.asarray(values)
        numbers = found if found.dtype.kind == "f" else found.astype(np.float64) if found.dtype.kind in "biuO" else None
    except Exception:  # those of NumPy, torch and others: ragged lists, tensors without data, text among objects
        numbers = None
    if numbers is None:
        raise ValueError(f"{name} must hold numbers, got {shown(values)}.")
    if shape is not None and not (numbers.ndim == len(shape) and all(map(_fits, numbers.shape, shape))):
        wanted = ", ".join("n" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must be of shape ({wanted}{',' * (len(shape) == 1)}), got shape {numbers.shape}.")
    return numbers


def _fits(found: int, wanted: int | None) -> bool:
    return found > 0 if wanted is None else found == wanted


def numbers_by_name(values: Any, name: str, n: int) -> dict[Hashable, FloatArray]:
    """A mapping of names to so many numbers each."""
    if not isinstance(values, Mapping) or not len(values):
        raise ValueError(f"{name} must be a mapping of task names to numbers, got {shown(values)}.")
    return {key: plotted_numbers(own, f"{name}[{shown(key)}]", (n,)) for key, own in values.items()}


def plotted_names(names: Any, name: str, n: int | None = None) -> list[str]:
    """Names as texts, and whether they are so many."""
    is_array = isinstance(names, np.ndarray) and names.ndim == 1
    is_sequence = isinstance(names, Sequence) and not isinstance(names, str | bytes)
    if not (is_array or is_sequence) or not len(names):
        raise ValueError(f"{name} must be a sequence of names, got {shown(names)}.")
    if n is not None and len(names) != n:
        raise ValueError(f"{name} must hold {n} names, got {len(names)}.")
    if not all(isinstance(own, Hashable) and own is not None for own in names):
        raise ValueError(f"{name} must hold names, got {shown(names)}.")
    return [str(own) for own in names]


def checked_gates(
    gate_weights: ArrayLike, task_names: Sequence[str] | None, n_members: int = 1
) -> tuple[FloatArray, list[str]]:
    """Gate weights as an array of three dimensions, and a name for each task."""
    checked_size(n_members, "n_members")
    gates = plotted_numbers(gate_weights, "gate_weights")
    if gates.ndim != 3 or not gates.size or gates.shape[2] % n_members:
        raise ValueError(
            "gate_weights must be of shape (n_samples, n_tasks, n_members * n_experts), as gate_weights(X) returns "
            f"them; got shape {gates.shape} with n_members={n_members}."
        )
    if (gates < 0).any() or not np.allclose(gates.sum(axis=2), 1, atol=1e-3):
        raise ValueError("gate_weights must be 0 or more and sum to 1 over the experts of each row and task.")
    names = [f"y{t}" for t in range(gates.shape[1])]
    return gates, names if task_names is None else plotted_names(task_names, "task_names", len(names))


def check_styles(**styles: Mapping[str, Any] | None) -> None:
    """Refuse what can be no style, before a figure is begun and whether or not this picture needs it."""
    for name, own in styles.items():
        style_of(own, name, {})


def style_of(own: Mapping[str, Any] | None, name: str, default: Mapping[str, Any]) -> dict[str, Any]:
    """What matplotlib is told of a style: what the user says, and else what we say."""
    if own is None:
        return dict(default)
    if not isinstance(own, Mapping) or not all(isinstance(key, str) for key in own):
        raise ValueError(f"{name} must be a dict of what matplotlib takes, got {shown(own)}.")
    with drawn_by(name):
        return _validate_style_kwargs(dict(default), dict(own))


@contextmanager
def drawn_by(name: str) -> Iterator[None]:
    """Say of an error of matplotlib's, whatever it is, which argument was handed on to it."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{name} holds what matplotlib does not take: {type(error).__name__}: {error}") from error
