"""Rows of features that are more than one tensor of numbers; they are cut and moved as a tensor is (torch only)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class CodedRows:
    """Rows of numbers and, beside them, of the codes of categories.

    The codes are integers from end to end: a float32 holds no integer beyond 2**24 exactly.
    """

    numbers: Tensor  # (n_rows, n_numeric)
    codes: Tensor  # (n_rows, n_categorical), int64; 0 is a missing or unknown category

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Any) -> CodedRows:
        return CodedRows(self.numbers[rows], self.codes[rows])

    def index_select(self, dim: int, rows: Tensor) -> CodedRows:
        return CodedRows(self.numbers.index_select(dim, rows), self.codes.index_select(dim, rows))

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.numbers), self.numbers.shape[1] + self.codes.shape[1]

    @property
    def device(self) -> torch.device:
        return self.numbers.device

    def to(self, device: torch.device) -> CodedRows:
        return CodedRows(self.numbers.to(device), self.codes.to(device))


@dataclass(frozen=True)
class SparseRows:
    """Rows of a sparse matrix in compressed form (CSR); a feature that a row names twice counts with the sum."""

    indptr: Tensor  # (n_rows + 1,), int64: there may be more than 2**31 values
    indices: Tensor  # (n_values,), int32 or int64
    values: Tensor  # (n_values,)
    n_features: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, rows: Any) -> SparseRows:
        if not isinstance(rows, slice):
            return self.index_select(0, torch.arange(len(self), device=self.device)[rows])
        start, stop, step = rows.indices(len(self))
        if step != 1:
            return self[torch.arange(start, stop, step, device=self.device)]
        indptr = self.indptr[start : max(start, stop) + 1]
        values = slice(int(indptr[0]), int(indptr[-1]))
        return SparseRows(indptr - indptr[0], self.indices[values], self.values[values], self.n_features)

    def index_select(self, dim: int, rows: Tensor) -> SparseRows:
        starts = self.indptr.index_select(0, rows)
        lengths = self.indptr.index_select(0, rows + 1) - starts
        indptr = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        n_values = int(indptr[-1])  # the one number that a GPU is waited for
        offsets = (starts - indptr[:-1]).repeat_interleave(lengths, output_size=n_values)
        places = torch.arange(n_values, device=self.device) + offsets
        return SparseRows(
            indptr, self.indices.index_select(0, places), self.values.index_select(0, places), self.n_features
        )

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self.n_features

    @property
    def device(self) -> torch.device:
        return self.values.device

    def to_dense(self) -> Tensor:
        rows = torch.arange(len(self), device=self.device).repeat_interleave(self.indptr.diff())
        dense = self.values.new_zeros(self.shape)
        return dense.index_put_((rows, self.indices.long()), self.values, accumulate=True)

    def to(self, device: torch.device) -> SparseRows:
        return SparseRows(self.indptr.to(device), self.indices.to(device), self.values.to(device), self.n_features)


def apply_to(function: Callable[..., Tensor], rows: Tensor | CodedRows | SparseRows) -> Tensor:
    """Call a function of (x), or of (x, codes) where the rows have codes."""
    return function(rows.numbers, rows.codes) if isinstance(rows, CodedRows) else function(rows)
