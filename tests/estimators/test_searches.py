"""Searches over parameters."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    NAMES,
    TWO_FOLDS,
    all_three,
    assert_same_model,
    fine_score,
    fingerprint,
    make_features,
    make_model,
    make_targets,
    with_missing,
)
from joblib import parallel_config
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, KFold, RandomizedSearchCV, cross_val_score

from sklearn_mmoe.metrics import make_task_scorer

pytestmark = pytest.mark.no_cover


@all_three
def test_grid_search_over_parameters_finds_the_better_one(name):
    grid = {"max_epochs": [1, 10], "expert_layer_sizes": [(8,), (8, 4)]}
    model = make_model(name, learning_rate=0.05, numeric_embeddings=None)
    search = GridSearchCV(model, grid, scoring=fine_score, cv=TWO_FOLDS, error_score="raise")
    X, y = make_features(), make_targets(name)
    search.fit(X, y)
    assert search.best_params_["max_epochs"] == 10
    assert search.best_estimator_.n_iter_ > 1
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert_same_model(clone(search.best_estimator_).fit(X, y), search.best_estimator_)
    assert search.score(X, y) == fine_score(search.best_estimator_, X, y)


@all_three
def test_grid_search_over_net_params(name):
    grid = {"net_params": [None, {"max_epochs": 1}, {"optimizer": torch.optim.Adagrad, "optimizer__lr": 0.3}]}
    plain = make_model(name, numeric_embeddings=None)
    search = GridSearchCV(plain, grid, scoring=fingerprint, cv=TWO_FOLDS, error_score="raise")
    X, y = make_features(), make_targets(name)
    search.fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 3
    assert make_model(name, net_params={"max_epochs": 1}).fit(X, y).n_iter_ == 1
    adagrad = make_model(name, numeric_embeddings=None, net_params=grid["net_params"][2]).fit(X, y)
    assert type(adagrad.net_.optimizer_) is torch.optim.Adagrad
    assert adagrad.net_.optimizer_.param_groups[0]["lr"] == 0.3


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        *[(name, "multiprocessing") for name in NAMES],
        # whose processes import torch first, for many seconds
        *[pytest.param(name, "loky", marks=pytest.mark.slow) for name in NAMES],
    ],
)
def test_searches_in_parallel_processes_give_the_same_as_in_one(name, backend):
    X, y = make_features(), with_missing(make_targets(name))
    model = make_model(name)
    grid = {"learning_rate": [0.001, 0.01], "net_params": [None, {"lr": 0.05}]}
    options = {"scoring": fingerprint, "cv": TWO_FOLDS, "error_score": "raise"}
    randomized = RandomizedSearchCV(model, grid, n_iter=2, random_state=0, **options)
    for search in (GridSearchCV(model, grid, **options), randomized):
        serial = clone(search).fit(X, y)
        with parallel_config(backend):
            parallel = clone(search).set_params(n_jobs=2).fit(X, y)
        for split in ("split0_test_score", "split1_test_score"):
            np.testing.assert_array_equal(parallel.cv_results_[split], serial.cv_results_[split])
        assert parallel.best_params_ == serial.best_params_
        assert_same_model(parallel.best_estimator_, serial.best_estimator_)


@all_three
def test_searches_in_threads_give_the_same_as_in_one(name):
    """Every fit seeds generators for itself: fits that run at once must not get in each other's way."""
    X, y = make_features(), make_targets(name)
    grid = {"learning_rate": [0.001, 0.01, 0.03, 0.1]}
    model = make_model(name, batch_size=8, dropout=0.1, numeric_embeddings=None)
    search = GridSearchCV(model, grid, scoring=fingerprint, cv=TWO_FOLDS, error_score="raise")
    serial = clone(search).fit(X, y).cv_results_["mean_test_score"]
    torch.manual_seed(0)
    state = torch.get_rng_state()
    with parallel_config("threading", n_jobs=2):
        threaded = clone(search).fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(threaded, serial)
    assert torch.equal(torch.get_rng_state(), state)


@all_three
def test_randomized_search(name):
    space = {"dropout": [0.0, 0.1, 0.2], "gating": ["shared", "per_task"], "activation": ["relu", torch.nn.Tanh]}
    options = {"scoring": fine_score, "cv": TWO_FOLDS, "error_score": "raise"}
    X, y = make_features(), make_targets(name)
    search = RandomizedSearchCV(make_model(name), space, n_iter=4, random_state=0, **options).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 4
    assert search.best_score_ == max(scores)
    assert search.best_score_ == cross_val_score(clone(search.best_estimator_), X, y, **options).mean()


