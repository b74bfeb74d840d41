"""Sparse matrices in CSR form, whose indices stay within them."""

from __future__ import annotations

from typing import Any

from scipy.sparse import issparse


def sound_csr(X: Any, name: str) -> Any:
    """A sparse matrix or array as CSR, anything else as it is.

    Indices are looked at before they are followed: broken ones lead out of the memory of an array.
    """
    if not issparse(X) or X.ndim != 2:
        return X
    try:
        if X.format in ("csc", "bsr"):
            _compressed_anew(X)
        elif X.format == "coo":
            type(X)((X.data, (X.row, X.col)), shape=X.shape)
        rows = X if X.format == "csr" else X.tocsr()
        if not _is_sound(rows):
            rows = _compressed_anew(rows)
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name} is a sparse matrix whose indices are broken ({error}). Build it anew, from its rows or from "
            "values and their places: scipy.sparse.coo_array((values, (rows, columns)), shape)."
        ) from error
    return rows


def _compressed_anew(X: Any) -> Any:
    """The same, of the same arrays, cut to what is in use, unless SciPy finds something wrong with them."""
    again = type(X)((X.data, X.indices, X.indptr), shape=X.shape)
    again.check_format(full_check=True)
    return again


def _is_sound(X: Any) -> bool:
    """Whether SciPy would find nothing wrong, and nothing to cut; for a single row, it takes long to tell."""
    indices, indptr = X.indices, X.indptr
    n_values = len(X.data)
    return bool(
        indices.dtype.kind in "iu"
        and indptr.dtype.kind in "iu"
        and len(indices) == n_values
        and len(indptr) == X.shape[0] + 1
        and indptr[0] == 0
        and indptr[-1] == n_values
        and (indptr[1:] >= indptr[:-1]).all()
        and (n_values == 0 or (indices.min() >= 0 and indices.max() < X.shape[1]))
    )
