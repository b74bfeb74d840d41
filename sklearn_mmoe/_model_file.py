"""The file of a saved model: arrays and a JSON document in the safetensors format.

The document stands in the metadata of safetensors' header, and begins with the number of the format and a checksum of
the whole file in which the checksum itself is zeros.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from sklearn_mmoe._files import write_whole
from sklearn_mmoe._version import __version__

FORMAT = 1
_KEY = "sklearn_mmoe"
_NO_CHECKSUM = "0" * 64
_BEFORE_CHECKSUM = rb"\"sha256\":\""  # JSON within JSON
_LENGTH_BYTES = 8  # of the length of the header, with which the file begins
_LARGEST_HEADER = 100_000_000  # that safetensors reads
_GET_IT_ANEW = "Copy it again from where it came from, or save the model again."

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
    from safetensors import SafetensorError

    data = Path(path).read_bytes()
    document, arrays_end = _parsed_header(data, path)
    number = document.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise ValueError(
            f"{path} is written in format {number}, and sklearn_mmoe {__version__} reads formats up to {FORMAT}. "
            "Open it with the version that wrote it, or a later one: pip install -U sklearn_mmoe."
        )
    if len(data) < arrays_end:
        raise ValueError(f"{path} is cut off: {len(data):,} of its {arrays_end:,} bytes are there. {_GET_IT_ANEW}")
    if document.pop("sha256", None) != _checksum(data) or document.pop("format", None) != FORMAT:
        raise ValueError(f"{path} has been altered since it was saved: its checksum does not match. {_GET_IT_ANEW}")
    try:
        return document, safetensors.load(data)
    except SafetensorError as error:
        raise ValueError(f"{path} is broken: {error}. {_GET_IT_ANEW}") from error


def _parsed_header(data: bytes, path: Any) -> tuple[dict[str, Any], int]:
    """The document, and where the arrays should end."""
    end = _header_end(data)
    begins_like_ours = data[_LENGTH_BYTES:].startswith(b'{"__metadata__":{"' + _KEY.encode())
    if end > len(data) and begins_like_ours:
        raise ValueError(f"{path} is cut off: {len(data):,} bytes are there, and more of its header. {_GET_IT_ANEW}")
    try:
        header = json.loads(data[_LENGTH_BYTES:end])
        document = json.loads(header.pop("__metadata__")[_KEY])
        arrays_end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        if not isinstance(document, dict):
            raise TypeError("a document is a dict")
        return document, end + arrays_end
    except (AttributeError, KeyError, IndexError, RecursionError, TypeError, ValueError) as error:
        if begins_like_ours:
            what = "has been altered since it was saved: its header is broken"
            raise ValueError(f"{path} {what}. {_GET_IT_ANEW}") from error
        raise ValueError(
            f"{path} is no model that sklearn_mmoe has saved, or only a few bytes of one. Files of joblib and pickle "
            "are opened by joblib.load, those of skops by skops.io.load."
        ) from error


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
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            f"{what} a model's file needs safetensors: pip install 'sklearn_mmoe[save]'. Without it there are "
            "joblib.dump and joblib.load."
        ) from error
    return safetensors.numpy