@all_three
@pytest.mark.parametrize("resource", ["n_samples", "max_epochs"])
def test_halving_grid_search(name, resource):
    limits = {"n_samples": (30, 60), "max_epochs": (4, 8)}[resource]
    search = HalvingGridSearchCV(
        make_model(name, numeric_embeddings=None),
        {"learning_rate": [1e-5, 5e-2]},
        factor=2,
        resource=resource,
        min_resources=limits[0],
        max_resources=limits[1],
        scoring=fine_score,
        cv=TWO_FOLDS,
        random_state=0,
        error_score="raise",
    )
    search.fit(make_features(), make_targets(name))
    assert search.n_candidates_ == [2, 1]
    assert search.n_resources_ == [limits[0], 2 * limits[0]]
    results = pd.DataFrame(search.cv_results_)
    rates = results["param_learning_rate"]
    ranked = results[results["iter"] == 0].sort_values("mean_test_score").index
    assert rates[results["iter"] == 1].tolist() == [rates[ranked[-1]]] == [search.best_params_["learning_rate"]]
    assert results["mean_test_score"].nunique() == 3
    if resource == "max_epochs":
        assert search.best_estimator_.n_iter_ == 8


def test_halving_wants_a_number_of_rows_for_a_classifier_of_several_tasks():
    """docs/user_guide/searching.md tells so."""
    search = HalvingGridSearchCV(make_model("classifier"), {"n_experts": [1, 2]}, cv=TWO_FOLDS, random_state=0)
    with pytest.raises(ValueError, match="y should be a 1d array"):
        search.fit(make_features(), make_targets("classifier"))
    search.set_params(min_resources=20).fit(make_features(), make_targets("classifier"))
    assert search.n_resources_[0] == 20


@all_three
def test_default_scoring_of_a_search_ignores_missing_labels(name):
    X, y = make_features(), with_missing(make_targets(name))
    plain = make_model(name, numeric_embeddings=None)
    search = GridSearchCV(plain, {"learning_rate": [1e-4, 3e-2]}, cv=TWO_FOLDS, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]
    train, test = next(TWO_FOLDS.split(X))
    direct = make_model(name, learning_rate=3e-2, numeric_embeddings=None).fit(X[train], y[train])
    assert search.cv_results_["split0_test_score"][1] == direct.score(X[test], y[test])


@all_three
@pytest.mark.parametrize("missing", [False, True])
def test_default_scoring_of_a_search_ranks_the_trained_above_the_untrained(name, missing):
    X, y = make_features(), make_targets(name)
    y = with_missing(y) if missing else y
    grid = {"learning_rate": [1e-6, 1e-1]}
    model = make_model(name, max_epochs=15, numeric_embeddings=None)
    search = GridSearchCV(model, grid, cv=TWO_FOLDS, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[1] > scores[0] + 0.1
    assert search.best_params_ == {"learning_rate": 1e-1}


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")  # of scikit-learn, on its way
def test_an_integer_cv_of_a_classifier_refuses_missing_labels_and_a_splitter_does_not():
    """docs/user_guide/scoring.md tells so."""
    X, y = make_features(), with_missing(make_targets("classifier"))
    grid = {"learning_rate": [1e-4, 3e-2]}
    with pytest.raises(ValueError, match="Input y contains NaN"):
        GridSearchCV(make_model("classifier"), grid, cv=5).fit(X, y)
    words = np.where(np.isnan(y), None, np.where(y > 0, "yes", "no"))
    with pytest.raises(TypeError, match="NoneType"):
        GridSearchCV(make_model("classifier"), grid, cv=5).fit(X, words)
    folds = KFold(5, shuffle=True, random_state=0)
    for labels in (y, words):
        search = GridSearchCV(make_model("classifier"), grid, cv=folds, error_score="raise").fit(X, labels)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_an_integer_cv_of_a_classifier_takes_complete_labels():
    X, y = make_features(), make_targets("classifier")
    search = GridSearchCV(make_model("classifier"), {"learning_rate": [3e-2]}, cv=3, error_score="raise").fit(X, y)
    assert np.isfinite(search.best_score_)


def test_a_scorer_by_name_has_nan_for_multiclass_tasks_and_a_task_scorer_has_not():
    """docs/user_guide/scoring.md tells so."""
    X, y = make_features(), make_targets("classifier")
    grid = {"learning_rate": [1e-4, 3e-2]}
    with pytest.warns(UserWarning, match="Scoring failed|non-finite"):
        search = GridSearchCV(make_model("classifier"), grid, scoring="accuracy", cv=TWO_FOLDS).fit(X, y)
    assert np.isnan(search.cv_results_["mean_test_score"]).all()
    assert search.best_index_ == 0
    search = GridSearchCV(make_model("classifier"), grid, scoring=make_task_scorer("accuracy"), cv=TWO_FOLDS).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
