"""Fits in threads of one process: they take turns at torch's generators, and none waits for ever."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import numpy as np
import pytest
import torch
from helpers import (
    NAMES,
    TWO_FOLDS,
    all_three,
    assert_same_model,
    fine_score,
    fingerprint,
    fitted,
    make_features,
    make_model,
    make_targets,
    outputs_of,
)
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklearn_mmoe._common.device import with_own_seed

CPU = torch.device("cpu")
RANDOM = {"dropout": 0.2, "batch_size": 8, "early_stopping": True}  # fits that draw random numbers from first to last


@pytest.fixture(autouse=True)
def _global_generators_are_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)


def in_a_thread(function, *arguments):
    """What a function returns in another thread; one that waits for ever fails the test, and ends with it."""
    returned = []
    thread = Thread(target=lambda: returned.append(function(*arguments)), daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it waits for ever"
    (result,) = returned  # none if it raised
    return result


def assert_same_training(model, other):
    """The same in every epoch, also in those after the best, whose weights a model ends with."""
    assert model.loss_curve_ == other.loss_curve_
    assert model.validation_scores_ == other.validation_scores_
    assert_same_model(model, other)


def score_of_fits_in_threads(model, X, y):
    with parallel_config("threading", n_jobs=2):
        return cross_val_score(make_model("regressor"), make_features(), make_targets("regressor"), cv=2).mean()


class Wrapped:
    """A scorer that does something else before it scores."""

    def __init__(self, before):
        self.before = before

    def __call__(self, model, X, y):
        self.before(model, X, y)
        return fine_score(model, X, y)


def test_a_scorer_may_fit_models_in_threads_within_a_fit():
    """Each of its threads waits for the generators that the fit around it has, and the fit for its threads."""
    X, y = make_features(), make_targets("regressor")
    plain = make_model("regressor", monitor=fine_score, **RANDOM).fit(X, y)
    model = make_model("regressor", monitor=Wrapped(score_of_fits_in_threads), **RANDOM)
    assert_same_training(in_a_thread(model.fit, X, y), plain)


def test_a_scorer_of_a_model_that_a_scorer_fits_may_do_the_same():
    X, y = make_features(), make_targets("regressor")
    inner = make_model("regressor", monitor=Wrapped(score_of_fits_in_threads), **RANDOM)
    outer = make_model("regressor", monitor=Wrapped(lambda *args: inner.fit(X, y)), **RANDOM)
    plain = make_model("regressor", monitor=fine_score, **RANDOM).fit(X, y)
    assert_same_training(in_a_thread(outer.fit, X, y), plain)
    assert_same_training(inner, plain)


@all_three
def test_a_search_in_threads_whose_fits_ask_a_scorer_gives_the_same_as_in_one(name):
    """Other threads then have the generators in the middle of a fit."""
    X, y = make_features(), make_targets(name)
    model = make_model(name, monitor=fine_score, **RANDOM, numeric_embeddings=None)
    grid = {"learning_rate": [0.001, 0.01, 0.03, 0.1]}
    search = GridSearchCV(model, grid, scoring=fingerprint, cv=TWO_FOLDS, error_score="raise")
    serial = clone(search).fit(X, y)
    with parallel_config("threading", n_jobs=4):
        threaded = clone(search).fit(X, y)
    np.testing.assert_array_equal(
        threaded.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"], strict=True
    )
    assert_same_model(threaded.best_estimator_, serial.best_estimator_)


def test_what_a_scorer_draws_does_not_change_the_training():
    X, y = make_features(), make_targets("regressor")
    before = torch.get_rng_state()
    model = make_model("regressor", monitor=Wrapped(lambda *args: torch.rand(3)), **RANDOM).fit(X, y)
    torch.set_rng_state(before)  # these numbers were the scorer's, not the fit's
    assert_same_training(model, make_model("regressor", monitor=fine_score, **RANDOM).fit(X, y))


def fail(*args):
    raise RuntimeError("from the scorer")


def press_ctrl_c(*args):
    raise KeyboardInterrupt


@pytest.mark.parametrize(("before", "error"), [(fail, RuntimeError), (press_ctrl_c, KeyboardInterrupt)])
def test_a_scorer_that_fails_keeps_no_other_thread_from_fitting(before, error):
    X, y = make_features(), make_targets("regressor")
    with pytest.raises(error):
        make_model("regressor", monitor=Wrapped(before), **RANDOM).fit(X, y)
    in_a_thread(make_model("regressor").fit, X, y)


def test_ctrl_c_while_another_thread_has_its_turn():
    """The generators are the other thread's then, and are not put back."""

    class Impatient:
        """The lock, as it is for somebody who does not wait."""

        def __init__(self, lock):
            self.lock = lock

        def acquire(self):
            raise KeyboardInterrupt

        def __getattr__(self, name):
            return getattr(self.lock, name)

    def impatient(turn):
        turn.interrupted_by(lambda: setattr(turn, "_lock", Impatient(turn._lock)))()

    with pytest.raises(KeyboardInterrupt):
        with_own_seed(0, CPU, impatient)
    in_a_thread(make_model("regressor").fit, make_features(), make_targets("regressor"))


