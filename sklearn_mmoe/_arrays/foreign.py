"""Tensors and masked arrays as NumPy has them; what has no values, or none for each cell, is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse


def detached(data: Any, name: str = "X") -> Any:
    """A torch tensor on any device, with or without a gradient -> NumPy; anything else as it is.

    Types of floats that NumPy does not have become float32, which holds them exactly.
    """
    if isinstance(data, list | tuple) and len(data) and _is_tensor(data[0]):
        return [detached(own, name) for own in data]
    if not _is_tensor(data):
        return data
    if lacking := _what_is_lacking(data):
        raise TypeError(f"{name} is a tensor of torch that is {lacking}.")
    tensor = data.detach().cpu().resolve_conj().resolve_neg()
    try:
        return tensor.numpy()
    except TypeError:  # bfloat16, say
        return tensor.float().numpy()


def way_to_dense(data: Any) -> str | None:
    """The method that makes a dense array of sparse data, of SciPy or torch; None: it is not sparse."""
    if issparse(data):
        return "toarray()"
    return "to_dense()" if _is_tensor(data) and str(data.layout).startswith("torch.sparse") else None


def _is_tensor(data: Any) -> bool:
    return hasattr(data, "detach") and hasattr(data, "cpu")


def _what_is_lacking(tensor: Any) -> str | None:
    """What keeps a tensor from being an array, and what to do about it."""
    if tensor.is_meta:
        return "on the device 'meta', where tensors have no values: give one that has"
    if tensor.is_nested:
        return "nested, of rows of different lengths: give one whose rows are equally long"
    if tensor.is_quantized:
        return "quantized: give its dequantize()"
    if way := way_to_dense(tensor):
        return f"sparse: give its {way}, or, as X, a sparse array of SciPy"
    return None


# --------------------------------------------------------------------------------------------------------------------
# Masked arrays


def unmasked(data: Any, name: str) -> Any:
    """Refuse masked cells; a masked array that hides nothing becomes an array, anything else is as it is."""
    array, hidden = mask_taken_off(data)
    if hidden is not None and hidden.any():
        rows = np.flatnonzero(hidden.reshape(len(hidden), -1).any(axis=1)) if hidden.ndim else np.array([0])
        raise ValueError(
            f"{name} is a masked array, {int(hidden.sum())} of whose cells are masked, the first of them in row "
            f"{rows[0]}: a value that is missing cannot be taken for the number under the mask. Leave these rows out, "
            f"or fill the cells, as {name}.filled(numpy.nan) in front of a sklearn.impute.SimpleImputer does."
        )
    return array


def mask_taken_off(data: Any) -> tuple[Any, NDArray[np.bool_] | None]:
    """A masked array, or a list with masked rows or cells, as an array, and which of its cells are masked.

    Returns
    -------
    array : what was given, if there is no mask, else an ndarray
    hidden : ndarray of bool of the same shape, or None if there is no mask
    """
    if isinstance(data, np.ma.MaskedArray):
        return np.asarray(np.ma.getdata(data)), np.ma.getmaskarray(data)
    if isinstance(data, list | tuple) and any(map(_has_mask, data)):
        return np.array([*map(_cells, data)], dtype=object), np.array([*map(_mask, data)])
    return data, None


def _has_mask(row: Any) -> bool:
    return isinstance(row, np.ma.MaskedArray) or (isinstance(row, list | tuple) and id(np.ma.masked) in map(id, row))


def _cells(row: Any) -> Any:
    """A row, or a single cell, with None where it is masked."""
    if isinstance(row, list | tuple):
        return [None if cell is np.ma.masked else cell for cell in row]
    return row.tolist() if isinstance(row, np.ndarray) else row


def _mask(row: Any) -> Any:
    if isinstance(row, list | tuple):
        return [cell is np.ma.masked for cell in row]
    return np.ma.getmaskarray(row).tolist()
