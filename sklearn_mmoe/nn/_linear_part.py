"""What outputs may have beside that of the towers: a linear function of the numbers and of the categories."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklearn_mmoe._common.memory import require_room
from sklearn_mmoe.nn._numbers import LinearEmbeddings, on_common_scale
from sklearn_mmoe.nn._rows import SparseRows

FARTHEST = 1e4  # in standard deviations of the bulk; of what is beyond, a product would leave the range of floats
MOST_CATEGORIES = 50  # of a column; more have too few rows each, and vectors that the network learns


class LinearPart(nn.Module):
    """A linear function of numbers on a common scale, and of categories, for each output; zero until it is `set`.

    The numbers are not bent, as those that the experts read are: what lies far out goes on as it began.

    Parameters
    ----------
    n_features : int
        Number of numeric features.
    n_categories : sequence of int
        Number of categories of each categorical column.
    n_members, n_outputs : int
        Each member has the same, as all parts of a network belong to a member.
    """

    weight: Tensor
    bias: Tensor
    columns: Tensor
    categories: Tensor

    def __init__(self, n_features: int, n_categories: Sequence[int], n_members: int, n_outputs: int) -> None:
        super().__init__()
        own = [(column, n) for column, n in enumerate(n_categories) if n <= MOST_CATEGORIES]
        columns = [column for column, n in own for _ in range(n + 1)]
        categories = [category for _, n in own for category in range(n + 1)]
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.int64), persistent=False)
        self.register_buffer("categories", torch.tensor(categories, dtype=torch.int64), persistent=False)
        shape = (n_members, n_features + len(columns), n_outputs)
        require_room(shape, ("n_features", "n_categories", "n_members", "task_outputs"))
        self.register_buffer("weight", torch.zeros(shape))
        self.register_buffer("bias", torch.zeros(n_members, 1, n_outputs))

    def inputs(self, x: Tensor | SparseRows, codes: Tensor | None, embeddings: LinearEmbeddings | None) -> Tensor:
        """(n_rows, n_features), (n_rows, n_columns) -> (n_rows, n_inputs): numbers, and 0 or 1 for each category."""
        x = x.to_dense() if isinstance(x, SparseRows) else x
        parts = [x if embeddings is None else on_common_scale(x, embeddings).clamp(-FARTHEST, FARTHEST)]
        if codes is not None and len(self.columns):
            parts.append((codes.index_select(1, self.columns) == self.categories).to(x.dtype))
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def forward(self, x: Tensor | SparseRows, codes: Tensor | None, embeddings: LinearEmbeddings | None) -> Tensor:
        """(n_rows, n_features), (n_rows, n_columns) -> (n_members, n_rows, n_outputs)."""
        return torch.baddbmm(self.bias, self.inputs(x, codes, embeddings).expand(len(self.weight), -1, -1), self.weight)

    @torch.no_grad()
    def set(self, weight: Tensor, bias: Tensor) -> None:
        """Take the weights of inputs, of shape (n_inputs, n_outputs), and what is added, of shape (n_outputs,)."""
        self.weight.copy_(weight)
        self.bias.copy_(bias)

    @torch.no_grad()
    def rescale(self, factor: Tensor) -> None:
        """Make each output `factor * output` of what it was; of shape (n_outputs,)."""
        self.weight.mul_(factor)
        self.bias.mul_(factor)
