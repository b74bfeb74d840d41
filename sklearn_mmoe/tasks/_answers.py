"""What the network says as an answer: one of all members together, and no NaN or infinity leaves a model."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import shortened
from sklearn_mmoe.tasks._encoding import Tasks, output_slices, task_outputs
from sklearn_mmoe.tasks._fitted import FittedClassification

SAFE_OUTPUT = 100.0  # exp of it is far from infinity on any scale; outputs of trained networks are smaller as a rule


def averaged(tasks: Tasks, outputs: Tensor) -> Tensor:
    """The raw outputs that stand for the mean of what the members answer.

    The mean is taken where answers live, not of logits: a member that is sure of a class and another that is sure of
    its opposite make one half, however sure each is.

    Parameters
    ----------
    tasks : tuple of fitted tasks
    outputs : Tensor of shape (n_members, n_rows, sum of widths), or (n_rows, sum of widths) of a single network

    Returns
    -------
    Tensor of shape (n_rows, sum of widths)
    """
    if outputs.dim() == 2:
        return outputs
    result = outputs.mean(dim=0)
    for task, own in zip(tasks, output_slices(tasks), strict=True):
        if not task.is_linear:
            result[:, own] = task.averaged(outputs[..., own])
    return result


def check_answers(tasks: Tasks, outputs: FloatArray, what: str) -> None:
    """Refuse outputs, of shape (n_rows, sum of widths), that a task decodes to anything but finite numbers.

    Parameters
    ----------
    what : str
        Who answers, such as the name of the estimator.
    """
    if np.abs(outputs).max(initial=0.0) < SAFE_OUTPUT:  # a NaN is not
        return
    answered = np.ones((len(outputs), len(tasks)), dtype=bool)
    with np.errstate(all="ignore"):
        for t, (task, own) in enumerate(task_outputs(tasks, outputs)):
            answers = task.probabilities(own) if isinstance(task, FittedClassification) else task.decode(own)
            answered[:, t] = np.isfinite(answers).reshape(len(outputs), -1).all(axis=1)
    _refuse(answered, [task.name for task in tasks], what)


def check_gates(names: Sequence[Hashable], gates: FloatArray, what: str) -> None:
    """Refuse weights of gates, of shape (n_rows, n_tasks, n_experts), that are not finite."""
    if not np.isfinite(gates.sum()):
        _refuse(np.asarray(np.isfinite(gates).all(axis=2)), names, what)


def _refuse(answered: NDArray[np.bool_], names: Sequence[Hashable], what: str) -> None:
    """Name the rows and tasks, of shape (n_rows, n_tasks), that are not answered, if there are any."""
    if answered.all():
        return
    rows = [str(row) for row in np.flatnonzero(~answered.all(axis=1)).tolist()]
    tasks = [repr(names[t]) for t in np.flatnonzero(~answered.all(axis=0)).tolist()]
    raise ValueError(
        f"{what} has no answer for row{'s' if len(rows) > 1 else ''} {shortened(rows)} of X, in "
        f"task{'s' if len(tasks) > 1 else ''} {shortened(tasks)}: what the network computes there is no finite number, "
        "as it is where features are far larger than those of the fit. Leave these rows out, or put a step in front "
        "that clips, as make_tabular_pipeline does."
    )
