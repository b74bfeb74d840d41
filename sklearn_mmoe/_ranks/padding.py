"""Batches of shards: as many on every rank, until the largest shard is through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from sklearn_mmoe._ranks.group import Group


class PaddedBatches:
    """The batches of a shard and, when they are through, rows of weight 0 until the largest shard is through, too.

    So every rank takes equally many steps. Made by all ranks together.

    Parameters
    ----------
    batches : sized iterable of (X, y)
        With a `dataset` that has the tables X and y, which holds weights.
    group : Group
    """

    def __init__(self, batches: Any, group: Group) -> None:
        self.batches = batches
        self.n_batches = max(group.gather(len(batches)))

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Any]:
        yield from self.batches
        table = self.batches.dataset
        for _ in range(self.n_batches - len(self.batches)):
            yield Padding((table.X[:1], torch.zeros_like(table.y[:1])))


class Padding(tuple[Any, torch.Tensor]):
    """A batch of one row that counts for nothing."""
