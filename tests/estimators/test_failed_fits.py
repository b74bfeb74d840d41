"""Fits that diverge, are interrupted or break: the error says why, and the estimator is as it was before."""

import copy
import re
import signal

import numpy as np
import pytest
import torch
from helpers import (
    KEPT,
    N_ROWS,
    SMALL,
    all_three,
    assert_fit_refuses,
    assert_unfitted,
    changed,
    fitted,
    make_features,
    make_model,
    make_targets,
    task_name,
)
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, KFold
from skorch.callbacks import Callback, GradientNormClipping

from sklearn_mmoe import MMoEMultiTask
from sklearn_mmoe.exceptions import DivergenceError

DIVERGING = {"learning_rate": 1e30, "max_epochs": 5}


@all_three
def test_divergence_names_task_and_epoch_and_says_what_to_try(name):
    match = rf"loss of task '{task_name(name, 0)}' is (nan|inf) in epoch [1-5]\..*smaller learning_rate.*StandardScaler"
    assert_fit_refuses(name, match, error=DivergenceError, **DIVERGING)
    assert_fit_refuses(name, match, error=FloatingPointError, **DIVERGING, early_stopping=True)


def test_divergence_by_huge_features():
    match = r"loss of task 'y\d' is (nan|inf) in epoch \d"
    X = 1e15 * make_features()
    options = {"optimizer": "sgd", "learning_rate": 0.1, "numeric_embeddings": None}
    assert_fit_refuses("regressor", match, X, error=DivergenceError, **options)


def test_weights_that_are_not_finite_after_the_last_step():
    """No loss has shown it yet."""
    X, options = (
        100 * make_features(),
        {"optimizer": "sgd", "learning_rate": 1e38, "batch_size": N_ROWS, "max_epochs": 1},
    )
    assert_fit_refuses("regressor", r"not finite.*epoch 1\b.*learning_rate", X, error=DivergenceError, **options)


@pytest.mark.filterwarnings("ignore:The gates have collapsed")  # as they may, with such a feature
def test_divergence_names_the_task_whose_loss_it_is():
    """The exponential of a count overflows where the square of the other task's output does not."""
    X = changed(make_features(), slice(None), 0, 1e6)
    y = np.column_stack([make_features()[:, 1], np.arange(N_ROWS) % 3])
    kinds = {"calm": "regression", "wild": "count"}
    seeds = range(10)
    named = set()
    options = {"tasks": kinds, "max_epochs": 1, "batch_size": N_ROWS, "numeric_embeddings": None}
    for seed in seeds:
        model = MMoEMultiTask(**{**SMALL, **options, "random_state": seed})
        try:
            model.fit(X, y)
        except DivergenceError as error:
            named |= set(re.findall(r"task '(\w+)'", str(error)))
    assert named == {"wild"}


@all_three
def test_divergence_in_the_last_epoch_is_not_overlooked(name):
    """Weights that are huge after the last step predict no numbers, though no loss has shown it yet."""
    model = make_model(name, **{**DIVERGING, "max_epochs": 1})
    try:
        model.fit(make_features(), make_targets(name))
    except DivergenceError:
        assert_unfitted(model)
        return
    outputs = model.predict(make_features()).astype(float)
    assert np.isfinite(outputs).all()
    assert np.isfinite(model.gate_weights(make_features())).all()


@all_three
def test_divergence_in_partial_fit_keeps_what_was_learned(name):
    X, y = make_features(), make_targets(name)
    model, undisturbed = fitted(name), fitted(name)
    model.set_params(learning_rate=1e30, batch_size=8)
    with pytest.raises(DivergenceError):
        model.partial_fit(X, y)
    model.set_params(learning_rate=undisturbed.learning_rate, batch_size="auto").partial_fit(X, y)
    np.testing.assert_array_equal(model.predict(X), undisturbed.partial_fit(X, y).predict(X))


@all_three
def test_divergence_in_a_search_is_the_error_score(name):
    search = GridSearchCV(make_model(name), {"learning_rate": [1e30, 1e-3]}, cv=KFold(2), error_score=-7.0, refit=True)
    search.set_params(estimator__max_epochs=5)
    with pytest.warns(FitFailedWarning, match=r"(?s)2 fits failed out of a total of 4.*DivergenceError"):
        search.fit(make_features(), make_targets(name))
    assert search.cv_results_["mean_test_score"][0] == -7.0
    assert search.cv_results_["mean_test_score"][1] != -7.0
    assert search.best_params_ == {"learning_rate": 1e-3}


def test_the_clipping_that_the_message_advises_works():
    X, y = 1e4 * make_features(), make_targets("regressor")
    options = {"optimizer": "sgd", "learning_rate": 0.1, "activation": "silu", "max_epochs": 6}
    options["numeric_embeddings"] = None
    with pytest.raises(DivergenceError, match="GradientNormClipping"):
        make_model("regressor", **options).fit(X, y)
    model = make_model("regressor", **options, callbacks=[GradientNormClipping(1.0)]).fit(X, y)
    assert np.isfinite(model.predict(X)).all()


