"""Cross-validation, permutation importance, learning curves."""

import numpy as np
import pytest
from helpers import (
    N_ROWS,
    QUICK,
    TWO_FOLDS,
    all_three,
    fine_score,
    make_features,
    make_labels,
    make_model,
    make_targets,
    with_missing,
)
from sklearn.inspection import permutation_importance
from sklearn.model_selection import cross_val_predict, cross_val_score, learning_curve


@pytest.mark.parametrize("name", ["regressor", "multitask"])
def test_an_integer_cv_works_with_missing_labels(name):
    scores = cross_val_score(make_model(name), make_features(), with_missing(make_targets(name)), cv=3)
    assert np.isfinite(scores).all()
    assert len(scores) == 3


@all_three
def test_cross_val_predict_predicts_what_each_fold_did_not_see(name):
    X, y = make_features(), make_targets(name)
    predicted = cross_val_predict(make_model(name), X, y, cv=TWO_FOLDS)
    assert predicted.shape == y.shape
    for train, test in TWO_FOLDS.split(X):
        np.testing.assert_array_equal(predicted[test], make_model(name).fit(X[train], y[train]).predict(X[test]))


def test_cross_val_predict_gives_probabilities_of_one_task():
    X, y = make_features(), make_labels()
    probabilities = cross_val_predict(make_model("classifier", **QUICK), X, y, cv=3, method="predict_proba")
    assert probabilities.shape == (N_ROWS, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert ((probabilities[:, 1] > 0.5) == (y == "yes")).mean() > 0.7


def test_cross_val_predict_gives_probabilities_of_several_tasks():
    X, y = make_features(), make_targets("classifier")
    probabilities = cross_val_predict(make_model("classifier"), X, y, cv=TWO_FOLDS, method="predict_proba")
    assert [own.shape for own in probabilities] == [(N_ROWS, 2), (N_ROWS, 3)]
    train, test = next(TWO_FOLDS.split(X))
    direct = make_model("classifier").fit(X[train], y[train]).predict_proba(X[test])
    for own, expected in zip(probabilities, direct, strict=True):
        np.testing.assert_array_equal(own[test], expected)


@all_three
def test_permutation_importance_finds_the_features_that_matter(name):
    X, y = make_features(), make_targets(name)
    X[:, 3] = make_features(2 * N_ROWS)[N_ROWS:, 0]  # noise
    model = make_model(name, **QUICK).fit(X, y)
    importance = permutation_importance(model, X, y, scoring=fine_score, n_repeats=3, random_state=0).importances_mean
    assert min(importance[:2]) > importance[3] + 0.02


@all_three
def test_permutation_importance_with_missing_labels(name):
    X, y = make_features(), with_missing(make_targets(name))
    model = make_model(name).fit(X, y)
    assert np.isfinite(permutation_importance(model, X, y, n_repeats=2, random_state=0).importances).all()


def test_learning_curve_of_a_classifier():
    sizes, train, test = learning_curve(
        make_model("classifier", **QUICK), make_features(), make_labels(), train_sizes=[0.3, 1.0], cv=3
    )
    assert train.shape == test.shape == (2, 3)
    assert sizes[0] < sizes[1]
    assert test[1].mean() > 0.75


def test_learning_curve_that_learns_incrementally_uses_partial_fit():
    _, train, test = learning_curve(
        make_model("classifier"),
        make_features(),
        make_labels(),
        train_sizes=[0.5, 1.0],
        cv=2,
        exploit_incremental_learning=True,
        error_score="raise",
    )
    assert np.isfinite([train, test]).all()
