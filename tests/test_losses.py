"""All tasks of a batch in a few calls, against one plain formula per cell."""

import math

import numpy as np
import pytest
import torch

from sklearn_mmoe._fitted_tasks import FittedClassification, FittedRegression
from sklearn_mmoe._losses import TaskLosses
from sklearn_mmoe.weighting import FixedWeights, check_task_weights


def regression(loss, quantile=0.5):
    return FittedRegression("r", loss, 0.0, 1.0, quantile)


def binary():
    return FittedClassification("b", "log_loss", np.array([0, 1]))


def multiclass(n_classes):
    return FittedClassification("m", "cross_entropy", np.arange(n_classes))


def cell_loss(task, outputs, label):
    """The loss of one row and one task, written as on paper."""
    output = outputs[0]
    if isinstance(task, FittedClassification):
        if task.loss == "log_loss":
            p = 1 / (1 + math.exp(-output))
            return -math.log(p if label == 1 else 1 - p)
        return -math.log(math.exp(outputs[int(label)]) / sum(math.exp(o) for o in outputs))
    error = label - output
    return {
        "squared_error": error**2,
        "absolute_error": abs(error),
        "huber": error**2 / 2 if abs(error) <= 1 else abs(error) - 0.5,
        "poisson": math.exp(output) - label * output,
        "quantile": task.quantile * error if error >= 0 else (task.quantile - 1) * error,
    }[task.loss]


def labels_for(tasks, n_rows, rng):
    columns = []
    for task in tasks:
        if isinstance(task, FittedClassification):
            columns.append(rng.integers(len(task.classes), size=n_rows).astype(float))
        else:
            columns.append(
                rng.poisson(2.0, n_rows).astype(float) if task.loss == "poisson" else rng.normal(size=n_rows)
            )
    return np.column_stack(columns)


def expected_losses(tasks, outputs, labels, weights):
    starts = np.cumsum([0, *[task.width for task in tasks]])
    losses = []
    for t, task in enumerate(tasks):
        cells = [
            cell_loss(task, row[starts[t] : starts[t + 1]], label)
            for row, label in zip(outputs, labels[:, t], strict=True)
        ]
        total = weights[:, t].sum()
        losses.append((weights[:, t] * cells).sum() / total if total else 0.0)
    return losses


TASK_SETS = {
    "one regression": [regression("squared_error")],
    "regressions of every loss": [
        regression(loss) for loss in ("huber", "squared_error", "absolute_error", "poisson", "squared_error")
    ],
    "quantiles": [regression("quantile", q) for q in (0.1, 0.5, 0.9)],
    "binaries": [binary(), binary()],
    "multiclass of one width": [multiclass(3), multiclass(3)],
    "multiclass of several widths": [multiclass(3), multiclass(7), multiclass(2)],
    "everything": [
        multiclass(3),
        regression("squared_error"),
        binary(),
        regression("quantile", 0.8),
        multiclass(5),
        regression("poisson"),
        regression("squared_error"),
        binary(),
    ],
}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("tasks", TASK_SETS.values(), ids=TASK_SETS.keys())
def test_losses_equal_the_formulas(tasks, weighted):
    rng = np.random.default_rng(0)
    n_rows = 11
    outputs = rng.normal(size=(n_rows, sum(task.width for task in tasks)))
    labels = labels_for(tasks, n_rows, rng)
    weights = np.ones_like(labels)
    targets = labels
    if weighted:
        weights = rng.random(labels.shape) * (rng.random(labels.shape) > 0.3)
        targets = np.hstack([labels, weights])
    losses, weight = TaskLosses(tuple(tasks), torch.float64)(torch.tensor(outputs), torch.tensor(targets))
    np.testing.assert_allclose(losses, expected_losses(tasks, outputs, labels, weights), rtol=1e-12)
    if weighted:
        np.testing.assert_allclose(weight, weights.sum(axis=0))
    else:
        assert weight is None


