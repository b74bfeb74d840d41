"""What a saved model is made of, as JSON and named arrays of numbers: a closed set of types, and no code among them.

None, booleans, whole numbers, finite floats, strings and lists are JSON's own. All else is an object with one key that
says what it is: ``{"tuple": [1, 2]}``, ``{"float": "nan"}``, ``{"tensor": "module.heads.weight"}``.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_mmoe._arrays.frame_dtypes import FrameDtype
from sklearn_mmoe._features.validation import Categories
from sklearn_mmoe._files.model_file import in_short, parsed_json
from sklearn_mmoe._held_out.splitters import SPLITTERS, parameters_of
from sklearn_mmoe._training.named_types import Named
from sklearn_mmoe.tasks._declared import DECLARATIONS
from sklearn_mmoe.tasks._fitted import FITTED
from sklearn_mmoe.tasks._running_stats import RunningStats

MANY_ITEMS = 1000  # more strings than this are text in an array, as the JSON has to fit into safetensors' header
_OBJECTS: dict[str, Callable[..., Any]] = {
    cls.__name__: cls for cls in (*DECLARATIONS, *FITTED, RunningStats, Categories, FrameDtype, Named)
}
# Names of data types, as `Encoder` writes them. NumPy would read far more: records, and what Python can evaluate
_OF_ARRAYS = re.compile(r"\|O|<U\d{1,9}|>U\d{1,9}|\|S\d{1,9}")
_OF_SCALARS = re.compile(r"\|b1|\|[iu]1|[<>][iuf][248]|[<>]U\d{1,9}|\|S\d{1,9}")
_OF_TIMES = re.compile(r"[<>][mM]8(\[\d{0,9}(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?")
_ITEMS: dict[str, type] = {"b": bool, "i": int, "u": int, "f": float, "U": str, "S": bytes}
_LETTERS: dict[str, Any] = {"U": np.uint32, "S": np.uint8}  # how NumPy keeps the letters of a string


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
        if kind in SPLITTERS.values():
            own = parameters_of(value)
            return {
                "splitter": [kind.__name__, {name: self.encode(v, _within(place, name)) for name, v in own.items()}]
            }
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
        if any(_has_many_digits(key) for key in value):
            raise NotPlainError(place, "a dict with a key of more than 64 bits")
        return {"items": [[self.encode(key, place), item] for key, item in pairs]}

    def _encode_array(self, array: NDArray[Any], place: str) -> Any:
        if _is_numeric(array.dtype):
            return {"tensor": self._tensor(array, place)}
        if array.dtype.kind in "mM":
            native = array.astype(array.dtype.newbyteorder("="))
            return {"times": [native.dtype.str, self._tensor(native.view(np.int64), place)]}
        if array.dtype.kind not in "OUS":
            raise NotPlainError(place, f"an array of {array.dtype}")
        name, values = array.dtype.str, array.ravel().tolist()
        if array.dtype.kind != "O" and _width(array.dtype) > (needed := _needed_width(values)):
            if values:
                return {"letters": [array.dtype.kind, self._tensor(_as_letters(array), place)]}
            name = f"{name[:2]}{needed}"  # how wide the strings would be, were there any, is no matter
        items: Any = [self.encode(value, place) for value in values]
        if len(items) > MANY_ITEMS:
            items = {"text": self._tensor(np.frombuffer(json.dumps(items).encode(), dtype=np.uint8), place)}
        return {"array": [name, list(array.shape), items]}

    def _tensor(self, array: NDArray[Any], place: str) -> str:
        while place in self.arrays:
            place += "_"
        # safetensors writes the memory as it lies, whatever the order of dimensions and bytes
        self.arrays[place] = array.astype(array.dtype.newbyteorder("="), order="C", subok=False)
        return place


class Decoder:
    """What `Encoder` was given, from the JSON and the arrays.

    Whatever the JSON says, what is made of it is not much larger than JSON and arrays are: an array is in one place
    only, and strings are as wide as their letters ask for.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Those that have not been asked for yet.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.arrays = dict(arrays)

    def decode(self, value: Any) -> Any:
        """The value that a part of the JSON stands for.

        Raises
        ------
        KeyError, TypeError, ValueError, ArithmeticError
            If `Encoder` does not write such a thing.
        """
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()
        match kind, content:
            case "float", "nan" | "inf" | "-inf":
                return float(content)
            case "tuple", list():
                return tuple(self.decode(content))
            case "dict", dict():
                return {key: self.decode(item) for key, item in content.items()}
            case "items", list():
                return _as_dict([(self.decode(key), self.decode(item)) for key, item in content])
            case "object", [str(name), dict(own)]:
                return _OBJECTS[name](**{field: self.decode(item) for field, item in own.items()})
            case "splitter", [str(name), dict(own)]:
                return SPLITTERS[name](**{parameter: self.decode(item) for parameter, item in own.items()})
            case "tensor", str():
                return self.arrays.pop(content)
            case "times", [str(name), str(place)] if _OF_TIMES.fullmatch(name):
                return _of_type(np.int64, self.arrays.pop(place)).view(name)
            case "letters", ["U" | "S" as strings, str(place)]:
                return _from_letters(strings, self.arrays.pop(place))
            case "array", [str(name), list(shape), items] if _OF_ARRAYS.fullmatch(name):
                return self._decode_array(np.dtype(name), shape, items)
            case "scalar", [str(name), item] if _OF_SCALARS.fullmatch(name):
                return _as_scalar(np.dtype(name), self.decode(item))
            case "bytes", str():
                return content.encode("latin-1")
            case "date", str():
                return date.fromisoformat(content)
            case "datetime", str() if (moment := datetime.fromisoformat(content)).tzinfo is None:
                return moment
        raise ValueError(f"{in_short(value)} is no value that a model's file can hold")

    def _decode_array(self, dtype: np.dtype[Any], shape: list[int], items: Any) -> NDArray[Any]:
        match items:
            case {"text": str(place)}:
                items = parsed_json(_of_type(np.uint8, self.arrays.pop(place)).tobytes())
        if not isinstance(items, list):
            raise TypeError("the items of an array are no list")
        array = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):  # one by one: of tuples, NumPy would make rows
            array[i] = self.decode(item)
        if dtype.kind != "O":
            strings = _all_of(_ITEMS[dtype.kind], array.tolist())
            if _width(dtype) != _needed_width(strings):
                raise ValueError(f"the strings of an array are not as wide as {dtype} says")
        array = array.astype(dtype).reshape(shape)
        if list(array.shape) != shape:
            raise ValueError(f"{in_short(shape)} is not the shape of {len(items)} items")
        return array


