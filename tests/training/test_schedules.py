"""How the learning rate goes: against the formula, step by step, and in fits."""

import math
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import make_features, make_model, make_targets
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback, LRScheduler

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._estimators import fit as fit_module
from sklearn_mmoe._estimators import parameters as parameters_module
from sklearn_mmoe._training.stopping import SCHEDULES, Patience

N_STEPS = 7  # of an epoch


def run(kind, losses, n_epochs, n_iter_no_change=2):
    """The shares of all steps, the epochs after which training went back to its best, and the schedule at the end."""
    schedule = SCHEDULES[kind](Patience(n_iter_no_change, tol=0.0), n_epochs, N_STEPS)
    shares, restarts = [], []
    for epoch, loss in enumerate(losses, start=1):
        shares += [schedule.next_share() for _ in range(N_STEPS)]
        schedule.patience.update(loss)
        if schedule.ends():
            return shares, restarts, schedule
        restarts += [epoch] if schedule.restarts else []
    raise AssertionError("the losses are through, and training has not ended")


FALLING = [[1 / epoch] for epoch in range(1, 400)]
STANDING = [[1.0]] * 400


def stalled_after(epoch):
    return [*FALLING[:epoch], *[[9.0]] * 400]


def test_a_constant_rate_ends_with_patience():
    shares, restarts, schedule = run("constant", stalled_after(4), 100)
    assert shares == [1.0] * N_STEPS * 7  # 3 > 2 misses
    assert (restarts, schedule.is_cut_short) == ([], False)


@pytest.mark.parametrize("losses", [FALLING, STANDING])
def test_a_cosine_ends_with_the_last_epoch(losses):
    shares, restarts, schedule = run("cosine", losses, 20)
    n = 20 * N_STEPS
    expected = [min(1, s / (n / 10)) * (1 + math.cos(math.pi * s / (n + 1))) / 2 for s in range(1, n + 1)]
    assert shares == pytest.approx(expected)
    assert (restarts, schedule.is_cut_short) == ([], False)


@pytest.mark.parametrize(("best", "fall"), [(1, 3), (4, 3), (20, 6), (30, 9), (150, 30)])
def test_the_rate_falls_when_patience_ends(best, fall):
    """For 0.3 times as many epochs as the best weights took, from 3 to 30."""
    shares, restarts, schedule = run("wsd", stalled_after(best), 1000)
    before, after = (best + 3) * N_STEPS, fall * N_STEPS
    assert shares[:before] == pytest.approx([min(1, s / 50) for s in range(1, before + 1)])
    rising = [min(1, s / 50) for s in range(before + 1, before + after + 1)]
    assert shares[before:] == pytest.approx([rising[s] * (after - s) / (after + 1) for s in range(after)])
    assert (restarts, schedule.is_cut_short) == ([best + 3], False)


@pytest.mark.parametrize("n_epochs", [5, 10, 40, 200])
def test_the_rate_has_fallen_at_the_last_epoch(n_epochs):
    shares, restarts, schedule = run("wsd", FALLING, n_epochs)
    assert len(shares) == n_epochs * N_STEPS
    assert shares[-1] < 0.05
    (begin,) = restarts
    assert n_epochs - begin == pytest.approx(min(30, max(3, 0.3 * begin)), abs=1)
    assert schedule.is_cut_short


@pytest.mark.parametrize("n_epochs", [1, 2, 3])
@pytest.mark.parametrize("kind", SCHEDULES)
def test_few_epochs_are_all_run(kind, n_epochs):
    shares, restarts, schedule = run(kind, FALLING, n_epochs)
    assert len(shares) == n_epochs * N_STEPS
    assert all(0 < share <= 1 for share in shares)
    assert all(epoch < n_epochs for epoch in restarts)
    assert schedule.is_cut_short is (kind != "cosine")


@pytest.mark.parametrize("kind", ["wsd", "constant"])
@pytest.mark.parametrize(("best", "is_cut_short"), [(1, False), (5, False), (6, True), (9, True)])
def test_what_stands_still_for_half_its_patience_is_not_cut_short(kind, best, is_cut_short):
    """Which is not asked of the epochs in which the rate falls: what settles improves."""
    until = 12 if kind == "wsd" else 9  # in which the first 9 have the full rate
    _, _, schedule = run(kind, stalled_after(best), until, n_iter_no_change=8)
    assert schedule.patience.n_epochs == until
    assert schedule.is_cut_short is is_cut_short


