"""Optuna's searches: by its class for estimators of scikit-learn, and by its callback that prunes trials."""

import copy
import signal
import subprocess
import sys

import numpy as np
import pytest
from helpers import (
    KEPT,
    TWO_FOLDS,
    all_three,
    assert_same_model,
    assert_unfitted,
    fine_score,
    fitted,
    make_features,
    make_model,
    make_targets,
    with_missing,
)
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

optuna = pytest.importorskip("optuna")
optuna_integration = pytest.importorskip("optuna_integration")

pytestmark = [
    pytest.mark.no_cover,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),  # all of OptunaSearchCV is
    pytest.mark.filterwarnings("ignore:`optuna.terminator` module has been deprecated"),  # OptunaSearchCV uses it
]

RATES = [0.01, 1e-6, 0.03]  # the second learns nothing, the third learns fastest
DISTRIBUTIONS = {"learning_rate": optuna.distributions.FloatDistribution(1e-7, 1e31, log=True)}
CLASSES = [[0.0, 1.0], [0.0, 1.0, 2.0]]


@pytest.fixture(autouse=True)
def _quiet():
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(level)


def study_of(rates):
    """A study that tries these learning rates, one after the other, and prunes from the second on."""
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1),
    )
    for rate in rates:
        study.enqueue_trial({"learning_rate": rate})
    return study


def optuna_search(model, rates=RATES, **options):
    options = {"scoring": fine_score, "cv": TWO_FOLDS, "error_score": "raise", **options}
    return optuna_integration.OptunaSearchCV(
        model, DISTRIBUTIONS, n_trials=len(rates), study=study_of(rates), random_state=0, **options
    )


def states_of(study):
    return [trial.state.name for trial in study.trials]


# --------------------------------------------------------------------------------------------------------------------
# OptunaSearchCV


@all_three
def test_optuna_search_gives_what_cross_validation_gives(name):
    X, y = make_features(), make_targets(name)
    y = y if name == "classifier" else with_missing(y)  # its score here takes all labels
    model = make_model(name)
    search = optuna_search(model).fit(X, y)
    expected = [
        cross_val_score(clone(model).set_params(learning_rate=rate), X, y, scoring=fine_score, cv=TWO_FOLDS).mean()
        for rate in RATES
    ]
    assert [trial.value for trial in search.trials_] == expected
    assert search.best_params_ == {"learning_rate": RATES[int(np.argmax(expected))]}
    assert_same_model(search.best_estimator_, clone(model).set_params(**search.best_params_).fit(X, y))


def epochs_by_hand(model, X, y, n_epochs, **classes):
    """Mean score of the folds after each epoch."""
    scores = np.zeros((n_epochs, 2))
    for fold, (train, test) in enumerate(TWO_FOLDS.split(X)):
        own = clone(model)
        for epoch in range(n_epochs):
            own.partial_fit(X[train], y[train], **classes)
            scores[epoch, fold] = fine_score(own, X[test], y[test])
    return scores.mean(axis=1)


@all_three
def test_optuna_search_prunes_by_partial_fit(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name)
    # It takes all labels for those of one task unless it is told, and then tells `fit`, too, which knows no classes
    options, classes = ({"refit": False}, {"classes": CLASSES}) if name == "classifier" else ({}, {})
    search = optuna_search(model, enable_pruning=True, max_iter=5, **options).fit(X, y, **classes)
    assert states_of(search.study_) == ["COMPLETE", "PRUNED", "COMPLETE"]
    for trial in search.trials_:
        n_epochs = len(trial.intermediate_values)
        assert n_epochs == (2 if trial.state.name == "PRUNED" else 5)
        by_hand = epochs_by_hand(clone(model).set_params(**trial.params), X, y, n_epochs, **classes)
        np.testing.assert_array_equal(list(trial.intermediate_values.values()), by_hand)
    if name != "classifier":
        assert_same_model(search.best_estimator_, clone(model).set_params(**search.best_params_).fit(X, y))


def test_optuna_search_that_prunes_a_classifier_of_several_tasks_has_to_be_told_its_classes():
    """docs/user_guide/clusters.md tells so."""
    X, y = make_features(), make_targets("classifier")
    search = optuna_search(make_model("classifier"), enable_pruning=True, max_iter=2)
    with pytest.raises(ValueError, match=r"classes must be a list of arrays, one per task \['y0', 'y1'\]"):
        search.fit(X, y)
    y = y[:, 1]  # of one task it knows them
    search = optuna_search(make_model("classifier"), enable_pruning=True, max_iter=2, scoring="neg_log_loss").fit(X, y)
    assert search.best_estimator_.classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("enable_pruning", [False, True])
