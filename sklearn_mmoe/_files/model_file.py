"""The file of a saved model: arrays and a JSON document in the safetensors format.

The document stands in the metadata of safetensors' header, and begins with the number of the format and a checksum of
the whole file in which the checksum itself is zeros.
"""

from __future__ import annotations

import hashlib
import json
import os
import reprlib
import stat
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from sklearn_mmoe._common.extras import require
from sklearn_mmoe._common.words import errors_of
from sklearn_mmoe._files.whole import name_of, write_whole
from sklearn_mmoe._version import __version__

FORMAT = 1
_KEY = "sklearn_mmoe"
_NO_CHECKSUM = "0" * 64
_BEFORE_CHECKSUM = rb"\"sha256\":\""  # JSON within JSON
_LENGTH_BYTES = 8  # of the length of the header, with which the file begins
_LARGEST_HEADER = 100_000_000  # that safetensors reads
_DTYPES = {"BOOL", "F16", "F32", "F64", *(f"{sign}{bits}" for sign in "IU" for bits in (8, 16, 32, 64))}
_GET_IT_ANEW = "Copy it again from where it came from, or save the model again."

_SHORT = reprlib.Repr()
_SHORT.maxdict = 10
_SHORT.maxstring = _SHORT.maxother = 100

Arrays = dict[str, NDArray[Any]]


def write_model_file(path: str | os.PathLike[str], document: Mapping[str, Any], arrays: Arrays) -> None:
    """Write a document and arrays; what stood under this name is replaced in the end or, if an error comes up, stays.

    Parameters
    ----------
    document : mapping
        What JSON can say.
    arrays : dict of str to ndarray
        Of numbers, C-contiguous.
    """
    safetensors = _import_safetensors("Writing")
    whole = {"format": FORMAT, "sha256": _NO_CHECKSUM, **document}
    text = json.dumps(whole, separators=(",", ":"), allow_nan=False)
    data = safetensors.save(arrays, metadata={_KEY: text})
    if _header_end(data) > _LARGEST_HEADER:
        raise ValueError(
            f"The parameters, history and names of this model take {_header_end(data):,} bytes, more than the "
            f"{_LARGEST_HEADER:,} that safetensors reads. Save it with joblib.dump."
        )
    start = _checksum_start(data)
    write_whole(path, [data[:start], _checksum(data).encode(), data[start + len(_NO_CHECKSUM) :]])


def read_model_file(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Arrays]:
    """The document and the arrays of a file, which has been checked to be as it was written.

    Raises
    ------
    ValueError
        If the file is none of ours, cut off, altered, or of a newer format.
    """
    safetensors = _import_safetensors("Reading")
    data = _content_of(path)
    document, arrays_end = _parsed_header(data, path)
    number = document.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise ValueError(
            f"{path} is written in format {in_short(number)}, and sklearn_mmoe {__version__} reads formats up to "
            f"{FORMAT}. Open it with the version that wrote it, or a later one: pip install -U sklearn_mmoe."
        )
    if len(data) < arrays_end:
        raise ValueError(f"{path} is cut off: {len(data):,} of its {arrays_end:,} bytes are there. {_GET_IT_ANEW}")
    if document.pop("sha256", None) != _checksum(data) or document.pop("format", None) != FORMAT:
        raise ValueError(f"{path} has been altered since it was saved: its checksum does not match. {_GET_IT_ANEW}")
    try:
        return document, safetensors.load(data)
    except Exception as error:  # its own of offsets, and NumPy's of shapes
        raise ValueError(f"{path} is broken: {str(error)[:200]}. {_GET_IT_ANEW}") from error


def parsed_json(text: str | bytes) -> Any:
    """What a text in JSON says, if that is one thing: no key twice, no number that JSON does not have.

    Raises
    ------
    ValueError, RecursionError
    """
    return json.loads(text, parse_constant=_no_number, object_pairs_hook=_without_twice)


def in_short(value: Any) -> str:
    """A value that may be of any length in a message."""
    return _SHORT.repr(value)


def _content_of(path: str | os.PathLike[str]) -> bytes:
    """All that is in a file; its beginning, if that shows that it is no model."""
    with errors_of("path"):
        kind = os.stat(name_of(path)).st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        raise ValueError(f"{path} is no model that sklearn_mmoe has saved, but a device, a pipe or the like.")
    with open(path, "rb") as file:
        start = file.read(_LENGTH_BYTES + 64)
        try:
            return start if _header_end(start) > _LENGTH_BYTES + _LARGEST_HEADER else start + file.read()
        except MemoryError as error:
            raise ValueError(f"{path} is larger than the memory that there is.") from error


def _parsed_header(data: bytes, path: Any) -> tuple[dict[str, Any], int]:
    """The document, and where the arrays should end."""
    end = _header_end(data)
    begins_like_ours = data[_LENGTH_BYTES:].startswith(b'{"__metadata__":{"' + _KEY.encode())
    if end > len(data) and begins_like_ours:
        raise ValueError(f"{path} is cut off: {len(data):,} bytes are there, and more of its header. {_GET_IT_ANEW}")
    try:
        header = parsed_json(data[_LENGTH_BYTES:end])
        document = parsed_json(header.pop("__metadata__")[_KEY])
        if not isinstance(document, dict):
            raise TypeError("a document is a dict")
        return document, end + max(map(_end_of, header.values()), default=0)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        if begins_like_ours:
            what = "has been altered since it was saved: its header is broken"
            raise ValueError(f"{path} {what}. {_GET_IT_ANEW}") from error
        raise ValueError(
            f"{path} is no model that sklearn_mmoe has saved, or only a few bytes of one. Files of joblib and pickle "
            "are opened by joblib.load, those of skops by skops.io.load."
        ) from error


def _end_of(tensor: Any) -> int:
    """Where an array ends, as the header has it; safetensors sees whether that is so, and has more types than we."""
    match tensor:
        case {"dtype": str(dtype), "shape": list(), "data_offsets": [int(), int(end)]}:
            if dtype in _DTYPES and end < 2**63:
                return end
    raise ValueError("the header has no array of ours")


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _without_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found


def _header_end(data: bytes) -> int:
    return _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")


def _checksum_start(data: bytes) -> int:
    return data.find(_BEFORE_CHECKSUM) + len(_BEFORE_CHECKSUM)


def _checksum(data: bytes) -> str:
    start = _checksum_start(data)
    view = memoryview(data)
    digest = hashlib.sha256(view[:start])
    digest.update(_NO_CHECKSUM.encode())
    digest.update(view[start + len(_NO_CHECKSUM) :])
    return digest.hexdigest()


def _import_safetensors(what: str) -> ModuleType:
    instead = "Without it there are joblib.dump and joblib.load."
    require(f"{what} a model's file", "safetensors.numpy", extra="save", instead=instead)
    import safetensors.numpy

    return safetensors.numpy
