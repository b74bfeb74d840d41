"""Estimators inside others of scikit-learn."""

import numpy as np
import pytest
from helpers import QUICK, make_features, make_labels, make_model, make_targets
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler


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
