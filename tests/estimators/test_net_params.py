"""What `net_params` reaches, and what it refuses."""

import pytest
import torch
from helpers import all_three, assert_fit_refuses, assert_unfitted, make_features, make_model, make_targets
from skorch.callbacks import Callback

from sklearn_mmoe._training.stopping import Cosine

ENDED_AT_ONCE = {"tol": 100.0, "n_iter_no_change": 1}  # patience


@pytest.mark.parametrize("optimizer", [torch.optim.RMSprop, torch.optim.Adadelta, torch.optim.SGD])
def test_net_params_may_name_any_optimizer(optimizer):
    model = make_model("regressor", net_params={"optimizer": optimizer})
    model.fit(make_features(), make_targets("regressor"))
    assert type(model.net_.optimizer_) is optimizer


@pytest.mark.parametrize(
    ("net_params", "reaches"),
    [
        ({"lr": 0.5}, lambda net: net.optimizer_.param_groups[0]["lr"] == 0.5),
        ({"optimizer__weight_decay": 0.25}, lambda net: net.optimizer_.param_groups[0]["weight_decay"] == 0.25),
        ({"module__n_experts": 5}, lambda net: net.module_.n_experts == 5),
        ({"batch_size": 7}, lambda net: net.batch_size == 7),
        ({"iterator_train__shuffle": False}, lambda net: not net.get_iterator([], training=True).shuffle),
        ({**ENDED_AT_ONCE, "learning_rate_schedule": "constant"}, lambda net: len(net.history) == 3),
        (ENDED_AT_ONCE, lambda net: len(net.history) == 6),  # the rate falls for 3 epochs
        ({"learning_rate_schedule": "cosine"}, lambda net: type(net.schedule_) is Cosine),
    ],
)
def test_net_params_win(net_params, reaches):
    model = make_model("regressor", max_epochs=8, numeric_embeddings=None, net_params=net_params)
    assert reaches(model.fit(make_features(), make_targets("regressor")).net_)


@pytest.mark.parametrize(
    ("net_params", "word"),
    [
        ({"lrr": 0.1}, "lrr"),
        ({"module__n_expert": 3}, "n_expert"),
        ({"optimizer__momentun": 0.9}, "momentun"),
        ({"criterion__weight": 1}, "weight"),
        ({"iterator_train__suffle": False}, "suffle"),
        ({"weighting__weight": 1}, "weight"),
        ({"modul__n_experts": 3}, "modul__n_experts"),
        ({"callbacks__nobody__step": 3}, "nobody"),
        ({3: 3}, "keywords must be strings|net_params"),
    ],
)
@all_three
def test_keys_of_net_params_that_mean_nothing(name, net_params, word):
    assert_fit_refuses(name, word, error=(TypeError, ValueError), net_params=net_params)


