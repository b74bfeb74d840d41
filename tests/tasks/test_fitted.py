"""What fitted tasks say of themselves, and their scales where labels are few, equal, far off or large."""

import math

import numpy as np
import pytest
import torch
from fitted_tasks import binary, multiclass, ordinal, regression
from sklearn.metrics import d2_tweedie_score

from sklearn_mmoe.tasks._fitted import (
    DEVIANCES,
    LARGEST_LABEL,
    TRAITS,
    FittedClassification,
    FittedOrdinal,
    FittedRegression,
    location_and_scale,
    numbers_for,
)
from sklearn_mmoe.tasks._running_stats import RunningStats

TASKS = [
    *[regression(loss) for loss in ("squared_error", "huber", "poisson", "gamma")],
    *[binary(), multiclass(2), multiclass(4), ordinal(2), ordinal(4)],
]


@pytest.mark.parametrize(
    ("task", "kind", "width", "words", "is_linear"),
    [
        (regression("squared_error"), "regression", 1, "squared_error", True),
        (regression("quantile", 0.9), "regression", 1, "quantile 0.9", True),
        (regression("poisson"), "count", 1, "poisson", False),
        (regression("gamma"), "positive", 1, "gamma", False),
        (binary(), "binary", 1, "log_loss", False),
        (binary(2.0), "binary", 1, "log_loss, focal 2", False),
        (multiclass(2), "binary", 2, "cross_entropy", False),
        (multiclass(3, 0.5), "multiclass", 3, "cross_entropy, focal 0.5", False),
        (ordinal(2), "ordinal", 1, "ordinal", False),
        (ordinal(4), "ordinal", 3, "ordinal", False),
    ],
)
def test_what_a_task_says_of_itself(task, kind, width, words, is_linear):
    assert (task.kind, task.width, task.loss_in_words, task.is_linear) == (kind, width, words, is_linear)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: f"{task.kind} of {task.loss}")
def test_traits_are_those_of_the_tasks_of_a_kind(task):
    traits, n_classes = TRAITS[task.kind], len(getattr(task, "classes", ()))
    assert traits.has_classes is (n_classes > 0)
    assert traits.is_ordered is isinstance(task, FittedOrdinal)
    assert traits.is_binary is (n_classes == 2 and not traits.is_ordered)
    assert traits.deviance is getattr(task, "deviance", None)


@pytest.mark.parametrize(("loss", "metric", "power"), [("poisson", "d2_poisson", 1), ("gamma", "d2_gamma", 2)])
def test_deviances_have_the_metrics_of_scikit_learn(loss, metric, power):
    labels, answers = [1.0, 2.0, 6.0], [1.5, 2.0, 4.0]
    assert DEVIANCES[loss].metric == metric
    assert DEVIANCES[loss].d2(labels, answers) == d2_tweedie_score(labels, answers, power=power)


@pytest.mark.parametrize(
    ("loss", "allowed", "refused", "words"),
    [
        (
            "poisson",
            [0.0, 1.0, 3.0],
            [-1.0, 0.5],
            r"^Task 't' counts: its labels must be .* from 0 up, got -1.0, 0.5.$",
        ),
        ("gamma", [1e-300, 0.5], [0.0, -2.0], r"^Task 't' is positive: .* 0, got -2.0, 0.0. Drop .* a 'regression'.$"),
    ],
)
def test_labels_that_a_deviance_takes(loss, allowed, refused, words):
    assert numbers_for(loss, np.array(allowed), "t").tolist() == allowed
    with pytest.raises(ValueError, match=words):
        numbers_for(loss, np.array([*allowed, *refused]), "t")
    mixed = np.array([*allowed, *refused])
    assert numbers_for("huber", mixed, "t").tolist() == mixed.tolist()


@pytest.mark.parametrize(("scale", "location", "unit"), [(2.0, 5.0, 2.0), (0.0, -5.0, 5.0), (0.0, 0.0, 1.0)])
def test_differences_of_labels_are_counted_in_units(scale, location, unit):
    task = FittedRegression("t", "squared_error", location, scale)
    assert task.unit == unit
    assert task.is_constant is (scale == 0)
    assert task.encode(np.array([location, location + 3 * unit])).tolist() == [0, 3]