# --------------------------------------------------------------------------------------------------------------------
# Ctrl-C


class Interrupt(Callback):
    """Presses Ctrl-C when an event happens for the n-th time, and counts what happens."""

    def __init__(self, event, nth, press, seen):
        self.event = event
        self.nth = nth
        self.press = press
        self.seen = seen

    def __deepcopy__(self, memo):
        return self  # an estimator copies its callbacks; the count must come back

    def _happened(self, event):
        self.seen.append(event)
        if event == self.event and self.seen.count(event) == self.nth:
            self.press()

    def on_batch_end(self, net, training=None, **kwargs):
        self._happened("batch" if training else "validation batch")

    def on_epoch_end(self, net, **kwargs):
        self._happened("epoch")

    def on_train_end(self, net, **kwargs):
        self._happened("end")


def raise_it():
    raise KeyboardInterrupt


def send_signal():
    """What the terminal does; a process in the background ignores it unless told otherwise."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, usual)


interrupts = pytest.mark.parametrize("press", [raise_it, send_signal], ids=["raised", "signal"])
events = pytest.mark.parametrize("event", ["batch", "validation batch", "epoch"])


@interrupts
@events
@all_three
def test_ctrl_c_leaves_fit_at_once_and_nothing_behind(name, event, press):
    seen = []
    model = make_model(name, callbacks=[Interrupt(event, 2, press, seen)], batch_size=8, early_stopping=True)
    with pytest.raises(KeyboardInterrupt):
        model.fit(make_features(), make_targets(name))
    assert seen[-1] == event
    assert seen.count(event) == 2
    assert "end" not in seen
    assert_unfitted(model)


@interrupts
@events
@pytest.mark.parametrize("warm_start", [False, True])
@all_three
def test_ctrl_c_keeps_the_old_fit(name, warm_start, event, press):
    X, y = make_features(), make_targets(name)
    model = fitted(name, early_stopping=True, batch_size=8, warm_start=warm_start)
    outputs, gates, curve = model.predict(X), model.gate_weights(X), model.loss_curve_
    model.set_params(callbacks=[Interrupt(event, 2, press, [])])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict(X), outputs, err_msg=KEPT)
    np.testing.assert_array_equal(model.gate_weights(X), gates, err_msg=KEPT)
    assert model.loss_curve_ == curve
    assert model.n_iter_ == 3


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@all_three
def test_training_goes_on_after_ctrl_c_as_if_it_had_not_been(name, method):
    """Also what the optimizer knows belongs to the old fit."""
    X, y = make_features(), make_targets(name)

    def go_on(model):
        getattr(model, method)(X, y)
        return model.predict(X), model.gate_weights(X)

    options = {"warm_start": True, "batch_size": 8, "learning_rate": 0.01, "numeric_embeddings": None}
    undisturbed, model = fitted(name, **options), fitted(name, **options)
    model.set_params(callbacks=[Interrupt("batch", 3, raise_it, [])])
    with pytest.raises(KeyboardInterrupt):
        go_on(model)
    model.set_params(callbacks=None)
    for found, expected in zip(go_on(model), go_on(undisturbed), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_shallow_copy_goes_on_as_if_its_original_had_not():
    X, y = make_features(), make_targets("regressor")
    model = fitted("regressor", learning_rate=0.01)
    shallow = copy.copy(model)
    model.partial_fit(X, y)
    np.testing.assert_array_equal(shallow.partial_fit(X, y).predict(X), model.predict(X))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@all_three
def test_ctrl_c_and_divergence_leave_the_global_generators_alone(name, method):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    interrupted = make_model(name, callbacks=[Interrupt("batch", 2, raise_it, [])], batch_size=8, dropout=0.1)
    diverging = make_model(name, **DIVERGING, batch_size=8, dropout=0.1)
    for model, error in ((interrupted, KeyboardInterrupt), (diverging, DivergenceError)):
        with pytest.raises(error):
            getattr(model, method)(make_features(), make_targets(name))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_search_does_not_swallow_ctrl_c():
    search = GridSearchCV(make_model("regressor"), {"max_epochs": [2]}, cv=2, error_score=0.0)
    search.set_params(estimator__callbacks=[Interrupt("epoch", 1, raise_it, [])])
    with pytest.raises(KeyboardInterrupt):
        search.fit(make_features(), make_targets("regressor"))


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, SystemExit])
@all_three
def test_whatever_a_callback_raises_leaves_the_estimator_as_it_was(name, error):
    def fail():
        raise error("from the callback")

    model = fitted(name)
    outputs = model.predict(make_features())
    model.set_params(callbacks=[Interrupt("epoch", 1, fail, [])])
    with pytest.raises(error, match="from the callback"):
        model.fit(make_features(), make_targets(name))
    np.testing.assert_array_equal(model.predict(make_features()), outputs, err_msg=KEPT)
