"""All tasks of a batch in a few calls, against one plain formula per cell."""

import itertools
import math

import numpy as np
import pytest
import torch
from fitted_tasks import binary, multiclass, ordinal, ordinal_probabilities, regression, sigmoid
from operators import Operators

from sklearn_mmoe._training.losses import TaskLosses
from sklearn_mmoe.tasks._fitted import FittedClassification
from sklearn_mmoe.weighting import FixedWeights
from sklearn_mmoe.weighting._schemes import check_task_weights


def probability(task, outputs, label):
    """Of the label of one row, written as on paper."""
    if task.loss == "log_loss":
        return sigmoid(outputs[0]) if label == 1 else 1 - sigmoid(outputs[0])
    if task.loss == "ordinal":
        return ordinal_probabilities(outputs)[int(label)]
    return math.exp(outputs[int(label)]) / sum(math.exp(o) for o in outputs)


def cell_loss(task, outputs, label):
    """The loss of one row and one task, written as on paper."""
    output = outputs[0]
    if isinstance(task, FittedClassification):
        p = probability(task, outputs, label)
        return -((1 - p) ** task.focal_gamma) * math.log(p)
    error = label - output
    return {
        "squared_error": error**2,
        "absolute_error": abs(error),
        "huber": error**2 / 2 if abs(error) <= 1 else abs(error) - 0.5,
        "poisson": math.exp(output) - label * output,
        "gamma": math.exp(-output) * label + output,
        "quantile": task.quantile * error if error >= 0 else (task.quantile - 1) * error,
    }[task.loss]


