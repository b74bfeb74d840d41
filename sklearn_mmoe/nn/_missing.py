"""Whether a network takes missing numbers, which its embeddings of numbers decide."""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any

import torch

from sklearn_mmoe.nn._numbers import LinearEmbeddings


@torch.no_grad()
def take_missing(embeddings: Any, n_features: int) -> bool:
    """Whether embeddings of so many features make numbers of NaN; those of others are tried out."""
    if embeddings is None or isinstance(embeddings, LinearEmbeddings):
        return embeddings is not None
    tried = copy.deepcopy(embeddings).eval()
    like = next((own for own in chain(tried.parameters(), tried.buffers()) if own.is_floating_point()), torch.empty(0))
    missing = torch.full((2, n_features), torch.nan, dtype=like.dtype, device=like.device)
    try:
        return bool(torch.isfinite(tried(missing)).all())
    except Exception:  # which they may well raise of NaN
        return False
