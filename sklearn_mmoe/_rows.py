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


def apply_to(function: Callable[..., Tensor], rows: Tensor | CodedRows) -> Tensor:
    """Call a function of (x), or of (x, codes) where the rows have codes."""
    return function(rows.numbers, rows.codes) if isinstance(rows, CodedRows) else function(rows)
