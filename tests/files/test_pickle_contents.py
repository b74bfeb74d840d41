"""What the file of a saved model holds: no torch object, no data, but what users of skorch add."""

import copy
import pickle
import pickletools
import warnings

import numpy as np
import pytest
import torch
from helpers import (
    Counter,
    all_three,
    assert_same_answers,
    by_pickle,
    fitted_on_data,
    make_data,
    make_model,
    pickles,
    round_trips,
)
from scipy.sparse import csr_array
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping, LRScheduler

from sklearn_mmoe._estimators import parameters


def globals_of(model):
    """Every module and name that the pickle of a model refers to; protocol 2 has each in an opcode of its own."""
    opcodes = pickletools.genops(pickle.dumps(model, protocol=2))
    return {tuple(argument.split(" ", 1)) for opcode, argument, _ in opcodes if opcode.name == "GLOBAL"}


def assert_no_torch_object(model):
    """Nothing is there that torch would have to rebuild, least of all on a device; its classes go by their names."""
    found = globals_of(model)
    assert not {(module, name) for module, name in found if module.split(".")[0] == "torch"}
    assert ("numpy", "ndarray") in found


@pytest.mark.parametrize(
    "options",
    [
        *[{}, {"early_stopping": True}, {"optimizer": "sgd"}, {"optimizer": "rmsprop"}, {"task_weights": "upgrad"}],
        {"optimizer": torch.optim.Adagrad, "activation": torch.nn.ELU, "device": torch.device("cpu")},
        {"net_params": {"optimizer": torch.optim.Adagrad, "module__activation": torch.nn.ELU}},
    ],
)
@all_three
def test_a_pickle_holds_no_torch_object(name, options):
    assert_no_torch_object(fitted_on_data(name, **options))


@pytest.mark.parametrize("limit", ["KEPT_GRADIENT_BYTES", "SPARSE_UPDATE_FEATURES"])
def test_a_pickle_of_a_model_with_sparse_gradients_holds_no_torch_object(limit, monkeypatch):
    """Neither of the gradients that are kept from step to step, nor of a second optimizer."""
    monkeypatch.setattr(parameters, limit, 0)
    X, y = make_data("regressor")
    assert_no_torch_object(make_model("regressor").fit(csr_array(X), y))


@pytest.mark.parametrize(
    "callback",
    [
        Counter(),
        EarlyStopping("train_loss", load_best=True),
        LRScheduler("StepLR", step_size=1),
        LRScheduler("StepLR", step_size=1, step_every="batch"),
        GradientNormClipping(1.0),
    ],
    ids=["counter", "early stopping", "scheduler", "scheduler of batches", "clipping"],
)
@pytest.mark.parametrize("way", ["callbacks", "net_params"])
def test_a_pickle_holds_no_torch_object_of_a_callback(callback, way):
    callbacks = [copy.deepcopy(callback)]
    own = {way: callbacks if way == "callbacks" else {"callbacks": callbacks}}
    model = fitted_on_data("regressor", learning_rate_schedule="constant", **own)
    assert_no_torch_object(model)
    X = make_data("regressor")[0]
    assert_same_answers(model, by_pickle(model), X)


@pytest.mark.parametrize("callbacks", [None, [Counter()]])
@all_three
def test_a_pickle_does_not_grow_with_the_rows_or_the_batches(name, callbacks):
    def size(n_rows, batch_size):
        options = {"batch_size": batch_size, "numeric_embeddings": None}
        model = fitted_on_data(name, n_rows, callbacks=callbacks, **options)
        return len(pickle.dumps(model))

    small = size(60, 60)
    assert small < 20_000
    assert abs(size(900, 60) - small) < 100
    assert abs(size(60, 2) - small) < 100


def test_a_pickle_does_not_hold_the_validation_data():
    X, y = make_data("regressor", 900)
    alone = make_model("regressor", early_stopping=True).fit(X, y)
    given = make_model("regressor", early_stopping=True).fit(X, y, X_val=X, y_val=y)
    assert abs(len(pickle.dumps(given)) - len(pickle.dumps(alone))) < 100


