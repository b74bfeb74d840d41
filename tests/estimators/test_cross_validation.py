"""Cross-validation, also by groups and in the order of time, permutation importance, learning curves."""

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
    task_name,
    with_missing,
)
from mixed_tables import make_frame
from sklearn.inspection import permutation_importance
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)

from sklearn_mmoe import make_tabular_pipeline
from sklearn_mmoe.metrics import multi_task_scoring, transfer_report

pytestmark = pytest.mark.no_cover


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


# --------------------------------------------------------------------------------------------------------------------
# Groups, and the order of time


@pytest.mark.parametrize("cv", [GroupKFold(3), TimeSeriesSplit(3, gap=2)], ids=["groups", "time"])
@all_three
def test_splitters_that_know_groups_or_time_score_each_task(name, cv):
    X, y = make_features(), with_missing(make_targets(name))
    scoring = multi_task_scoring([task_name(name, t) for t in range(y.shape[1])])
    groups = np.arange(N_ROWS) % 7 if isinstance(cv, GroupKFold) else None
    scores = cross_validate(make_model(name), X, y, groups=groups, cv=cv, scoring=scoring, error_score="raise")
    train, test = next(cv.split(X, y, groups))
    assert scores["test_mean"][0] == scoring["mean"](make_model(name).fit(X[train], y[train]), X[test], y[test])


def test_a_report_on_transfer_takes_a_list_of_splits():
    X, y, groups = make_features(), make_targets("regressor"), np.arange(N_ROWS) % 7
    folds = list(GroupKFold(2).split(X, y, groups))
    report = transfer_report(make_model("regressor"), X, y, cv=folds)
    expected = cross_validate(make_model("regressor"), X, y, cv=folds, scoring=multi_task_scoring(["y0", "y1"]))
    np.testing.assert_allclose(report["shared"], [expected[f"test_{task}"].mean() for task in ("y0", "y1")])


def test_raw_validation_data_goes_through_a_search_into_every_fit():
    X, y = make_frame(), make_targets("regressor")
    watch = {"estimator__X_val": X[40:], "estimator__y_val": y[40:]}
    model = make_tabular_pipeline(make_model("regressor", early_stopping=True))
    search = GridSearchCV(model, {"estimator__max_epochs": [2]}, cv=GroupKFold(2), error_score="raise")
    search.fit(X[:40], y[:40], groups=np.arange(40) % 7, **watch)
    direct = model.set_params(estimator__max_epochs=2).fit(X[:40], y[:40], **watch)
    assert search.best_estimator_[-1].validation_scores_ == direct[-1].validation_scores_
