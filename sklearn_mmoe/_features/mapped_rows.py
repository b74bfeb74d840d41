"""Rows of a memory map, which become tensors as they are asked for (NumPy and torch only)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHUNK_BYTES = 2**26  # most that is read at once without need


@dataclass(frozen=True)
class MappedRows:
    """Rows that stay in their file; what is taken of them is read, converted and sent to the device."""

    array: NDArray[Any]  # (n_rows, n_features), numbers of any type
    dtype: str  # of the tensors
    device: torch.device

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: Any) -> Tensor:
        return self._tensor(np.array(self.array[rows], dtype=self.dtype, order="C"))

    def index_select(self, dim: int, rows: Tensor) -> Tensor:
        wanted = rows.cpu().numpy()
        order = np.argsort(wanted)  # a file is read from front to back
        taken = np.empty((len(wanted), self.array.shape[1]), dtype=self.dtype)
        taken[order] = self.array[wanted[order]]
        return self._tensor(taken)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.array), self.array.shape[1]

    def to(self, device: torch.device) -> MappedRows:
        return replace(self, device=device)

    @property
    def rows_at_once(self) -> int:
        """How many rows are few enough to be read together."""
        return max(1, CHUNK_BYTES // (self.array.shape[1] * np.dtype(self.dtype).itemsize))

    def chunks(self) -> Iterator[NDArray[Any]]:
        """All rows, some at once, in the type of the tensors."""
        for start in range(0, len(self), self.rows_at_once):
            yield self.array[start : start + self.rows_at_once].astype(self.dtype, copy=False)

    def _tensor(self, rows: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(rows)
        if self.device.type == "cuda":  # from pinned memory it is copied while the GPU is at the batch before
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)