@pytest.mark.parametrize("callbacks", [None, [Counter()]])
def test_history_has_no_entries_of_batches(callbacks):
    model = fitted_on_data("regressor", batch_size=5, callbacks=callbacks)
    assert [row["batches"] for row in model.history_] == [[], [], []]
    assert not any(row["batches"] for row in by_pickle(model).history_)


def test_history_of_a_loaded_model_can_be_sliced_as_skorch_does():
    history = by_pickle(fitted_on_data("regressor")).net_.history
    assert history[:, "train_loss"] == [row["train_loss"] for row in history]


# --------------------------------------------------------------------------------------------------------------------
# What users of skorch add


@pickles
def test_a_callback_survives(there_and_back):
    X, y = make_data("regressor")
    model = fitted_on_data("regressor", callbacks=[("counter", Counter(step=2))])
    other = there_and_back(model)
    assert other.callbacks[0][1].step == 2
    assert dict(model.net_.callbacks_)["counter"].epochs_ == 6
    assert isinstance(dict(other.callbacks)["counter"], Counter)
    other.set_params(warm_start=True).fit(X, y)
    assert dict(other.net_.callbacks_)["counter"].epochs_ == 6


@pickles
def test_a_callback_and_its_parameters_in_net_params_survive(there_and_back):
    X, y = make_data("regressor")
    net_params = {"callbacks": [("counter", Counter())], "callbacks__counter__step": 2}
    model = fitted_on_data("regressor", net_params=net_params)
    other = there_and_back(model)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    other.set_params(warm_start=True).fit(X, y)
    assert dict(other.net_.callbacks_)["counter"].step == 2


def test_a_callback_in_net_params_is_not_changed_by_fit():
    counter = Counter()
    fitted_on_data("regressor", net_params={"callbacks": [counter]})
    assert vars(counter) == {"step": 1}


class Log(Callback):
    """Writes to what the user has given it, and that cannot be copied."""

    def __init__(self, lines, file):
        self.lines = lines
        self.file = file

    def on_epoch_end(self, net, **kwargs):
        self.lines.append(net.history[-1, "epoch"])
        print("epoch", file=self.file)


@pytest.mark.parametrize("named", [False, True])
def test_what_a_callback_holds_is_the_users_own(named, tmp_path):
    """A logger, a trial of Optuna: what is told to a copy of them, nobody hears."""
    lines = []
    with open(tmp_path / "log", "w") as file:
        log = Log(lines, file)
        fitted_on_data("regressor", callbacks=[("log", log) if named else log])
    assert lines == [1, 2, 3]
    assert (tmp_path / "log").read_text() == 3 * "epoch\n"


def test_a_callback_that_listens_to_batches_causes_no_warning():
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # torch gives some warnings in the first call of a process only
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted_on_data("regressor", callbacks=[Counter()], early_stopping=True, learning_rate_schedule="cosine")
    finally:
        torch.set_warn_always(always)


@round_trips
def test_net_params_survive(there_and_back):
    X, _ = make_data("regressor")
    net_params = {"optimizer": torch.optim.Adagrad, "lr": 0.05, "module__gate_dropout": 0.5, "batch_size": 7}
    model = fitted_on_data("regressor", net_params=net_params)
    other = there_and_back(model)
    assert other.net_params == net_params
    assert type(other.net_.optimizer_) is torch.optim.Adagrad
    assert other.net_.optimizer_.param_groups[0]["lr"] == 0.05
    assert other.module_.gate_dropout == 0.5
    assert other.net_.batch_size == 7
    assert_same_answers(model, other, X)


@round_trips
def test_an_activation_class_survives(there_and_back):
    X, _ = make_data("regressor")
    model = fitted_on_data("regressor", activation=torch.nn.ELU)
    assert_same_answers(model, there_and_back(model), X)