@pytest.mark.parametrize("tasks", TASK_SETS.values(), ids=TASK_SETS.keys())
def test_task_without_a_label_in_the_batch_has_loss_and_gradient_zero(tasks):
    rng = np.random.default_rng(0)
    outputs = torch.tensor(rng.normal(size=(5, sum(task.width for task in tasks))), requires_grad=True)
    labels = torch.tensor(labels_for(tasks, 5, rng))
    weights = torch.ones_like(labels)
    weights[:, 0] = 0
    losses, _ = TaskLosses(tuple(tasks), torch.float64)(outputs, torch.hstack([labels, weights]))
    losses.sum().backward()
    assert losses[0] == 0
    assert torch.isfinite(losses).all()
    assert (outputs.grad[:, : tasks[0].width] == 0).all()
    assert (outputs.grad[:, tasks[0].width :] != 0).any() or len(tasks) == 1


def test_cell_without_weight_has_no_gradient():
    tasks = TASK_SETS["everything"]
    rng = np.random.default_rng(0)
    outputs = torch.tensor(rng.normal(size=(4, sum(task.width for task in tasks))), requires_grad=True)
    labels = torch.tensor(labels_for(tasks, 4, rng))
    weights = torch.ones_like(labels)
    weights[2] = 0
    losses, _ = TaskLosses(tuple(tasks), torch.float64)(outputs, torch.hstack([labels, weights]))
    losses.sum().backward()
    assert (outputs.grad[2] == 0).all()
    assert (outputs.grad[[0, 1, 3]] != 0).any(dim=1).all()


def test_poisson_loss_ignores_an_overflow_where_the_label_is_missing():
    outputs = torch.tensor([[1e4], [0.5]], requires_grad=True)
    targets = torch.tensor([[0.0, 0.0], [1.0, 1.0]])  # label, weight
    losses, _ = TaskLosses((regression("poisson"),))(outputs, targets)
    losses.sum().backward()
    assert losses.item() == pytest.approx(math.exp(0.5) - 0.5)
    assert torch.equal(outputs.grad[0], torch.zeros(1))


def test_losses_do_not_change_when_a_batch_is_doubled():
    """A mean, not a sum: the step must not grow with the batch."""
    tasks = tuple(TASK_SETS["everything"])
    rng = np.random.default_rng(0)
    outputs = torch.tensor(rng.normal(size=(6, sum(task.width for task in tasks))))
    targets = torch.tensor(labels_for(tasks, 6, rng))
    losses = TaskLosses(tasks, torch.float64)
    once, twice = losses(outputs, targets)[0], losses(outputs.repeat(2, 1), targets.repeat(2, 1))[0]
    torch.testing.assert_close(once, twice)


def test_calls_do_not_grow_with_the_number_of_tasks():
    from test_nn import CountOperators

    def count(n):
        tasks = tuple([regression("squared_error"), binary(), multiclass(3)] * n)
        width = sum(task.width for task in tasks)
        losses = TaskLosses(tasks)
        with CountOperators() as counter:
            losses(torch.randn(4, width), torch.ones(4, 2 * len(tasks)))
        return counter.n

    assert count(2) == count(20)


def test_fixed_weights_are_a_weighted_mean():
    losses = torch.tensor([1.0, 2.0, 6.0])
    assert FixedWeights([1.0, 1.0, 1.0])(losses).item() == pytest.approx(3.0)
    assert FixedWeights([3.0, 0.0, 0.0])(losses).item() == pytest.approx(1.0)


def test_task_weights_are_scaled_to_mean_one():
    np.testing.assert_allclose(check_task_weights([1, 3], ["a", "b"]), [0.5, 1.5])
    np.testing.assert_allclose(check_task_weights({"b": 3, "a": 1}, ["a", "b"]), [0.5, 1.5])
    np.testing.assert_allclose(check_task_weights(None, ["a", "b"]), [1, 1])
