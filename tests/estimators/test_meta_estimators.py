"""Estimators inside others of scikit-learn."""

import numpy as np
import pytest
from helpers import (
    QUICK,
    TWO_FOLDS,
    all_three,
    fitted,
    make_features,
    make_labels,
    make_model,
    make_targets,
    with_missing,
)
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import RFE, SelectFromModel, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("ensemble", [True, False])
def test_calibrated_classifier(ensemble):
    X, y = make_features(), make_labels()
    model = CalibratedClassifierCV(make_model("classifier", **QUICK), cv=3, ensemble=ensemble).fit(X, y)
    probabilities = model.predict_proba(X)
    assert list(model.classes_) == ["no", "yes"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize("n_tasks", [1, 2])
def test_transformed_target(n_tasks):
    X = make_features()
    y = np.exp(make_targets("regressor") / [1, 100])
    y = y[:, 0] if n_tasks == 1 else y
    model = TransformedTargetRegressor(make_model("regressor"), func=np.log, inverse_func=np.exp).fit(X, y)
    direct = make_model("regressor").fit(X, np.log(y))
    np.testing.assert_array_equal(model.predict(X), np.exp(direct.predict(X)))
    assert model.predict(X).shape == y.shape


def test_transformed_target_with_a_scaler():
    X, y = make_features(), make_targets("regressor")
    model = TransformedTargetRegressor(make_model("regressor", **QUICK), transformer=StandardScaler()).fit(X, y)
    assert model.score(X, y) > 0.5


def test_stacking_regressor():
    X, y = make_features(), make_targets("regressor")[:, 0]
    parts = [("mmoe", make_model("regressor", **QUICK)), ("ridge", Ridge(alpha=100.0))]
    model = StackingRegressor(parts, cv=2).fit(X, y)
    assert model.final_estimator_.coef_.shape == (2,)
    assert model.score(X, y) > 0.8
    np.testing.assert_array_equal(model.transform(X)[:, 0], make_model("regressor", **QUICK).fit(X, y).predict(X))


# --------------------------------------------------------------------------------------------------------------------
# What the guide says of several tasks

REGRESSIONS = {
    "TransformedTargetRegressor": lambda own: TransformedTargetRegressor(own, func=np.arcsinh, inverse_func=np.sinh),
    "BaggingRegressor": lambda own: BaggingRegressor(own, n_estimators=2, random_state=0),
    "MultiOutputRegressor": MultiOutputRegressor,
    "RegressorChain": RegressorChain,
    "SequentialFeatureSelector": lambda own: make_pipeline(
        SequentialFeatureSelector(own, n_features_to_select=3, cv=2, direction="backward"), clone(own)
    ),
    "SelectFromModel": lambda own: make_pipeline(
        SelectFromModel(own, importance_getter=_ones, max_features=2, threshold=-np.inf), clone(own)
    ),
    "RFE": lambda own: RFE(own, n_features_to_select=3, importance_getter=_ones),
}
WITH_HOLES = ("SequentialFeatureSelector", "SelectFromModel")
OF_ONE_REGRESSION = {
    "StackingRegressor": lambda own: StackingRegressor([("own", own), ("ridge", Ridge())], cv=2),
    "VotingRegressor": lambda own: VotingRegressor([("own", own), ("ridge", Ridge())]),
    "AdaBoostRegressor": lambda own: AdaBoostRegressor(own, n_estimators=2, random_state=0),
}
CLASSIFICATIONS = {
    "MultiOutputClassifier": MultiOutputClassifier,
    "ClassifierChain": ClassifierChain,
    "OneVsRestClassifier": OneVsRestClassifier,
    "StackingClassifier": lambda own: StackingClassifier([("own", own)], final_estimator=clone(own), cv=TWO_FOLDS),
}
OF_ONE_CLASSIFICATION = {
    "CalibratedClassifierCV": lambda own: CalibratedClassifierCV(own, cv=2),
    "TunedThresholdClassifierCV": lambda own: TunedThresholdClassifierCV(own, cv=2),
    "FixedThresholdClassifier": lambda own: FixedThresholdClassifier(own, pos_label="yes"),
    "VotingClassifier": lambda own: VotingClassifier([("own", own)], voting="soft"),
    "BaggingClassifier": lambda own: BaggingClassifier(own, n_estimators=2, random_state=0),
    "AdaBoostClassifier": lambda own: AdaBoostClassifier(own, n_estimators=2, random_state=0),
}


def _ones(model):
    return np.ones(model.n_features_in_)


@pytest.mark.parametrize("kind", REGRESSIONS)
def test_several_regressions_inside_others(kind):
    X, y = make_features(), make_targets("regressor")
    model = REGRESSIONS[kind](make_model("regressor", max_epochs=1))
    assert model.fit(X, y).predict(X).shape == y.shape
    if kind in WITH_HOLES:
        assert clone(model).fit(X, with_missing(y)).predict(X).shape == y.shape
    else:
        with pytest.raises(ValueError, match="contains NaN"):
            clone(model).fit(X, with_missing(y))


@pytest.mark.parametrize("kind", OF_ONE_REGRESSION)
def test_one_regression_inside_others_that_refuse_several(kind):
    X, y = make_features(), make_targets("regressor")
    model = OF_ONE_REGRESSION[kind](make_model("regressor", max_epochs=1))
    assert clone(model).fit(X, y[:, 0]).predict(X).shape == (len(X),)
    with pytest.raises(ValueError, match="y should be a 1d array"):
        model.fit(X, y)


@pytest.mark.parametrize("kind", CLASSIFICATIONS)
def test_several_binary_tasks_inside_others(kind):
    X, y = make_features(), (make_features()[:, :2] > 0).astype(int)
    model = CLASSIFICATIONS[kind](make_model("classifier", max_epochs=1))
    assert model.fit(X, y).predict(X).shape == y.shape


@pytest.mark.parametrize("kind", OF_ONE_CLASSIFICATION)
def test_one_classification_inside_others_that_refuse_several(kind):
    X, y = make_features(), make_labels()
    model = OF_ONE_CLASSIFICATION[kind](make_model("classifier", max_epochs=1, numeric_embeddings=None))
    assert set(clone(model).fit(X, y).predict(X)) <= {"no", "yes"}
    with pytest.raises((ValueError, NotImplementedError), match=r"1d array|[Mm]ultilabel"):
        model.fit(X, (X[:, :2] > 0).astype(int))


@all_three
def test_a_frozen_model_stays_as_it_is(name):
    X, y = make_features(), make_targets(name)
    model = fitted(name)
    frozen = FrozenEstimator(model).fit(X[:9], y[:9])
    np.testing.assert_array_equal(frozen.predict(X), model.predict(X))


def test_scorers_of_multi_label_classification_go_by_their_names():
    X, y = make_features(), (make_features()[:, :2] > 0).astype(int)
    for scoring in ("f1_macro", "roc_auc", "average_precision", "accuracy"):
        scores = cross_val_score(
            make_model("classifier", **QUICK), X, y, cv=TWO_FOLDS, scoring=scoring, error_score="raise"
        )
        assert np.isfinite(scores).all()