@pytest.mark.filterwarnings("ignore:(Mean of empty slice|Degrees of freedom)")  # of Optuna's means of no scores
def test_a_trial_that_diverges_leaves_the_others_their_scores(enable_pruning):
    X, y = make_features(), make_targets("regressor")
    model, rates = make_model("regressor", max_epochs=5, numeric_embeddings=None), [1e30, 0.03]
    options = {"error_score": np.nan, "enable_pruning": enable_pruning, "max_iter": 3}
    search = optuna_search(model, rates, **options).fit(X, y)
    assert states_of(search.study_) == ["FAIL", "COMPLETE"]
    assert search.best_params_ == {"learning_rate": 0.03}
    assert search.best_score_ == optuna_search(model, [0.03], **options).fit(X, y).best_score_


def test_trials_in_threads_give_the_same_as_in_one():
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor", dropout=0.2, batch_size=8, numeric_embeddings=None)
    rates = [0.001, 0.003, 0.01, 0.03]
    values = []
    for n_jobs in (1, 2):
        search = optuna_search(model, rates, n_jobs=n_jobs).fit(X, y)
        values.append({trial.params["learning_rate"]: trial.value for trial in search.trials_})
    assert len(values[0]) == 4
    assert values[0] == values[1]


# --------------------------------------------------------------------------------------------------------------------
# Pruning by a callback


def with_pruning(name, trial):
    rate = trial.suggest_float("learning_rate", 1e-7, 1, log=True)
    pruning = optuna_integration.SkorchPruningCallback(trial, "valid_score")
    options = {"learning_rate": rate, "batch_size": 8, "max_epochs": 5, "numeric_embeddings": None}
    return make_model(name, callbacks=[pruning], **options)


@all_three
def test_the_callback_of_optuna_prunes(name):
    """It reports to the trial itself: of a copy, the study would hear nothing, and no trial would ever be pruned."""
    X, y = make_features(), make_targets(name)
    scores = []

    def objective(trial):
        model = with_pruning(name, trial).fit(X, y, X_val=X, y_val=y)
        scores.append(model.validation_scores_)
        return max(model.validation_scores_)

    study = study_of(RATES)
    study.optimize(objective, n_trials=3)
    assert states_of(study) == ["COMPLETE", "PRUNED", "COMPLETE"]
    first, pruned, last = ([*trial.intermediate_values.values()] for trial in study.trials)
    assert [first, last] == scores
    assert len(pruned) == 2
    assert study.best_value == max(map(max, scores))


class Prune(Callback):
    """Raises what a trial is pruned by at the end of the second epoch."""

    def __init__(self, error):
        self.error = error

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise self.error


@all_three
def test_a_pruned_fit_raises_what_the_callback_raised_and_leaves_the_estimator_as_it_was(name):
    X, y = make_features(), make_targets(name)
    error = optuna.TrialPruned("at epoch 2")
    model = make_model(name, callbacks=[Prune(error)])
    with pytest.raises(optuna.TrialPruned) as caught:
        model.fit(X, y)
    assert caught.value is error
    assert_unfitted(model)
    model = fitted(name)
    before = copy.deepcopy(model)
    with pytest.raises(optuna.TrialPruned) as caught:
        model.set_params(callbacks=[Prune(error)]).fit(X, y)
    assert caught.value is error
    np.testing.assert_array_equal(model.predict(X), before.predict(X), err_msg=KEPT)
    with pytest.raises(optuna.TrialPruned) as caught:
        make_pipeline(StandardScaler(), make_model(name, callbacks=[Prune(error)])).fit(X, y)
    assert caught.value is error


DEADLY = """
import os, signal, sys
import numpy as np, optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sklearn_mmoe import MMoERegressor

def objective(trial):
    if trial.number == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    X = np.random.default_rng(0).normal(size=(60, 4))
    rate = trial.suggest_float("learning_rate", 1e-4, 1e-1)
    model = MMoERegressor(n_members=1, max_epochs=2, learning_rate=rate, random_state=0)
    return model.fit(X, X[:, 0]).score(X, X[:, 0])

storage = JournalStorage(JournalFileBackend(sys.argv[1]))
study = optuna.create_study(study_name="kept", storage=storage, direction="maximize", load_if_exists=True)
study.optimize(objective, n_trials=3)
print(*[trial.state.name for trial in study.trials])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_process_that_dies_loses_the_trial_that_it_was_at(tmp_path):
    """docs/user_guide/clusters.md tells so."""

    def run(dies_at):
        command = [sys.executable, "-c", DEADLY, str(tmp_path / "trials"), str(dies_at)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run(dies_at=2).returncode == -signal.SIGKILL
    done = run(dies_at=-1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["COMPLETE", "COMPLETE", "RUNNING", "COMPLETE", "COMPLETE", "COMPLETE"]
