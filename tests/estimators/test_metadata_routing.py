"""Weights and validation data that scikit-learn routes through pipelines and searches."""

import numpy as np
import pytest
from helpers import (
    TWO_FOLDS,
    all_three,
    assert_other_model,
    assert_same_model,
    make_features,
    make_model,
    make_targets,
    make_weights,
)
from sklearn import config_context
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from versions import needs


@all_three
def test_weights_reach_fit_through_a_pipeline(name):
    X, y, weights = make_features(), make_targets(name), make_weights()
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, make_model(name).set_fit_request(sample_weight=True))
        pipeline.fit(X, y, sample_weight=weights)
    X_scaled = StandardScaler().fit_transform(X)
    assert_same_model(pipeline[-1], make_model(name).fit(X_scaled, y, weights))
    assert_other_model(pipeline[-1], make_model(name).fit(X_scaled, y))


@pytest.mark.parametrize("per_task", [False, True])
@all_three
def test_weights_reach_fit_and_score_through_a_search(name, per_task):
    X, y, weights = make_features(), make_targets(name), make_weights()
    if per_task:
        weights = np.column_stack([weights, *[weights[::-1]] * (y.shape[1] - 1)])
    train, test = next(TWO_FOLDS.split(X))

    def search(fit, score):
        model = make_model(name).set_fit_request(sample_weight=fit).set_score_request(sample_weight=score)
        found = GridSearchCV(model, {"learning_rate": [1e-2]}, cv=TWO_FOLDS, error_score="raise")
        return found.fit(X, y, sample_weight=weights)

    with config_context(enable_metadata_routing=True):
        both, fit_only = search(True, True), search(True, False)
    weighted = make_model(name, learning_rate=1e-2).fit(X[train], y[train], weights[train])
    assert both.cv_results_["split0_test_score"][0] == weighted.score(X[test], y[test], weights[test])
    assert fit_only.cv_results_["split0_test_score"][0] == weighted.score(X[test], y[test])
    assert weighted.score(X[test], y[test], weights[test]) != weighted.score(X[test], y[test])
    assert_same_model(both.best_estimator_, make_model(name, learning_rate=1e-2).fit(X, y, weights))
    assert_other_model(both.best_estimator_, make_model(name, learning_rate=1e-2).fit(X, y))


@needs("scikit-learn", "1.8")  # before, a pipeline asks nobody what its score takes
@all_three
def test_weights_reach_a_pipeline_inside_a_search(name):
    X, y, weights = make_features(), make_targets(name), make_weights()
    with config_context(enable_metadata_routing=True):
        model = make_model(name).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = Pipeline([("scale", StandardScaler().set_fit_request(sample_weight=True)), ("model", model)])
        search = GridSearchCV(pipeline, {"model__max_epochs": [2]}, cv=TWO_FOLDS, error_score="raise")
        search.fit(X, y, sample_weight=weights)
    X_scaled = StandardScaler().fit(X, sample_weight=weights).transform(X)
    direct = make_model(name, max_epochs=2).fit(X_scaled, y, weights)
    assert_same_model(search.best_estimator_["model"], direct)


def test_weights_that_nobody_asked_for_are_refused_by_scikit_learn():
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), make_model("regressor"))
        with pytest.raises(ValueError, match="sample_weight"):
            pipeline.fit(make_features(), make_targets("regressor"), sample_weight=make_weights())


@all_three
def test_partial_fit_asks_for_weights_and_classes(name):
    with config_context(enable_metadata_routing=True):
        model = make_model(name).set_partial_fit_request(sample_weight=True)
        assert model.get_metadata_routing().partial_fit.requests["sample_weight"] is True
    if name != "regressor":
        assert "classes" in make_model(name).get_metadata_routing().partial_fit.requests


@all_three
def test_validation_data_reaches_fit_through_a_pipeline_and_is_transformed_there(name):
    X, y = 3 * make_features(), make_targets(name)
    with config_context(enable_metadata_routing=True):
        model = make_model(name).set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline([("scale", StandardScaler()), ("model", model)], transform_input=["X_val"])
        pipeline.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    scaler = StandardScaler().fit(X[:40])
    direct = make_model(name).fit(scaler.transform(X[:40]), y[:40], X_val=scaler.transform(X[40:]), y_val=y[40:])
    assert pipeline["model"].validation_scores_ == direct.validation_scores_
    assert_same_model(pipeline["model"], direct)
