"""How alike tasks are inside a fitted model: by what their gates choose, and by where their gradients point."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from torch import Tensor

from sklearn_mmoe._common.random import random_generator
from sklearn_mmoe._common.surroundings import undisturbed
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._estimators.base import BaseMMoE
from sklearn_mmoe._features.tensors import RowBatches, TensorRows, as_tensor
from sklearn_mmoe._training.net import MMoENet
from sklearn_mmoe.nn._rows import apply_to

Matrix = FloatArray


def gate_overlap(gates: FloatArray) -> Matrix:
    """Weight that each two tasks give to the same experts, mean over rows: 1 less their total variation distance.

    Gates of shape (n_rows, n_tasks, n_experts), each summing to 1 -> (n_tasks, n_tasks). Of an ensemble that is the
    mean over the members, as the weights in each sum to 1 / n_members.
    """
    shared = [
        np.minimum(gates, gates[:, [t]]).sum(axis=2).mean(axis=0, dtype=np.float64) for t in range(gates.shape[1])
    ]
    return np.clip(shared, 0.0, 1.0)  # weights in float32 sum to 1 to the sixth digit only


def gradient_cosine(model: BaseMMoE, X: Any, y: Any, *, subsample: int | None, random_state: Any) -> Matrix:
    """Cosine between the gradients of each two tasks' losses on the experts, mean over batches and members.

    Each gradient is that of a batch as large as those of the fit, with nothing dropped out. Where one of the two is 0
    (no label in the batch, say), there is no cosine; NaN where there is none in any batch.

    Parameters
    ----------
    subsample : int or None
        Most rows to take; None takes all.
    random_state : int, RandomState instance or None
        Which rows, and how they are put into batches.

    Returns
    -------
    ndarray of shape (n_tasks, n_tasks)
    """
    return undisturbed(_gradient_cosine, model, X, y, subsample, random_state)


def _gradient_cosine(model: BaseMMoE, X: Any, y: Any, subsample: int | None, random_state: Any) -> Matrix:
    features, cells = model._known_cells(X, y)
    device = torch.device(model.net_.device)
    order = random_generator(random_state).permutation(len(cells))[:subsample]
    rows = torch.from_numpy(order).to(device)
    table = TensorRows(as_tensor(features).to(device), as_tensor(cells).to(device), rows)
    n_batches = -(-len(rows) // model.net_.batch_size)
    batches = RowBatches(table, -(-len(rows) // n_batches))  # all of about one size
    cosines = torch.cat([_cosines(_expert_gradients(model.net_, *batch)) for batch in batches])
    return cosines.nanmean(dim=0).clamp(-1, 1).cpu().numpy()


def _expert_gradients(net: MMoENet, X: Any, targets: Tensor | None) -> Tensor:
    """Gradient of each task's loss on the experts of each member: (n_members, n_tasks, n_parameters)."""
    module = net.module_
    levels = [module, *(getattr(module, "levels", None) or ())]
    parameters = [own for level in levels for own in level.expert_layers.parameters()]
    losses, _ = net.criterion_(apply_to(module, X), targets)
    # The losses of a member have no gradient on another's experts, so their sum tells all members' at once
    by_task = losses.sum(dim=0) if losses.dim() == 2 else losses
    gradients = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in by_task]
    flat = [torch.cat([_values(part).reshape(module.n_members, -1) for part in own], dim=1) for own in gradients]
    return torch.stack(flat, dim=1)


def _values(gradient: Tensor) -> Tensor:
    """What is stored of a sparse gradient: the features that the batch holds, the same for all tasks."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def _cosines(gradients: Tensor) -> Tensor:
    """(n_members, n_tasks, n_parameters) -> (n_members, n_tasks, n_tasks), NaN where a gradient is 0."""
    gradients = gradients.double()
    unit = gradients / torch.linalg.vector_norm(gradients, dim=2, keepdim=True)
    return unit @ unit.transpose(1, 2)


def clustered_order(affinity: Matrix) -> NDArray[np.intp]:
    """Tasks in an order that puts alike ones beside each other.

    Hierarchical clustering by average linkage of 1 - affinity, whose leaves are then turned so that neighbours are as
    alike as can be (Bar-Joseph et al., 2001, "Fast optimal leaf ordering for hierarchical clustering"). Of the two
    directions, the one that has the first task nearer to the beginning.
    """
    n_tasks = len(affinity)
    if n_tasks < 3:
        return np.arange(n_tasks)
    distance = 1 - np.nan_to_num(affinity)  # tasks of which nothing is known are neither alike nor opposed
    distance = (distance + distance.T) / 2
    np.fill_diagonal(distance, 0.0)
    order = leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True)).astype(np.intp)
    return order if 2 * np.flatnonzero(order == 0)[0] < n_tasks else order[::-1]
