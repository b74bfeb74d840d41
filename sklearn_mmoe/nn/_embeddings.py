"""Embeddings of many categorical columns in few tables (torch only)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklearn_mmoe._common.memory import require_room

# From about this many rows on, a step that goes over a whole table, its gradient and its optimizer's state costs more
# than one that sorts and updates the rows of a batch of 256 with ten columns (one core: 3 ms at 50,000 x 50).
SPARSE_GRADIENT_ROWS = 30_000
INITIAL_STD = 0.1  # small beside features of unit scale, yet what it tells apart is heard from the first step on


def embedding_width(n_categories: int) -> int:
    """Width of a column's embedding: ``min(50, round(1.6 * n_categories ** 0.56))``, at least 1.

    The exponent and the factor are the rule of thumb of fastai (``emb_sz_rule``), the bound of 50 is that of its first
    release: wider vectors cost more in every layer that reads them and seldom tell more.
    """
    return max(1, min(50, round(1.6 * n_categories**0.56)))


class Embeddings(nn.Module):
    """One embedding per categorical column, side by side.

    A column with n categories has n + 1 rows: row 0 is for what is missing or unknown, and begins at zero, so that it
    says nothing until training shows it rows that lack the category. The other rows are drawn from a normal
    distribution with standard deviation 0.1. Columns whose embeddings are equally wide share a table, each from an
    offset of its own, so that the number of operators grows with the number of widths only, of which there are 50.

    Parameters
    ----------
    n_categories : sequence of int
        Number of categories of each column.
    n_members : int, default=1
        Number of members of an ensemble, each of which gets embeddings of its own.

    Attributes
    ----------
    width : int
        Sum of the widths of all columns.
    """

    def __init__(self, n_categories: Sequence[int], n_members: int = 1) -> None:
        super().__init__()
        columns_of: dict[int, list[int]] = {}
        for column, n in enumerate(n_categories):
            columns_of.setdefault(embedding_width(n), []).append(column)
        self.n_columns = len(n_categories)
        self.width = sum(width * len(columns) for width, columns in columns_of.items())
        self.tables = nn.ModuleList(
            _SharedTable([n_categories[column] for column in columns], columns, width, n_members)
            for width, columns in columns_of.items()
        )

    def forward(self, codes: Tensor) -> Tensor:
        """(n_rows, n_columns) -> (n_rows, width), of several members (n_members, n_rows, width).

        Columns stand in the order of the tables.
        """
        return torch.cat([table(codes) for table in self.tables], dim=-1)


class _SharedTable(nn.Module):
    """The embeddings of columns of one width, one below the other, member by member."""

    columns: Tensor
    offsets: Tensor

    def __init__(self, n_categories: Sequence[int], columns: Sequence[int], width: int, n_members: int = 1) -> None:
        super().__init__()
        n_rows = (sum(n_categories) + len(n_categories)) * n_members
        require_room((n_rows, width), ("n_categories", "n_members"))
        sizes = torch.tensor(n_categories) + 1
        offsets = torch.cumsum(sizes, 0) - sizes
        if n_members > 1:
            offsets = offsets + torch.arange(n_members).view(-1, 1, 1) * sizes.sum()  # (n_members, 1, n_columns)
        self.register_buffer("columns", torch.tensor(columns), persistent=False)
        self.register_buffer("offsets", offsets, persistent=False)
        self.embedding = nn.Embedding(n_rows, width, sparse=n_rows > SPARSE_GRADIENT_ROWS)
        with torch.no_grad():
            self.embedding.weight.normal_(std=INITIAL_STD).index_fill_(0, offsets.flatten(), 0.0)

    def forward(self, codes: Tensor) -> Tensor:
        return self.embedding(codes.index_select(1, self.columns) + self.offsets).flatten(-2)
