"""Arguments of the network: activations by name or class, codes of categories (torch only)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_mmoe._common.words import shown

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "tanh": nn.Tanh}


def activation_class(activation: Any) -> Callable[[], nn.Module]:
    """What makes an activation; a class is tried out, since it may be abstract, need arguments or change the shape."""
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    try:
        units = torch.zeros(2, 4)
        if activation().eval()(units).shape == units.shape:
            return activation
        reason = "gives other units than it gets"
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    raise ValueError(
        f"activation must be one of {sorted(ACTIVATIONS)}, or a class of modules that are made without arguments and "
        f"give as many units as they get; got {shown(activation)} ({reason})."
    )


def checked_codes(codes: Any, n_rows: int, n_columns: int) -> Tensor:
    if not isinstance(codes, Tensor) or codes.dtype not in (torch.int64, torch.int32):
        found = f"{codes.dtype}" if isinstance(codes, Tensor) else shown(codes)
        raise TypeError(f"codes must be a tensor of int64 of shape (n_rows, {n_columns}), got {found}.")
    if codes.dim() != 2 or codes.shape[0] != n_rows or codes.shape[1] != n_columns:
        raise ValueError(
            f"codes must be of shape ({n_rows}, {n_columns}) beside x of {n_rows} rows, got codes of shape "
            f"{tuple(codes.shape)}."
        )
    return codes


def checked_weight(weight: Any, n_rows: int) -> Tensor:
    if not isinstance(weight, Tensor) or weight.layout is not torch.strided or weight.is_nested:
        raise TypeError(f"weight must be a dense tensor of shape ({n_rows},), got {shown(weight)}.")
    if weight.shape != (n_rows,) or weight.is_complex():
        raise ValueError(
            f"weight must be of real numbers, of shape ({n_rows},), got weight of {weight.dtype}, of shape "
            f"{tuple(weight.shape)}."
        )
    if not ((weight >= 0) & torch.isfinite(weight)).all() or not weight.any():
        raise ValueError("weight must hold finite numbers, none of them below 0, and some above.")
    return weight
