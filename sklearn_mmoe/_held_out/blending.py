"""A ridge regression beside the network, with the share in its answers that rows which were held out ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from torch import Tensor

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._features.tensors import TensorRows
from sklearn_mmoe._ranks.group import Group
from sklearn_mmoe._training.losses import HELD_OUT, TRAINED_ON
from sklearn_mmoe.tasks._encoding import output_slices
from sklearn_mmoe.tasks._fitted import FittedTask

BLENDED_LOSSES = ("squared_error", "huber")  # those of which a mean is the answer
ALPHAS = np.logspace(-2, 5, 15)
MOST = 0.95  # the network never falls silent: what is told of it, and what goes on from it, are not about nothing
FEWEST = 3  # rows that a line is laid through
ROWS, FEWEST_ROWS, NUMBERS = 10_000, 1_000, 2_000_000  # that are looked at: of many inputs fewer rows


class Seen(NamedTuple):
    """Some rows, as the fitted network sees and answers them, of the tasks that may be blended."""

    inputs: FloatArray  # (n_rows, n_inputs), of the linear part
    outputs: FloatArray  # (n_rows, n_members, n_tasks)
    labels: FloatArray  # (n_rows, n_tasks)
    weights: FloatArray  # (n_rows, n_tasks), 0 where there is no label
    roles: FloatArray  # (n_rows, n_members), or (n_rows, 0) where all members have the same rows

    def of(self, rows: NDArray[np.bool_]) -> Seen:
        return Seen(*(own[rows] for own in self))


class Lines(NamedTuple):
    """Linear functions of the inputs, one for each task."""

    weight: FloatArray  # (n_inputs, n_tasks)
    bias: FloatArray  # (n_tasks,)

    def __call__(self, inputs: FloatArray) -> FloatArray:
        return np.asarray(inputs @ self.weight + self.bias)


def may_be_blended(task: FittedTask) -> bool:
    return task.loss in BLENDED_LOSSES


def blend(model: Any, train: TensorRows, valid: TensorRows, group: Group) -> float:
    """Let outputs of a network that was trained be linear in part, and say how large that part is."""
    module, tasks = model.module_, model._tasks
    linear_part = getattr(module, "linear_part", None)
    blended = [t for t, task in enumerate(tasks) if may_be_blended(task)]
    if linear_part is None or not blended:
        return 0.0
    seen = _seen(model, train, blended, group)
    share, lines = best_blend(seen, None if seen.roles.shape[1] else _seen(model, valid, blended, group))
    outputs = [output_slices(tasks)[t].start for t in blended]
    weight, bias = np.zeros(linear_part.weight.shape[1:]), np.zeros(linear_part.weight.shape[2])
    weight[:, outputs], bias[outputs] = share * lines.weight, share * lines.bias
    factor = np.ones(len(bias))
    factor[outputs] = 1 - share
    linear_part.set(*(torch.from_numpy(own).to(linear_part.weight) for own in (weight, bias)))
    factors = torch.from_numpy(factor).to(linear_part.weight).repeat(module.n_members)
    module.heads.rescale(factors, torch.zeros_like(factors))
    group.send([linear_part.weight, linear_part.bias, module.heads.weight, module.heads.bias])
    return share


def _seen(model: Any, part: TensorRows, tasks: list[int], group: Group) -> Seen:
    """Some rows of all ranks."""
    module, n_tasks = model.module_, model.n_outputs_
    at_most = min(ROWS, max(FEWEST_ROWS, NUMBERS // module.linear_part.weight.shape[1]))
    X, y = part.sample(at_most // group.size)
    cells = y.cpu().numpy().astype(float)

    def inputs(x: Tensor, codes: Tensor | None = None) -> Tensor:
        found: Tensor = module.linear_part.inputs(x, codes, module.numeric_embeddings)
        return found

    def answers(x: Tensor, codes: Tensor | None = None) -> Tensor:
        answered: Tensor = module(x, codes)
        return answered.transpose(0, 1) if module.n_members > 1 else answered.unsqueeze(1)

    labels = cells[:, tasks]
    weights = cells[:, n_tasks : 2 * n_tasks][:, tasks] if cells.shape[1] > n_tasks else np.ones_like(labels)
    own = Seen(
        model._apply(inputs, X).astype(float),
        model._apply(answers, X)[:, :, [output_slices(model._tasks)[t].start for t in tasks]].astype(float),
        np.nan_to_num(labels),
        np.where(np.isnan(labels), 0.0, weights),
        cells[:, 2 * n_tasks :],
    )
    return Seen(*map(np.concatenate, zip(*group.gather(own), strict=True)))


def best_blend(train: Seen, valid: Seen | None) -> tuple[float, Lines]:
    """The linear part, and its share that leaves the least squared error on rows that were held out, over all tasks.

    That is stacking (Wolpert 1992, "Stacked generalization"; Breiman 1996, "Stacked regressions") of two models. The
    share is one for all tasks: the rows held out are too few to be trusted with one of each.

    Parameters
    ----------
    train : Seen
        Rows that the network was trained on.
    valid : Seen or None
        Those that were held out. None: each member left out some of `train`, as their roles say.

    Returns
    -------
    share : float
        From 0, the network alone, to 0.95.
    lines : Lines
    """
    lines = ridge_regressions(train)
    said = [(lines(valid.inputs), valid.outputs.mean(axis=1), valid)] if valid else list(_left_out_by_members(train))
    linear = np.concatenate([by_lines for by_lines, _, _ in said])
    own = np.concatenate([by_network for _, by_network, _ in said])
    labels = np.concatenate([rows.labels for _, _, rows in said])
    weights = np.concatenate([rows.weights for _, _, rows in said])
    weights = weights / np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
    distance = float((weights * (linear - own) ** 2).sum())
    gain = float((weights * (linear - own) * (labels - own)).sum())
    return min(max(gain / distance, 0.0), MOST) if distance > 0 else 0.0, lines


def _left_out_by_members(train: Seen) -> Iterator[tuple[FloatArray, FloatArray, Seen]]:
    """What is said of the rows that a member was not trained on, by lines that were not either, and by the member."""
    for member, roles in enumerate(train.roles.T):
        left_out = train.of(roles == HELD_OUT)
        lines = ridge_regressions(train.of(roles == TRAINED_ON))
        yield lines(left_out.inputs), left_out.outputs[:, member], left_out


def ridge_regressions(seen: Seen) -> Lines:
    """Of each task, with the penalty that leaves the least error when each row is left out in turn.

    A task that has next to no labels gets 0, the mean of its labels.
    """
    n_inputs, n_tasks = seen.inputs.shape[1], seen.labels.shape[1]
    lines = Lines(np.zeros((n_inputs, n_tasks)), np.zeros(n_tasks))
    for tasks in _alike(seen.weights):
        rows = seen.weights[:, tasks[0]] > 0
        if rows.sum() < FEWEST:
            continue
        weights, labels = seen.weights[rows, tasks[0]], seen.labels[rows][:, tasks]
        inputs = seen.inputs[rows]
        center = np.average(inputs, axis=0, weights=weights)
        scale = np.sqrt(np.average((inputs - center) ** 2, axis=0, weights=weights))
        scale[scale <= np.finfo(np.float32).eps * np.abs(center)] = np.inf  # constant, but for what float32 holds
        ridge = RidgeCV(ALPHAS, alpha_per_target=True).fit((inputs - center) / scale, labels, sample_weight=weights)
        lines.weight[:, tasks] = ridge.coef_.reshape(len(tasks), n_inputs).T / scale[:, None]  # one task's is flat
        lines.bias[tasks] = ridge.intercept_ - center @ lines.weight[:, tasks]
    return lines


def _alike(weights: FloatArray) -> list[NDArray[np.intp]]:
    """Tasks whose rows have the same weights: one decomposition serves them all."""
    _, of_task = np.unique(weights, axis=1, return_inverse=True)
    return [np.flatnonzero(of_task == group) for group in range(of_task.max() + 1)]
