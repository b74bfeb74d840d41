"""Rows as tensors on the device, whole batches sliced from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._features.mapped_rows import MappedRows
from sklearn_mmoe.nn._rows import CodedRows, SparseRows, apply_to

PREDICT_ROWS = 8192  # rows per chunk of a prediction: large enough to be fast, small enough to stay in the caches
PREDICT_VALUES = 2**20  # non-zeros per chunk of sparse rows: each is copied for every expert
STACKED_BATCHES = 256  # whose losses are kept one by one before they are stacked


class TensorRows(Dataset[Any]):
    """Some rows of a table of features and of the table of targets beside it.

    Parameters
    ----------
    X : Tensor, CodedRows, SparseRows, MappedRows or ndarray of shape (n, n_features)
    y : Tensor or ndarray of shape (n, n_targets), optional
    rows : Tensor of int, optional
        The rows meant, all if None. The tables are shared, not copied.
    """

    def __init__(self, X: Any, y: Any = None, rows: Tensor | None = None) -> None:
        self.X = as_tensor(X)
        self.y = None if y is None else as_tensor(y)
        self.rows = rows

    def __len__(self) -> int:
        return len(self.X) if self.rows is None else len(self.rows)

    @property
    def shape(self) -> tuple[int, int]:
        """That of the features."""
        return len(self), self.X.shape[1]

    def __getitem__(self, index: Any) -> tuple[Tensor, Tensor | None]:
        rows = index if self.rows is None else self.rows[index]
        return self.X[rows], None if self.y is None else self.y[rows]

    def sample(self, at_most: int) -> tuple[Any, Any]:
        """Some rows, one drawn from each stretch of as many, and their targets; always the same.

        Every so-and-so-manieth would be a single hour of days, or a single fold of those that are dealt out in turn.
        """
        stretch = -(-len(self) // max(1, at_most))
        starts = torch.arange(0, len(self), stretch)
        drawn = torch.randint(stretch, starts.shape, generator=torch.Generator().manual_seed(0))
        taken = (starts + drawn).clamp(max=len(self) - 1).to(self.X.device)
        rows = taken if self.rows is None else self.rows[taken]
        cells: Any = self.y
        return self.X.index_select(0, rows), cells.index_select(0, rows)


class RowBatches:
    """An iterator for skorch that takes whole batches out of a `TensorRows`, where a DataLoader collates single rows.

    Parameters
    ----------
    dataset : TensorRows
    batch_size : int
        Rows of a batch; the last one may have fewer.
    shuffle : bool, default=False
        Whether every epoch has an order of its own, drawn from torch's generator of the device.
    """

    def __init__(self, dataset: TensorRows, batch_size: int, shuffle: bool = False) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        X, y, rows = self.dataset.X, self.dataset.y, self.dataset.rows
        if self.shuffle:
            order = torch.randperm(len(self.dataset), device=X.device)
            rows = order if rows is None else rows[order]
        starts = range(0, len(self.dataset), self.batch_size)
        if rows is None:
            for start in starts:
                stop = start + self.batch_size
                yield X[start:stop], None if y is None else y[start:stop]
            return
        # Once for all batches: to fetch the row numbers of each from a GPU would wait for what that is still doing
        rows_of_X = rows.cpu() if isinstance(X, MappedRows) else rows
        for start in starts:
            stop = start + self.batch_size
            batch = X.index_select(0, rows_of_X[start:stop])
            yield batch, None if y is None else y.index_select(0, rows[start:stop])


class TensorsOfBatches:
    """A small tensor from each batch, all of one shape.

    They are stacked now and then. Kept one by one until the epoch ends, they would lie between the large blocks that
    come and go with every batch, which could then not be used again as a whole: memory would grow with every batch.
    """

    def __init__(self) -> None:
        self._stacks: list[Tensor] = []
        self._single: list[Tensor] = []

    def append(self, tensor: Tensor) -> None:
        self._single.append(tensor)
        if len(self._single) == STACKED_BATCHES:
            self._stacks.append(torch.stack(self._single))
            self._single.clear()

    def stacked(self) -> Tensor:
        """All of them, along a new first dimension."""
        return torch.cat([*self._stacks, *([torch.stack(self._single)] if self._single else [])])


def as_tensor(array: Any) -> Any:
    """A tensor that shares the memory of an array, unless the array may not be written to (torch would warn).

    Rows that are tensors already stay what they are.
    """
    if isinstance(array, CodedRows | SparseRows | MappedRows):
        return array
    if isinstance(array, np.ndarray) and not array.flags.writeable:
        array = array.copy()
    return torch.as_tensor(array)


def rows_at_once(X: Any) -> int:
    """How many rows a chunk without gradients has."""
    if isinstance(X, SparseRows) and len(X.values):
        return max(1, min(PREDICT_ROWS, len(X) * PREDICT_VALUES // len(X.values)))
    if isinstance(X, MappedRows):
        return min(PREDICT_ROWS, X.rows_at_once)
    return PREDICT_ROWS


def apply_in_chunks(
    function: Callable[..., Tensor], X: FloatArray | Tensor | CodedRows | SparseRows | MappedRows, device: torch.device
) -> FloatArray:
    """Apply a function of a batch to all rows, without gradients, and gather the results on the CPU."""
    n_rows = rows_at_once(X)

    def chunk(start: int) -> FloatArray:
        return apply_to(function, as_tensor(X[start : start + n_rows]).to(device)).cpu().numpy()

    with torch.inference_mode():
        first = chunk(0)
        if len(first) == len(X):
            return first
        # One block for all answers: small ones kept from every chunk would scatter the heap, and memory would grow
        answers = np.empty((len(X), *first.shape[1:]), dtype=first.dtype)
        answers[: len(first)] = first
        for start in range(n_rows, len(X), n_rows):
            answers[start : start + n_rows] = chunk(start)
    return answers
