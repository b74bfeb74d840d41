"""What a saved model is made of, as JSON and named arrays of numbers: a closed set of types, and no code among them.

None, booleans, whole numbers, finite floats, strings and lists are JSON's own. All else is an object with one key that
says what it is: ``{"tuple": [1, 2]}``, ``{"float": "nan"}``, ``{"tensor": "module.heads.weight"}``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_mmoe._features import Categories
from sklearn_mmoe._fitted_tasks import FittedClassification, FittedOrdinal, FittedRegression
from sklearn_mmoe._frame_dtypes import FrameDtype
from sklearn_mmoe._named_types import Named
from sklearn_mmoe._running_stats import RunningStats
from sklearn_mmoe.tasks import Binary, Classification, Count, Multiclass, Ordinal, Positive, Regression

MANY_ITEMS = 1000  # more strings than this are text in an array, as the JSON has to fit into safetensors' header
_OBJECTS: dict[str, Callable[..., Any]] = {
    cls.__name__: cls
    for cls in (
        *(Regression, Count, Positive, Binary, Multiclass, Ordinal, Classification),
        *(FittedRegression, FittedClassification, FittedOrdinal, RunningStats),
        *(Categories, FrameDtype, Named),
    )
}


class NotPlainError(ValueError):
    """A value of a type that is none of those that can be written.

    Parameters
    ----------
    place, what : str
        Where it stands, and what it is.
    """

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place} is {what}")
        self.place = place


class Encoder:
    """Values -> what JSON can say of them; arrays of numbers go to `arrays`, under names that say where they stood."""

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}

    def encode(self, value: Any, place: str) -> Any:
        """The JSON of a value.

        Parameters
        ----------
        place : str
            Where it stands, such as "callbacks.0".

        Raises
        ------
        NotPlainError
            If the value, or what it holds, is of no type that can be written.
        """
        kind = type(value)
        if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
            return value
        if kind is float:
            return {"float": repr(value)}
        if kind in (list, tuple):
            items = [self.encode(item, _within(place, i)) for i, item in enumerate(value)]
            return items if kind is list else {"tuple": items}
        if isinstance(value, dict):
            return self._encode_dict(value, place)
        if kind in _OBJECTS.values():
            own = {field.name: getattr(value, field.name) for field in fields(value)}
            return {"object": [kind.__name__, {name: self.encode(v, _within(place, name)) for name, v in own.items()}]}
        if isinstance(value, np.ndarray):
            return self._encode_array(value, place)
        if isinstance(value, np.generic) and (value.dtype.kind in "US" or _is_numeric(value.dtype)):
            return {"scalar": [value.dtype.str, self.encode(value.item(), place)]}
        if kind is bytes:
            return {"bytes": value.decode("latin-1")}
        if kind is date or (kind is datetime and value.tzinfo is None):
            return {kind.__name__: value.isoformat()}
        raise NotPlainError(place, _in_words(value))

    def _encode_dict(self, value: dict[Any, Any], place: str) -> Any:
        pairs = [(key, self.encode(item, _within(place, key))) for key, item in value.items()]
        if all(type(key) is str for key, _ in pairs):
            return {"dict": dict(pairs)}
        return {"items": [[self.encode(key, place), item] for key, item in pairs]}

    def _encode_array(self, array: NDArray[Any], place: str) -> Any:
        if _is_numeric(array.dtype):
            return {"tensor": self._tensor(array, place)}
        if array.dtype.kind in "mM":
            native = array.astype(array.dtype.newbyteorder("="))
            return {"times": [native.dtype.str, self._tensor(native.view(np.int64), place)]}
        if array.dtype.kind not in "OUS":
            raise NotPlainError(place, f"an array of {array.dtype}")
        items: Any = [self.encode(item, place) for item in array.ravel().tolist()]
        if len(items) > MANY_ITEMS:
            items = {"text": self._tensor(np.frombuffer(json.dumps(items).encode(), dtype=np.uint8), place)}
        return {"array": [array.dtype.str, list(array.shape), items]}

    def _tensor(self, array: NDArray[Any], place: str) -> str:
        while place in self.arrays:
            place += "_"
        # safetensors writes the memory as it lies, whatever the order of dimensions and bytes
        self.arrays[place] = array.astype(array.dtype.newbyteorder("="), order="C", subok=False)
        return place


def decode(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """What `Encoder` was given, from the JSON and the arrays."""
    if isinstance(value, list):
        return [decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    match kind:
        case "float":
            return float(content)
        case "tuple":
            return tuple(decode(content, arrays))
        case "dict":
            return {key: decode(item, arrays) for key, item in content.items()}
        case "items":
            return {decode(key, arrays): decode(item, arrays) for key, item in content}
        case "object":
            name, own = content
            return _OBJECTS[name](**{field: decode(item, arrays) for field, item in own.items()})
        case "tensor":
            return arrays[content]
        case "times":
            return arrays[content[1]].view(_dtype_of_kind("mM", content[0]))
        case "array":
            dtype, shape, items = content
            return _decode_array(dtype, shape, items, arrays)
        case "scalar":
            return _dtype_of_kind("biufUS", content[0]).type(decode(content[1], arrays))
        case "bytes":
            return content.encode("latin-1")
        case "date":
            return date.fromisoformat(content)
        case "datetime":
            return datetime.fromisoformat(content)
    raise ValueError(f"no value is of kind {kind!r}")


def _decode_array(dtype: str, shape: list[int], items: Any, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    if isinstance(items, dict):
        items = json.loads(arrays[items["text"]].tobytes())
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):  # one by one: of tuples, NumPy would make rows
        array[i] = decode(item, arrays)
    return array.astype(_dtype_of_kind("OUS", dtype)).reshape(shape)


def _dtype_of_kind(kinds: str, name: str) -> np.dtype[Any]:
    dtype = np.dtype(name)
    if dtype.kind not in kinds:
        raise ValueError(f"{name!r} is no data type of kind {kinds!r}")
    return dtype


def _is_numeric(dtype: np.dtype[Any]) -> bool:
    """Whether safetensors has the data type."""
    return dtype.kind in "biuf" and dtype.itemsize <= 8


def _in_words(value: Any) -> str:
    kind = value if isinstance(value, type) else type(value)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return f"the class {name}" if isinstance(value, type) else f"of type {name}"


def _within(place: str, key: Any) -> str:
    return f"{place}.{key}" if place else str(key)
