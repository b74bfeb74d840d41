"""Bad parameters: an error of the right type at `fit`, in words that help."""

import re

import numpy as np
import pytest
import torch
from helpers import (
    ESTIMATORS,
    NAMES,
    all_three,
    assert_fit_refuses,
    assert_unfitted,
    make_features,
    make_model,
    make_targets,
)
from sklearn.model_selection import GroupKFold
from sklearn.utils._param_validation import InvalidParameterError
from skorch.callbacks import GradientNormClipping

BAD_PARAMETERS = {
    "categorical_features": ["town", 3, [1.5], [[0, 1]], [0, "town", None]],
    "numeric_embeddings": ["fourier", "Periodic", 16, True, ["periodic"]],
    "n_members": [0, -1, 2.5, "4", None],
    "n_experts": [0, -1, 2.5, "8", None],
    "n_task_experts": [-1, 0.5, "1", None],
    "n_levels": [0, 1.5, "2", None, 101],
    "expert_layer_sizes": [(), 0, (0,), (8, -1), (8, 2.5), "64", ("a",), None, [[8]]],
    "gate_layer_sizes": [0, (0,), (8, -1), (2.5,), "64", None],
    "tower_layer_sizes": [0, (0,), (8, -1), (2.5,), "64", None],
    "gating": ["per-task", "none", None, 1],
    "activation": ["rellu", None, 1, torch.relu, dict],
    "dropout": [-0.1, 1.0, 1.5, "0.5", None, np.nan],
    "gate_dropout": [-0.1, 1.0, "0.5", None, np.nan],
    "gate_balance": [-0.1, "even", None, np.nan],
    "task_weights": [3, "uncertanty", -1.0],
    "optimizer": ["adamm", None, 1, len, torch.nn.Linear],
    "learning_rate": [0, 0.0, -1e-3, "fast", None, np.nan],
    "learning_rate_schedule": ["step", "WSD", None, 0.1, {"name": "cosine"}],
    "weight_decay": [-1e-4, "none", None, np.nan],
    "batch_size": [0, -5, 2.5, "full", None],
    "max_epochs": [0, -1, 1.5, "many", None],
    "shuffle": ["yes", 2, None],
    "early_stopping": ["never", 2, None],
    "validation_fraction": [0, 0.0, 1.0, 1.5, -0.1, "half", None],
    "validation_split": [0.2, 5, "kfold", GroupKFold, {0: [1]}, iter([([0], [1])])],
    "monitor": [None, 3, ["y0"]],
    "n_iter_no_change": [0, -1, 1.5, None],
    "tol": [-1e-4, "small", None, np.nan],
    "dtype": ["float16", "double", None, 32],
    "precision": ["float16", "bfloat16", None, 16],
    "device": [0, None, ["cpu"]],
    "random_state": ["seed", -1, 0.5],
    "warm_start": ["yes", 2, None],
    "verbose": ["loud", -1],
    "callbacks": ["print", GradientNormClipping(1.0), 3],
    "net_params": [[("lr", 0.1)], "lr", 3],
    "distributed": [True, None, "torchrun"],
}
OWN_BAD_PARAMETERS = {
    "regressor": {"loss": ["mse", None, 3, ["squared_error", "mse"], [None, None]], "linear_part": ["auto", 2, None]},
    "classifier": {"class_weight": ["balancd", 3]},
    "multitask": {"tasks": ["regression", "Auto", None, 3], "linear_part": ["auto", 2, None]},
}


def bad_parameters(name):
    all_of_them = {**BAD_PARAMETERS, **OWN_BAD_PARAMETERS[name]}
    return [(name, parameter, value) for parameter, values in all_of_them.items() for value in values]


def without_address(value):
    """An id that is the same in every process, as pytest-xdist needs it."""
    return value if isinstance(value, str) else re.sub(r"( of type object)?( object)? at 0x\w+", "", repr(value))


@pytest.mark.parametrize(
    ("name", "parameter", "value"), [case for name in NAMES for case in bad_parameters(name)], ids=without_address
)
def test_a_parameter_out_of_range_or_misspelt(name, parameter, value):
    model = make_model(name, **{parameter: value})
    for train in (model.fit, model.partial_fit):
        with pytest.raises(InvalidParameterError, match=parameter):
            train(make_features(), make_targets(name))
        assert_unfitted(model)


@all_three
def test_every_parameter_is_among_those(name):
    assert {*BAD_PARAMETERS, *OWN_BAD_PARAMETERS[name]} == set(make_model(name).get_params())


@all_three
def test_nothing_is_checked_before_fit(name):
    """scikit-learn's rule: the constructor stores what it gets."""
    assert make_model(name, n_experts=-1).n_experts == -1


@all_three
def test_a_parameter_that_does_not_exist(name):
    with pytest.raises(TypeError, match="n_expert"):
        make_model(name, n_expert=3)
    with pytest.raises(TypeError):
        ESTIMATORS[name](8)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta", "cuda:x", "", torch.device("cuda:99")])
@all_three
def test_a_device_that_is_not_here_lists_those_that_are(name, device):
    assert_fit_refuses(name, rf"device '{device}' is not available; available here: \['auto', .*'cpu'\]", device=device)


def test_one_loss_per_task():
    assert_fit_refuses("regressor", r"loss gives 1 losses for 2 tasks \['y0', 'y1'\]", loss=["squared_error"])


@pytest.mark.parametrize("callbacks", [[3], ["print"], [("name", 3)], [object()]])
@all_three
def test_callbacks_that_are_none(name, callbacks):
    assert_fit_refuses(name, "(?i)callback", error=(TypeError, ValueError), callbacks=callbacks)