def test_generators_that_cannot_be_read_keep_no_other_thread_from_fitting(monkeypatch):
    """As those of a GPU on which a kernel has failed."""

    def fail_to_read():
        raise RuntimeError("device-side assert")

    monkeypatch.setattr(torch, "get_rng_state", fail_to_read)
    with pytest.raises(RuntimeError, match="device-side assert"):
        make_model("regressor").fit(make_features(), make_targets("regressor"))
    monkeypatch.undo()
    in_a_thread(make_model("regressor").fit, make_features(), make_targets("regressor"))


@all_three
def test_answers_do_not_wait_for_a_fit_in_another_thread(name):
    model, X, y = fitted(name), make_features(), make_targets(name)
    expected = outputs_of(model, X)

    def take_time(turn):
        np.testing.assert_array_equal(in_a_thread(outputs_of, model, X), expected)
        assert in_a_thread(model.score, X, y) == model.score(X, y)
        assert in_a_thread(model.gate_weights, X).shape[0] == len(X)

    with_own_seed(0, CPU, take_time)


def test_answers_are_the_same_while_other_threads_fit():
    """Modes of torch that belong to a thread, as gradients or not, and of modules that belong to a model."""
    X = make_features()
    models = {name: fitted(name) for name in NAMES}
    expected = {name: outputs_of(model, X) for name, model in models.items()}

    def fit_and_answer(name):
        own = make_model(name, max_epochs=5, **RANDOM).fit(X, make_targets(name))
        return name, own, [outputs_of(models[name], X) for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        for name, own, answers in pool.map(fit_and_answer, 2 * NAMES):
            assert_same_model(own, make_model(name, max_epochs=5, **RANDOM).fit(X, make_targets(name)))
            for found in answers:
                np.testing.assert_array_equal(found, expected[name])


FORK = """
import os, sys, threading, warnings
import numpy as np, torch
from skorch.callbacks import Callback
from sklearn_mmoe import MMoERegressor

torch.set_num_threads(1)
warnings.simplefilter("ignore")  # from Python 3.12 on, of a fork beside threads
started, forked = threading.Event(), threading.Event()

class Wait(Callback):
    def on_epoch_begin(self, net, **kwargs):
        started.set()
        forked.wait()

X = np.arange(8.0).reshape(-1, 1)
options = {"n_members": 1, "n_experts": 1, "max_epochs": 1, "random_state": 0}
thread = threading.Thread(target=MMoERegressor(callbacks=[Wait()], **options).fit, args=(X, X[:, 0]))
thread.start()
started.wait()
if (child := os.fork()) == 0:
    MMoERegressor(**options).fit(X, X[:, 0])
    os._exit(17)
_, status = os.waitpid(child, 0)
forked.set()
thread.join()
print(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_process_that_was_forked_while_a_thread_was_fitting_may_fit():
    no_gpu = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}  # CUDA itself cannot be forked
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120, check=True, env=no_gpu
    )
    assert done.stdout == "17\n", done.stderr
