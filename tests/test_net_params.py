"""What `net_params` reaches, and what it refuses."""

import pytest
import torch
from helpers import all_three, assert_fit_refuses, make_features, make_model, make_targets


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
        ({"tol": 100.0, "n_iter_no_change": 1}, lambda net: len(net.history) == 3),
    ],
)
def test_net_params_win(net_params, reaches):
    model = make_model("regressor", max_epochs=8, net_params=net_params)
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


def test_a_device_of_the_net_that_is_not_here():
    assert_fit_refuses("regressor", "not available", error=ValueError, net_params={"device": "cuda:99"})
