"""Weights, groups and validation data that scikit-learn routes through pipelines and searches."""

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
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold, GroupShuffleSplit, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from versions import needs

from sklearn_mmoe import make_tabular_pipeline
from sklearn_mmoe._held_out.splitters import parameters_of


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


# --------------------------------------------------------------------------------------------------------------------
# Groups

GROUPS = np.arange(60) // 6


def watching(seen, splitter):
    """A splitter that notes the groups that it is given."""

    class Watching(type(splitter)):
        def split(self, X, y=None, groups=None):
            seen.append(None if groups is None else np.asarray(groups).tolist())
            return super().split(X, y, groups)

    return Watching(**parameters_of(splitter))


@all_three
def test_groups_reach_fit_through_a_pipeline(name):
    X, y = make_features(), make_targets(name)
    direct = make_model(name, n_members=2).fit(StandardScaler().fit_transform(X), y, groups=GROUPS)
    by_name = make_pipeline(StandardScaler(), make_model(name, n_members=2))
    by_name.fit(X, y, **{f"{by_name.steps[-1][0]}__groups": GROUPS})
    with config_context(enable_metadata_routing=True):
        routed = make_pipeline(StandardScaler(), make_model(name, n_members=2).set_fit_request(groups=True))
        routed.fit(X, y, groups=GROUPS)
    assert_same_model(by_name[-1], direct)
    assert_same_model(routed[-1], direct)


@pytest.mark.parametrize("routing", [False, True])
def test_groups_reach_fit_through_a_table_pipeline(routing):
    X, y = make_features(), make_targets("regressor")
    seen = []
    network = make_model("regressor", validation_split=watching(seen, GroupShuffleSplit(1)))
    with config_context(enable_metadata_routing=routing):
        model = make_tabular_pipeline(network.set_fit_request(groups=True) if routing else network)
        model.fit(X, y, **{"groups" if routing else "estimator__groups": GROUPS.astype(str)})
    assert seen == [GROUPS.astype(str).tolist()]


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_groups_split_a_search_outside_and_stop_its_fits_inside(in_pipeline):
    X, y = make_features(), make_targets("regressor")
    seen = []
    with config_context(enable_metadata_routing=True):
        model = make_model("regressor", validation_split=watching(seen, GroupKFold(2))).set_fit_request(groups=True)
        model = make_pipeline(StandardScaler(), model) if in_pipeline else model
        search = GridSearchCV(model, {}, cv=GroupKFold(2), error_score="raise").fit(X, y, groups=GROUPS)
    folds = [GROUPS[train].tolist() for train, _ in GroupKFold(2).split(X, y, GROUPS)]
    assert seen == [*folds, GROUPS.tolist()]
    assert np.isfinite(search.best_score_)


def test_groups_by_the_name_of_a_step_are_cut_to_each_fold_of_a_search():
    X, y = make_features(), make_targets("regressor")
    seen = []
    network = make_model("regressor", validation_split=watching(seen, GroupKFold(2)))
    cross_validate(
        make_tabular_pipeline(network), X, y, cv=GroupKFold(3), groups=GROUPS, params={"estimator__groups": GROUPS}
    )
    assert seen == [GROUPS[train].tolist() for train, _ in GroupKFold(3).split(X, y, GROUPS)]


def test_groups_that_nobody_asked_for_are_refused_by_scikit_learn():
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), make_model("regressor"))
        with pytest.raises(ValueError, match="groups"):
            pipeline.fit(make_features(), make_targets("regressor"), groups=GROUPS)


def test_bags_and_calibration_hand_groups_on():
    X, y = make_features(), make_targets("regressor")
    seen = []
    with config_context(enable_metadata_routing=True):
        model = make_model("regressor", validation_split=watching(seen, GroupShuffleSplit(1))).set_fit_request(
            groups=True
        )
        BaggingRegressor(model, 2, random_state=0).fit(X, y, groups=GROUPS)
        own = [0, 1] * 30
        network = make_model("classifier", validation_split=watching(seen, GroupShuffleSplit(1)))
        network.set_fit_request(groups=True)
        CalibratedClassifierCV(network, cv=GroupKFold(2)).fit(X, own, groups=GROUPS)
    assert [len(groups) for groups in seen] == [60, 60, 30, 30]