def test_a_training_that_is_ended_from_outside_is_not_cut_short():
    schedule = SCHEDULES["wsd"](Patience(2, tol=0.0), 10, N_STEPS)
    for loss in FALLING[:8]:
        schedule.patience.update(loss)
        schedule.ends()
    assert schedule.decay == (7, 10)
    assert not schedule.is_cut_short


@pytest.mark.parametrize("kind", ["wsd", "cosine"])
@pytest.mark.parametrize(("n_epochs", "rise"), [(1, 1), (2, 1), (10, 7), (70, 49), (1000, 50)])
def test_the_rate_rises_for_a_tenth_of_the_steps_at_most(kind, n_epochs, rise):
    """And for 50 at most: of few steps there are none to spare."""
    schedule = SCHEDULES[kind](Patience(2, tol=0.0), n_epochs, N_STEPS)
    shares = [schedule.next_share() for _ in range(min(2 * rise, n_epochs * N_STEPS))]
    assert int(np.argmax(shares)) + 1 == rise
    assert shares[rise - 1] > 0.9


@pytest.mark.parametrize("kind", SCHEDULES)
def test_epochs_without_number(kind):
    """More than a float holds: who says so lets patience decide."""
    schedule = SCHEDULES[kind](Patience(2, tol=0.0), 10**400, N_STEPS)
    assert schedule.next_share() == pytest.approx(1 if kind == "constant" else 1 / 50)
    schedule.patience.update([1.0])
    assert not schedule.ends()


def test_members_fall_together_when_the_last_one_stands_still():
    """For a share of the mean of their best epochs."""
    losses = [[1 / epoch, 1 / min(epoch, 20)] for epoch in range(1, 31)] + [[9.0, 9.0]] * 30
    _, restarts, schedule = run("wsd", losses, 1000)
    assert restarts == [33]
    assert schedule.decay == (33, 33 + round(0.3 * 25))


# --------------------------------------------------------------------------------------------------------------------
# In fits


class Watched(Callback):
    """The learning rate at every step, and the weights after every epoch."""

    def on_train_begin(self, net, **kwargs):
        self.rates_, self.weights_ = [], []

    def on_grad_computed(self, net, **kwargs):
        self.rates_.append(net.optimizer_.param_groups[0]["lr"])

    def on_epoch_begin(self, net, **kwargs):
        self.weights_.append([p.detach().clone() for p in net.module_.parameters()])

    on_epoch_end = on_epoch_begin


def noisy(n_rows=240):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 6))
    return X, np.column_stack([X[:, 0], X[:, 1]]) + rng.normal(size=(n_rows, 2))


def watched(**parameters):
    options = {"n_members": 1, "n_experts": 2, "early_stopping": True, "learning_rate": 0.05, "random_state": 0}
    model = MMoERegressor(**{**options, "n_iter_no_change": 2, **parameters}, callbacks=[("watch", Watched())])
    model.fit(*noisy())
    return model, dict(model.net_.callbacks_)["watch"]


@pytest.mark.parametrize("kind", SCHEDULES)
def test_the_optimizer_takes_the_rates_of_the_schedule(kind):
    model, watch = watched(learning_rate_schedule=kind, max_epochs=40)
    n_steps = len(watch.rates_) // model.n_iter_
    schedule = SCHEDULES[kind](Patience(2, model.tol), 40, n_steps)
    expected = []
    for score in model.validation_scores_:
        expected += [0.05 * schedule.next_share() for _ in range(n_steps)]
        schedule.patience.update([-score])
        ended = schedule.ends()
    assert ended
    assert watch.rates_ == pytest.approx(expected)
    assert model.net_.optimizer_.param_groups[0]["lr"] == 0.05


def test_the_fall_begins_with_the_best_weights():
    model, watch = watched(max_epochs=100)
    begin, _ = model.net_.schedule_.decay
    best = int(np.argmax(model.validation_scores_[:begin]))
    assert best < begin - 1
    afterwards, after_best = watch.weights_[2 * begin], watch.weights_[2 * best + 1]
    assert all(map(torch.equal, afterwards, after_best))


def test_weights_settle_as_the_rate_falls():
    """Small batches of noisy rows: the best epoch of a falling rate is better than that of a constant one."""

    def best_score(kind, seed):
        options = {"learning_rate": 0.02, "batch_size": 8, "n_iter_no_change": 6, "random_state": seed}
        options["numeric_embeddings"] = None
        return max(watched(learning_rate_schedule=kind, **options)[0].validation_scores_)

    falling, constant = (np.array([best_score(kind, seed) for seed in range(3)]) for kind in ("wsd", "constant"))
    assert (falling > constant + 0.02).all()


