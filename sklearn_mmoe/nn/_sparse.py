"""Products of sparse rows with the weights of first layers (torch only).

`torch.sparse` has them, too, but its gradient takes twice as long at 20,000 features, and its CSR tensors warn that
they are in beta.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from sklearn_mmoe.nn._rows import SparseRows


def sparse_product(x: SparseRows, weight: Tensor, *, sparse_gradient: bool) -> Tensor:
    """``x @ weight[k]`` for every layer k at once; of the weights, what meets a non-zero is read.

    Parameters
    ----------
    x : SparseRows of shape (n_rows, n_features)
    weight : Tensor of shape (n_layers, n_features, n_units)
    sparse_gradient : bool
        Whether the gradient of `weight` is a sparse tensor, of the features that the batch holds.

    Returns
    -------
    Tensor of shape (n_layers, n_rows, n_units)
    """
    if sparse_gradient and torch.is_grad_enabled():
        x, weight = _features_of_batch(x, weight)
    n_layers, n_features, n_units = weight.shape
    layers = torch.arange(n_layers, device=weight.device).unsqueeze(1)
    sums = embedding_bag(
        (x.indices + layers * n_features).flatten(),
        weight.reshape(-1, n_units),
        (x.indptr[:-1] + layers * len(x.indices)).flatten(),
        mode="sum",
        per_sample_weights=x.values.repeat(n_layers),
    )
    return sums.view(n_layers, len(x), n_units)


def sparse_linear(x: SparseRows, weight: Tensor, bias: Tensor, *, sparse_gradient: bool) -> Tensor:
    """What `torch.nn.functional.linear` gives: a weight of shape (n_units, n_features) -> (n_rows, n_units)."""
    if sparse_gradient and torch.is_grad_enabled():
        x, weight = _features_of_batch(x, weight)
    return bias + sparse_product(x, weight.t().unsqueeze(0), sparse_gradient=False).squeeze(0)


def _features_of_batch(x: SparseRows, weight: Tensor) -> tuple[SparseRows, Tensor]:
    """The same product, of the features that the batch holds alone; they are the weight's second dimension."""
    features, places = torch.unique(x.indices, return_inverse=True)
    own: Tensor = _Features.apply(weight, features)  # type: ignore[no-untyped-call]  # torch gives it no types
    return replace(x, indices=places, n_features=len(features)), own


class _Features(torch.autograd.Function):
    """``weight.index_select(1, features)`` with a sparse gradient; `features` are sorted and differ."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        ctx.shape = weight.shape
        return weight.index_select(1, features)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (features,) = ctx.saved_tensors
        n_layers = len(gradient)
        layers = torch.arange(n_layers, device=features.device).repeat_interleave(len(features))
        places = torch.stack([layers, features.repeat(n_layers)])
        values = gradient.flatten(0, 1)
        return torch.sparse_coo_tensor(places, values, ctx.shape, is_coalesced=True, check_invariants=False), None
