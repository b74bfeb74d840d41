"""Values of any type: each once, or several arrays of them as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """Each value once; of objects, which may have no order, as they first appear."""
    if values.dtype != object:
        return np.unique(values)
    labels = values.tolist()
    try:
        found = list(dict.fromkeys(labels))
    except TypeError:  # lists, say, which are told apart by their words
        found = list({repr(label): label for label in labels}.values())
    result = np.empty(len(found), dtype=object)
    for i, label in enumerate(found):  # one by one: of lists, NumPy would make rows
        result[i] = label
    return result


def side_by_side(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One array of the values of several, of the type that they would have had in one; of objects if none fits."""
    parts = [part for part in parts if len(part)] or parts[:1]
    kinds = {part.dtype.kind for part in parts}
    mixed = len(kinds) > 1 and not kinds <= set("biuf")  # NumPy would make strings of numbers
    return np.concatenate([part.astype(object) for part in parts] if mixed else parts)