def test_labels_of_a_deviance_are_shares_of_the_mean_also_where_all_are_the_same():
    for task in (FittedRegression("t", "poisson", 0.0, 4.0), FittedRegression("t", "poisson", 4.0, 0.0)):
        assert task.encode(np.array([4.0, 6.0, 0.0])).tolist() == [1, 1.5, 0]
        with pytest.raises(ValueError, match=r"^Task 't' counts"):
            task.encode(np.array([0.5]))


@pytest.mark.parametrize(("loss", "location", "scale"), [("huber", 5.0, math.sqrt(17.5)), ("poisson", 0.0, 5.0)])
def test_labels_are_added_to_those_that_were_seen(loss, location, scale):
    """1, 3, 4, 12 in three parts."""
    task = FittedRegression("t", loss, 0.0, 1.0)
    for labels in ([1.0, 3.0], [4.0], [12.0]):
        task = task.after(np.array(labels), None)
    assert (task.location, task.scale, task.seen.weight) == (pytest.approx(location), pytest.approx(scale), 4)
    with pytest.raises(ValueError, match=r"^Task 't' has labels too large"):
        task.after(np.array([1e200, 2e200]), None)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize(
    ("stats", "expected"),
    [
        (RunningStats(), {"squared_error": (0, 1), "poisson": (0, 1)}),
        (RunningStats(2.0, 3.0, 0.5), {"squared_error": (3, 0.5), "poisson": (0, 3)}),
        (RunningStats(2.0, 3.0, 0.0), {"squared_error": (3, 0), "poisson": (3, 0)}),
        (RunningStats(2.0, -1.0, 10 * 2.0**-52), {"squared_error": (-1, 0), "poisson": (-1, 0)}),
        (RunningStats(2.0, -1.0, 10.01 * 2.0**-52), {"squared_error": (-1, 10.01 * 2.0**-52), "poisson": (0, -1)}),
    ],
)
def test_scales_of_labels(stats, expected, loss):
    assert location_and_scale(stats, loss, "t") == expected[loss]


@pytest.mark.parametrize(
    ("mean", "deviation"),
    [(LARGEST_LABEL, 1.0), (-LARGEST_LABEL, 1.0), (0.0, LARGEST_LABEL), (math.nan, 1.0), (1.0, math.nan)],
)
def test_labels_too_large_to_be_squared_are_refused(mean, deviation):
    with pytest.raises(ValueError, match=r"^Task 't' has labels too large to take the variance of: rescale them\.$"):
        location_and_scale(RunningStats(2.0, mean, deviation), "huber", "t")
    just_below = LARGEST_LABEL * (1 - 1e-15)
    assert location_and_scale(RunningStats(2.0, just_below, just_below), "huber", "t") == (just_below, just_below)


@pytest.mark.parametrize("task", TASKS[4:], ids=lambda task: f"{task.kind} of {task.loss}")
def test_probabilities_of_tensors_are_those_of_arrays(task):
    outputs = np.random.default_rng(0).normal(size=(2, 5, task.width)) * 3
    found = task.tensor_of_probabilities(torch.tensor(outputs))
    assert found.shape == (2, 5, len(task.classes))
    for member, own in zip(outputs, found.numpy(), strict=True):
        np.testing.assert_allclose(own, task.probabilities(member), rtol=1e-12)
        np.testing.assert_allclose(own.sum(axis=1), 1)


def test_even_odds_are_of_the_first_class():
    assert binary().decode(np.array([[0.0], [1e-300], [-1.0]])).tolist() == [0, 1, 0]
    assert multiclass(3).decode(np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0]])).tolist() == [0, 1]


def test_codes_are_floats_and_labels_of_no_class_are_listed_once():
    task = FittedClassification("t", "log_loss", np.array(["a", "b"]))
    assert task.encode(np.array(["b", "a"])).dtype == np.float64
    with pytest.raises(ValueError, match=r"^Task 't' has .* among its classes: 'x', 'y'; its classes are 'a', 'b'\.$"):
        task.encode(np.array(["x", "a", "y", "x"]))
