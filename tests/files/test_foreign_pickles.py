"""Saved models of another version or from another device."""

import copy
import pickle
import warnings

import pytest
import torch
from helpers import all_three, assert_same_answers, by_pickle, fitted_on_data, make_data

from sklearn_mmoe import __version__
from sklearn_mmoe._training.net import MMoENet

VERSION_IN_FORCE = "sklearn_mmoe._estimators.fitted_model.__version__"


@all_three
def test_a_pickle_of_another_version_warns_once_and_names_both(name, monkeypatch):
    model, (X, _) = fitted_on_data(name), make_data(name)
    with monkeypatch.context() as patch:
        patch.setattr(VERSION_IN_FORCE, "0.0.1")
        file = pickle.dumps(model)
    with pytest.warns(UserWarning, match=r"0\.0\.1") as caught:
        other = pickle.loads(file)
    assert len(caught) == 1
    assert __version__ in str(caught[0].message)
    assert type(model).__name__ in str(caught[0].message)
    assert_same_answers(model, other, X)


@all_three
def test_a_pickle_of_this_version_does_not_warn_nor_once_it_was_saved_again(name, monkeypatch):
    model = fitted_on_data(name)
    with monkeypatch.context() as patch:
        patch.setattr(VERSION_IN_FORCE, "0.0.1")
        file = pickle.dumps(model)
    with pytest.warns(UserWarning, match=r"0\.0\.1"):
        old = pickle.loads(file)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_pickle(model)
        by_pickle(old)
        copy.deepcopy(old)


@pytest.fixture
def saved_on(monkeypatch):
    """Pickle a model as if it had been trained on a device that is not here."""

    def dump(model, device):
        plain = MMoENet.__getstate__

        def elsewhere(net):
            state = plain(net)
            state["params"]["device"] = device
            return state

        with monkeypatch.context() as patch:
            patch.setattr(MMoENet, "__getstate__", elsewhere)
            return pickle.dumps(model)

    return dump


@pytest.mark.parametrize("device", ["cuda:3", "mps"])
@all_three
def test_a_model_from_a_device_that_is_not_here_opens_on_the_cpu(name, device, saved_on, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    model, (X, y) = fitted_on_data(name, device="cpu"), make_data(name)
    file = saved_on(model, device)
    with pytest.warns(UserWarning, match=device) as caught:
        other = pickle.loads(file)
    assert len(caught) == 1
    assert "CPU" in str(caught[0].message)
    assert other.net_.device == "cpu"
    assert_same_answers(model, other, X)
    assert_same_answers(model.partial_fit(X, y), other.partial_fit(X, y), X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same_answers(by_pickle(other), other, X)


def test_the_parameter_still_names_the_device_and_a_fit_there_is_a_clear_error(saved_on, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    X, y = make_data("regressor")
    model = fitted_on_data("regressor")
    model.device = "cuda:3"
    with pytest.warns(UserWarning, match="cuda:3"):
        other = pickle.loads(saved_on(model, "cuda:3"))
    with pytest.raises(ValueError, match=r"'cuda:3' is not available; available here: .*'cpu'"):
        other.fit(X, y)
    assert_same_answers(other.set_params(device="auto").fit(X, y), fitted_on_data("regressor"), X)