def labels_for(tasks, n_rows, rng):
    columns = []
    for task in tasks:
        if isinstance(task, FittedClassification):
            columns.append(rng.integers(len(task.classes), size=n_rows).astype(float))
        else:
            draw = {"poisson": lambda n: rng.poisson(2.0, n).astype(float), "gamma": lambda n: rng.gamma(2.0, size=n)}
            columns.append(draw.get(task.loss, rng.standard_normal)(n_rows))
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
        regression(loss) for loss in ("huber", "squared_error", "gamma", "absolute_error", "poisson", "gamma")
    ],
    "quantiles": [regression("quantile", q) for q in (0.1, 0.5, 0.9)],
    "binaries": [binary(), binary()],
    "multiclass of one width": [multiclass(3), multiclass(3)],
    "multiclass of several widths": [multiclass(3), multiclass(7), multiclass(2)],
    "focal binaries": [binary(2.0), binary(), binary(0.3)],
    "focal multiclass": [multiclass(3, 2.0), multiclass(5), multiclass(2, 0.3)],
    "one ordinal": [ordinal(4)],
    "ordinals of one width": [ordinal(3), ordinal(3)],
    "ordinals of several widths": [ordinal(3), ordinal(6), ordinal(2)],
    "everything": [
        multiclass(3),
        ordinal(4),
        regression("squared_error"),
        binary(),
        regression("quantile", 0.8),
        multiclass(5),
        regression("poisson"),
        binary(1.5),
        regression("squared_error"),
        regression("gamma"),
        ordinal(3),
        multiclass(4, 2.0),
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


@pytest.mark.parametrize(
    ("loss", "overflow", "expected"), [("poisson", 1e4, math.exp(0.5) - 0.5), ("gamma", -1e4, math.exp(-0.5) + 0.5)]
)
def test_exponential_losses_ignore_an_overflow_where_the_label_is_missing(loss, overflow, expected):
    outputs = torch.tensor([[overflow], [0.5]], requires_grad=True)
    targets = torch.tensor([[0.0, 0.0], [1.0, 1.0]])  # label, weight
    losses, _ = TaskLosses((regression(loss),))(outputs, targets)
    losses.sum().backward()
    assert losses.item() == pytest.approx(expected)
    assert torch.equal(outputs.grad[0], torch.zeros(1))


@pytest.mark.parametrize("tasks", TASK_SETS.values(), ids=TASK_SETS.keys())
def test_gradients_equal_finite_differences(tasks):
    rng = np.random.default_rng(0)
    outputs = torch.tensor(rng.normal(size=(4, sum(task.width for task in tasks))), requires_grad=True)
    targets = torch.tensor(np.hstack([labels_for(tasks, 4, rng), rng.random((4, len(tasks)))]))
    losses = TaskLosses(tuple(tasks), torch.float64)
    assert torch.autograd.gradcheck(lambda outputs: losses(outputs, targets)[0], outputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "tasks",
    [
        TASK_SETS["binaries"],
        TASK_SETS["multiclass of several widths"],
        TASK_SETS["focal binaries"],
        TASK_SETS["focal multiclass"],
        TASK_SETS["ordinals of several widths"],
    ],
    ids=lambda tasks: tasks[0].loss,
)
def test_extreme_logits_have_finite_losses_and_gradients(tasks, dtype):
    width = sum(task.width for task in tasks)
    rows = torch.tensor(list(itertools.product([-1e3, 0.0, 1e3], repeat=min(width, 7))), dtype=dtype)
    outputs = rows.repeat(1, 2)[:, :width].requires_grad_()
    for code in range(max(len(task.classes) for task in tasks)):
        labels = torch.tensor([min(code, len(task.classes) - 1) for task in tasks], dtype=dtype)
        losses, _ = TaskLosses(tuple(tasks), dtype)(outputs, labels.expand(len(outputs), -1))
        (gradient,) = torch.autograd.grad(losses.sum(), outputs)
        assert torch.isfinite(losses).all()
        assert (losses >= 0).all()
        assert torch.isfinite(gradient).all()


def test_extreme_ordinal_logits_have_the_losses_that_paper_says():
    """Class 1 of 3 at logits 1000 and 1000 - softplus(-1000), far above both thresholds: log(s(a) - s(b)) = -2000."""
    losses = TaskLosses((ordinal(3),), torch.float64)
    for outputs, code, expected in [
        ([1000.0, -1000.0], 1, 2000.0),
        ([1000.0, 0.0], 2, 0.0),
        ([-1000.0, 0.0], 1, 1000.0 + math.log(2)),
        ([1000.0, 0.0], 0, 1000.0),
        ([500.0, 1000.0], 1, 0.0),
    ]:
        loss, _ = losses(torch.tensor([outputs], dtype=torch.float64), torch.tensor([[float(code)]]))
        assert loss.item() == pytest.approx(expected)


def test_ordinal_log_likelihood_keeps_its_digits_where_a_difference_of_sigmoids_has_none():
    outputs = torch.tensor([[40.0, 0.0]], dtype=torch.float64)
    loss, _ = TaskLosses((ordinal(3),), torch.float64)(outputs, torch.tensor([[1.0]]))
    # s(40) - s(40 - log 2) = e^-40 (2 - 1), to the order of e^-80
    assert loss.item() == pytest.approx(40.0, rel=1e-12)
    assert sigmoid(40.0) - sigmoid(40.0 - math.log(2)) == 0.0


def test_no_focus_takes_the_plain_path():
    plain = TaskLosses((binary(), multiclass(3)))
    assert [group.extra_repr() for group in plain.groups] == ["log_loss", "cross_entropy"]
    focal = TaskLosses((binary(2.0), multiclass(3, 1.0)))
    assert [group.extra_repr() for group in focal.groups] == ["focal log_loss", "focal cross_entropy"]


def test_groups_say_what_they_are():
    losses = TaskLosses((regression("quantile"), regression("huber"), ordinal(3), regression("quantile", 0.9)))
    assert [group.extra_repr() for group in losses.groups] == ["quantile", "huber", "ordinal"]


@pytest.mark.parametrize("tasks", TASK_SETS.values(), ids=TASK_SETS.keys())
def test_losses_have_nothing_to_be_saved(tasks):
    """All that they hold follows from the tasks, which models keep."""
    assert TaskLosses(tuple(tasks)).state_dict() == {}


def test_focal_loss_in_numbers():
    """At even odds (1 - p) ** 2 is a quarter; at p = 0.9 a hundredth."""
    outputs = torch.tensor([[0.0], [math.log(9)], [-math.log(9)]], dtype=torch.float64)
    labels = torch.tensor([[1.0], [1.0], [0.0]], dtype=torch.float64)
    cells = TaskLosses((binary(2.0),), torch.float64).groups[0](outputs, labels, None)
    torch.testing.assert_close(
        cells[:, 0], -torch.tensor([0.25, 0.01, 0.01]).double() * torch.tensor([0.5, 0.9, 0.9]).double().log()
    )


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

    def count(n):
        kinds = [regression("squared_error"), regression("gamma"), binary(), binary(2.0), multiclass(3)]
        tasks = tuple([*kinds, multiclass(4, 1.0), ordinal(3), ordinal(5)] * n)
        width = sum(task.width for task in tasks)
        losses = TaskLosses(tasks)
        with Operators() as counter:
            losses(torch.randn(4, width), torch.ones(4, 2 * len(tasks)))
        return counter.n

    assert count(2) == count(20)


@pytest.mark.parametrize(
    ("tasks", "n_indices"),
    [
        ([regression("huber"), regression("huber"), binary(), multiclass(3), multiclass(3), ordinal(2)], 0),
        ([regression("huber"), binary(), regression("huber")], 3),  # outputs and labels of a group, and the losses
        ([multiclass(3), multiclass(4)], 1),  # of several widths, on a grid
    ],
)
def test_columns_that_stand_side_by_side_are_not_gathered(tasks, n_indices):
    assert len(list(TaskLosses(tuple(tasks)).buffers())) == n_indices


def test_fixed_weights_are_a_weighted_mean():
    losses = torch.tensor([1.0, 2.0, 6.0])
    assert FixedWeights([1.0, 1.0, 1.0])(losses).item() == pytest.approx(3.0)
    assert FixedWeights([3.0, 0.0, 0.0])(losses).item() == pytest.approx(1.0)


def test_task_weights_are_scaled_to_mean_one():
    np.testing.assert_allclose(check_task_weights([1, 3], ["a", "b"]), [0.5, 1.5])
    np.testing.assert_allclose(check_task_weights({"b": 3, "a": 1}, ["a", "b"]), [0.5, 1.5])
    np.testing.assert_allclose(check_task_weights(None, ["a", "b"]), [1, 1])