def test_a_copy_in_the_middle_of_a_fit_has_the_full_rate():
    """It may be trained further; what it is a copy of goes on undisturbed."""

    class Copies(Callback):
        def on_grad_computed(self, net, **kwargs):
            if net.schedule_.decay is not None:
                before, again = (own.optimizer_.param_groups[0]["lr"] for own in (net, pickle.loads(pickle.dumps(net))))
                assert net.optimizer_.param_groups[0]["lr"] == before < again == 0.05
                self.n_ = getattr(self, "n_", 0) + 1

    options = {"n_members": 1, "n_experts": 2, "early_stopping": True, "learning_rate": 0.05, "n_iter_no_change": 2}
    model = MMoERegressor(**options, random_state=0, callbacks=[("copies", Copies())]).fit(*noisy())
    assert dict(model.net_.callbacks_)["copies"].n_ > 10


def test_partial_fit_has_a_constant_rate():
    X, y = noisy()
    model = MMoERegressor(n_members=1, n_experts=2, learning_rate=0.05, callbacks=[("watch", Watched())])
    model.partial_fit(X, y).partial_fit(X, y)
    assert set(dict(model.net_.callbacks_)["watch"].rates_) == {0.05}


def test_sparse_and_dense_optimizers_share_the_schedule():
    class Rates(Callback):
        def on_epoch_end(self, net, **kwargs):
            self.rates_ = [getattr(net, f"{name}_").param_groups[0]["lr"] for name in net._optimizers]

    rng = np.random.default_rng(0)
    X = pd.DataFrame({"id": pd.Categorical(rng.permutation(31_000) % 30_500)})
    y = rng.normal(size=(31_000, 1))
    parameters = {"n_members": 1, "n_experts": 1, "expert_layer_sizes": (2,), "batch_size": 31_000}
    model = MMoERegressor(**parameters, early_stopping=False, max_epochs=4, callbacks=[("rates", Rates())]).fit(X, y)
    dense, sparse = dict(model.net_.callbacks_)["rates"].rates_
    assert dense == sparse < model.learning_rate


def test_a_fit_that_max_epochs_ended_is_told_of():
    text = "max_epochs=4 ended the training while what decides when to stop was still improving (best epochs: [4])"
    with pytest.warns(ConvergenceWarning, match=re.escape(text)):
        watched(learning_rate=1e-3, max_epochs=4)


@pytest.mark.parametrize(
    "parameters", [{"early_stopping": False}, {"learning_rate_schedule": "cosine"}, {"max_epochs": 200}]
)
def test_a_fit_that_went_its_way_is_not(parameters, recwarn):
    watched(**{"max_epochs": 4, **parameters})
    assert [warning for warning in recwarn if issubclass(warning.category, ConvergenceWarning)] == []


def test_few_epochs_of_many_rows_are_a_rule_and_no_haste(monkeypatch, recwarn):
    monkeypatch.setattr(parameters_module, "AUTO_MAX_EPOCHS_ROWS", 10)
    model, _ = watched(learning_rate=1e-3, max_epochs="auto")
    assert (model.n_iter_, model.net_.schedule_.is_cut_short) == (4, True)
    assert [warning for warning in recwarn if issubclass(warning.category, ConvergenceWarning)] == []


def test_what_may_be_at_most_is_told_when_the_rule_allows_it_all(monkeypatch):
    for module in (parameters_module, fit_module):
        monkeypatch.setattr(module, "AUTO_MAX_EPOCHS", (4, 5))
    with pytest.warns(ConvergenceWarning, match="max_epochs=5 ended"):
        watched(learning_rate=1e-3, max_epochs="auto")


@pytest.mark.parametrize("kind", ["wsd", "cosine"])
def test_two_who_would_set_the_rate_are_refused(kind):
    model = make_model("regressor", learning_rate_schedule=kind, callbacks=[LRScheduler("StepLR", step_size=1)])
    text = f"learning_rate_schedule='{kind}' and the callback 'LRScheduler' would both set the learning rate"
    with pytest.raises(ValueError, match=text):
        model.fit(make_features(), make_targets("regressor"))
    assert not hasattr(model, "net_")
