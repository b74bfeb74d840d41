"""Bad weights of tasks, rows and classes: an error, and an estimator that is as it was before."""

import re

import numpy as np
import pytest
from helpers import N_ROWS, all_three, assert_fit_refuses, fitted, make_features, make_targets, task_name


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        ([1.0], r"task_weights must hold {n} numbers, one per task {tasks}; got an array of shape \(1,\)"),
        (np.ones((2, 2)), r"task_weights must hold {n} numbers.*shape \(2, 2\)"),
        ({"bogus": 1.0}, r"Unknown: \['bogus'\]; lacking: {tasks}; the tasks are {tasks}"),
        ("negative", "task_weights must be finite, 0 or more, and not all 0; got .*-1.0"),
        ("zero", "task_weights must be finite, 0 or more, and not all 0; got .*0.0"),
        ("nan", "task_weights must be finite, 0 or more, and not all 0; got .*nan"),
        ("inf", "task_weights must be finite, 0 or more, and not all 0; got .*inf"),
    ],
)
@all_three
def test_task_weights(name, weights, match):
    n = make_targets(name).shape[1]
    tasks = [task_name(name, t) for t in range(n)]
    if isinstance(weights, str):
        value = {"negative": -1.0, "zero": 0.0, "nan": np.nan, "inf": np.inf}[weights]
        weights = [0.0 if weights == "zero" else 1.0] * (n - 1) + [value]
    match = match.replace("{n}", str(n)).replace("{tasks}", re.escape(str(tasks)))
    assert_fit_refuses(name, match, task_weights=weights)


@all_three
def test_task_weights_that_name_some_tasks_only_say_which_are_lacking(name):
    first, *others = [task_name(name, t) for t in range(make_targets(name).shape[1])]
    assert_fit_refuses(name, rf"Unknown: \[\]; lacking: {re.escape(str(others))}", task_weights={first: 1.0})


@all_three
def test_task_weights_that_are_no_numbers(name):
    n = make_targets(name).shape[1]
    assert_fit_refuses(name, "task_weights", task_weights=["heavy"] * n)


@all_three
def test_negative_sample_weights(name):
    assert_fit_refuses(
        name, "Negative values in data passed to `sample_weight`", weights=np.r_[-1.0, np.ones(N_ROWS - 1)]
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
@all_three
def test_sample_weights_that_are_not_finite(name, value):
    assert_fit_refuses(name, "sample_weight contains NaN or infinity", weights=np.r_[value, np.ones(N_ROWS - 1)])


@pytest.mark.parametrize("shape", [(N_ROWS - 1,), (N_ROWS, 7), (N_ROWS, 1), (1, N_ROWS)])
@all_three
def test_sample_weights_of_the_wrong_shape_show_both(name, shape):
    n_tasks = make_targets(name).shape[1]
    match = f"sample_weight must be of shape (60,) or (60, {n_tasks}), got sample_weight of shape {shape}"
    assert_fit_refuses(name, re.escape(match), weights=np.ones(shape))


@all_three
def test_sample_weights_that_are_no_numbers(name):
    assert_fit_refuses(name, "could not convert string to float|dtype='numeric'", weights=["heavy"] * N_ROWS)


@all_three
def test_sample_weights_that_are_all_zero(name):
    assert_fit_refuses(name, "sample_weight is zero for every label", weights=np.zeros(N_ROWS))
    assert_fit_refuses(name, "sample_weight is zero for every label", weights=np.zeros_like(make_targets(name)))


@all_three
def test_sample_weights_that_are_zero_for_one_task_name_it(name):
    weights = np.ones_like(make_targets(name))
    weights[:, 1] = 0
    assert_fit_refuses(name, f"sample_weight is zero for every label of task '{task_name(name, 1)}'", weights=weights)
    y = make_targets(name)
    y[5:, 1] = np.nan
    rows = np.r_[np.zeros(5), np.ones(N_ROWS - 5)]
    assert_fit_refuses(name, f"of task '{task_name(name, 1)}'", y=y, weights=rows)


@pytest.mark.parametrize("method", ["score", "partial_fit"])
@all_three
def test_later_calls_refuse_bad_weights_too(name, method):
    model = fitted(name)
    with pytest.raises(ValueError, match="sample_weight"):
        getattr(model, method)(make_features(), make_targets(name), sample_weight=-np.ones(N_ROWS))


@pytest.mark.parametrize(
    ("class_weight", "match"),
    [
        ([{0: 1.0}], r"class_weight gives 1 dicts for 2 tasks \['y0', 'y1'\]"),
        ({0: 1.0, 1: 2.0}, r"class_weight must be 'balanced' or a list of 2 dicts"),
        ([{0: 1.0, 9: 2.0}, None], r"class_weight of task 'y0'.*\b1\b"),
        ([{0: 1.0, 1: -1.0}, None], "class_weight of task 'y0' must be finite and 0 or more"),
        ([None, {0: np.nan, 1: 1.0, 2: 1.0}], "class_weight of task 'y1' must be finite and 0 or more"),
        (["balancd", None], "class_weight of task 'y0'.*balancd"),
    ],
)
def test_class_weights(class_weight, match):
    assert_fit_refuses("classifier", match, class_weight=class_weight)


def test_class_weights_that_leave_a_task_without_weight_name_it():
    assert_fit_refuses("classifier", "class_weight.*'y0'", class_weight=[{0: 0.0, 1: 0.0}, None])