def _as_dict(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    if any(_has_many_digits(key) for key, _ in pairs):
        raise ValueError("a dict has a key of more than 64 bits")
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a dict has a key twice")
    return found


def _has_many_digits(key: Any) -> bool:
    """Whether a number is so large that any number of such can share a hash, and fill a dict in quadratic time."""
    return isinstance(key, int) and key.bit_length() > 64


def _all_of(kind: type, items: list[Any]) -> list[Any]:
    if not all(type(item) is kind for item in items):
        raise TypeError(f"not all items are of type {kind.__name__}")
    return items


def _of_type(dtype: Any, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype != dtype:
        raise TypeError(f"an array is of {array.dtype}, not of {np.dtype(dtype)}")
    return array


def _as_scalar(dtype: np.dtype[Any], item: Any) -> Any:
    _all_of(_ITEMS[dtype.kind], [item])
    with np.errstate(over="raise"):
        return dtype.type(item)


def _width(dtype: np.dtype[Any]) -> int:
    """How many letters a string of an array has room for."""
    return dtype.itemsize // np.dtype(_LETTERS[dtype.kind]).itemsize


def _needed_width(strings: list[Any]) -> int:
    return max([1, *map(len, strings)])


def _as_letters(strings: NDArray[Any]) -> NDArray[Any]:
    """The letters of strings along one more dimension; behind the shorter ones stand zeros."""
    native = strings.astype(strings.dtype.newbyteorder("="))
    return np.frombuffer(native.tobytes(), _LETTERS[strings.dtype.kind]).reshape(*strings.shape, -1)


def _from_letters(kind: str, letters: NDArray[Any]) -> NDArray[Any]:
    _of_type(_LETTERS[kind], letters)
    if letters.max() > sys.maxunicode:
        raise ValueError("an array of letters holds what is no letter")
    return letters.view(f"{kind}{letters.shape[-1]}").reshape(letters.shape[:-1])


def _is_numeric(dtype: np.dtype[Any]) -> bool:
    """Whether safetensors has the data type."""
    return dtype.kind in "biuf" and dtype.itemsize <= 8


def _in_words(value: Any) -> str:
    kind = value if isinstance(value, type) else type(value)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return f"the class {name}" if isinstance(value, type) else f"of type {name}"


def _within(place: str, key: Any) -> str:
    return f"{place}.{key}" if place else str(key)