WRONG = {  # values that can mean nothing, and what the error says of each
    "batch_size": [0, -1, 2.5, "auto", None, "many"],
    "max_epochs": [0, -3, 1.5, "ten", None],
    "lr": [0, -0.1, "small", None, 1j],
    "tol": [-1.0, "little", None],
    "n_iter_no_change": [0, -1, "auto", 2.5],
    "gate_balance": [-1, "even", None],
    "precision": ["half", "bf8", 16, None, torch.bfloat16],
    "device": [3, None, ["cpu"]],
    "verbose": ["loud", None],
    "callbacks": ["disable", 3, {"a": 1}],
    "optimizer": ["adam", 3, int, dict, torch.nn.Linear, torch.optim.Optimizer, torch.optim.SparseAdam],
    "module": ["MMoE", 3, int, dict],
    "criterion": ["mse", 3, dict],
    "weighting": ["dwa", 3, torch.nn.Linear],
    "train_split": [5, "half"],
    "iterator_train": [3, "batches"],
    "iterator_valid": [3],
    "dataset": [3],
    "keep_gradients": ["yes", 2],
    "restore_best": ["yes", 2],
    "iterator_train__batch_size": [0, -1, "auto"],
    "iterator_train__shuffle": ["yes", 2],
    "iterator_valid__batch_size": [0, -1, "auto"],
    "optimizer__lr": [0, -1, "small"],
    "optimizer__weight_decay": [-1, "some"],
    "optimizer__betas": [3, (2.0, 2.0)],
    "module__n_experts": [0, -1, "four"],
    "module__n_members": [0, 1.5],
    "module__dropout": [1.0, -0.1, "half"],
    "module__gate_dropout": [1.0, "half"],
    "module__gating": ["none", 3],
    "module__expert_layer_sizes": [(), (0,), "wide"],
    "module__activation": ["swish", 3, int, torch.nn.Module, torch.nn.Linear, torch.nn.GLU],
    "module__final_expert_activation": ["yes"],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_values_that_mean_nothing(key, value):
    """The error names the key, or what the key says of which part."""
    model, trained = make_model("regressor", net_params={key: value}, callbacks=[Told()]), []
    Told.trained = trained
    with pytest.raises((ValueError, TypeError)) as error:
        model.fit(make_features(), make_targets("regressor"))
    assert key in str(error.value) or key.partition("__")[2] in str(error.value) or "optimizer" in str(error.value)
    assert not trained
    assert_unfitted(model)


class Told(Callback):
    """Notes that a training has begun."""

    def on_batch_begin(self, net, **kwargs):
        self.trained.append(1)


@pytest.mark.parametrize(
    "key", ["task_names", "dtype", "monitor", "module__n_features", "module__task_outputs", "criterion__tasks"]
)
def test_what_the_data_and_the_estimator_say_cannot_be_set(key):
    assert_fit_refuses("regressor", rf"net_params\['{key}'\] cannot be set", net_params={key: 3})


def test_the_error_shows_the_key_as_it_was_written():
    match = r"The \"net_params\['batch_size'\]\" parameter of MMoERegressor must be an int in the range .* Got -1"
    assert_fit_refuses("regressor", match, net_params={"batch_size": -1})
    with pytest.raises(ValueError, match=match):
        make_model("regressor", net_params={"batch_size": -1}).partial_fit(make_features(), make_targets("regressor"))


class NeedsMore(torch.optim.Optimizer):
    """An optimizer that cannot be made without an argument of its own."""

    def __init__(self, params, speed, lr=1e-3):
        super().__init__(params, {"lr": lr})


def test_an_optimizer_that_needs_more_says_so():
    match = r"The optimizer NeedsMore cannot be made with \{'lr': .*missing 1 required .*'speed'.*optimizer__"
    assert_fit_refuses("regressor", match, optimizer=NeedsMore, weight_decay=0.0)


@pytest.mark.parametrize("optimizer", [torch.optim.Optimizer, torch.optim.SparseAdam, int, torch.nn.Linear])
def test_classes_that_are_no_optimizers_here(optimizer):
    assert_fit_refuses("regressor", "'optimizer' parameter of MMoERegressor must be", optimizer=optimizer)


def test_optimizers_with_closures_work():
    options = {"optimizer": torch.optim.LBFGS, "weight_decay": 0.0, "learning_rate": 0.5}
    options["numeric_embeddings"] = None
    assert make_model("regressor", **options).fit(make_features(), make_targets("regressor")).n_iter_ == 3


@pytest.mark.parametrize("activation", [torch.nn.Module, torch.nn.Linear, torch.nn.GLU, int, dict])
def test_classes_that_are_no_activations(activation):
    assert_fit_refuses("regressor", "activation", error=(ValueError, TypeError), activation=activation)


def test_a_device_may_be_any_that_is_here():
    for device in ("auto", "cpu", torch.device("cpu")):
        model = make_model("regressor", net_params={"device": device}).fit(make_features(), make_targets("regressor"))
        assert next(model.module_.parameters()).device.type in ("cpu", "cuda", "mps")


def test_members_that_net_params_ask_for_have_folds():
    model = make_model("regressor", net_params={"module__n_members": 3}, dropout=0.1)
    model.fit(make_features(), make_targets("regressor"))
    assert model.validation_scores_ is not None
    assert len(model.best_epochs_) == 3


def test_a_device_of_the_net_that_is_not_here():
    assert_fit_refuses("regressor", "not available", error=ValueError, net_params={"device": "cuda:99"})
