"""Positive, ordinal and focal tasks from outside, imbalance, and the deviance that each kind is scored by.

Where no feature says anything, the right answer of each loss is a number known on paper.
"""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers import SMALL, make_features, round_trips
from scipy.optimize import minimize_scalar
from sklearn.metrics import (
    accuracy_score,
    d2_absolute_error_score,
    d2_log_loss_score,
    d2_pinball_score,
    d2_tweedie_score,
    r2_score,
)

from sklearn_mmoe import MMoEMultiTask, MMoERegressor
from sklearn_mmoe.tasks import Binary, Count, Multiclass, Ordinal, Positive, Regression

GRADES = ["low", "middle", "high"]


def grades(n_rows=60):
    return np.array(GRADES)[np.digitize(make_features(n_rows)[:, 0], [-0.5, 0.5])]


BY_CURVATURE = {  # to the end in a few steps, where a loss is smooth
    "optimizer": torch.optim.LBFGS,
    "learning_rate": 1.0,
    "net_params": {"optimizer__line_search_fn": "strong_wolfe"},
    "max_epochs": 4,
}
BY_SLOPE = {"learning_rate": 0.05, "max_epochs": 300, "n_iter_no_change": 300}


def without_features(tasks, y, weights=None, how=BY_CURVATURE):
    """A model of features that say nothing, trained to the end."""
    options = {"weight_decay": 0.0, "batch_size": len(y), "early_stopping": False, "dtype": "float64"}
    model = MMoEMultiTask(**{**SMALL, **options, **how}, tasks=tasks)
    return model.fit(np.zeros((len(y), 1)), y, weights)


# --------------------------------------------------------------------------------------------------------------------
# Answers known on paper


@pytest.mark.parametrize("declaration", ["positive", Positive(), Regression(loss="gamma")])
def test_positive_without_features_is_the_mean(declaration):
    y = np.array([1.0, 2.0, 9.0, 0.5])
    model = without_features([declaration], y)
    np.testing.assert_allclose(model.predict([[0.0]]), y.mean(), rtol=1e-3)
    assert model.score(np.zeros((4, 1)), y) == pytest.approx(0.0, abs=1e-4)
    weights = np.array([1.0, 5.0, 2.0, 1.0])
    weighted = without_features([declaration], y, weights)
    np.testing.assert_allclose(weighted.predict([[0.0]]), np.average(y, weights=weights), rtol=1e-3)


def test_ordinal_without_features_gives_the_shares_of_the_classes():
    y = pd.DataFrame({"grade": [1] * 5 + [2] * 1 + [3] * 2 + [4] * 12, "other": [0, 1] * 10}, dtype=float)
    y.loc[0, "grade"] = np.nan
    model = without_features({"grade": "ordinal", "other": "binary"}, y)
    np.testing.assert_allclose(model.predict_proba([[0.0]])["grade"][0] * 19, [4, 1, 2, 12], atol=0.02)
    assert model.predict_frame([[0.0]])["grade"].tolist() == [4.0]


def test_positive_weight_without_features_moves_the_odds_by_that_factor():
    y = np.array([0] * 9 + [1])
    model = without_features([Binary(positive_weight=3.0)], y)
    np.testing.assert_allclose(model.predict_proba([[0.0]])["y0"][0, 1], 3 / (3 + 9), atol=1e-3)


@pytest.mark.parametrize("focal_gamma", [0.5, 2.0])
@pytest.mark.parametrize("kind", [Binary, Multiclass])
def test_focal_loss_without_features_gives_the_minimum_of_its_formula(kind, focal_gamma):
    y = np.array([0] * 9 + [1])

    def loss(p):
        return -0.1 * (1 - p) ** focal_gamma * np.log(p) - 0.9 * p**focal_gamma * np.log(1 - p)

    expected = minimize_scalar(loss, bounds=(1e-6, 1 - 1e-6), method="bounded").x
    model = without_features([kind(focal_gamma=focal_gamma)], y)
    assert 0.11 < expected < 0.5
    np.testing.assert_allclose(model.predict_proba([[0.0]])["y0"][0, 1], expected, atol=2e-3)


@pytest.mark.parametrize("quantile", [0.1, 0.9])
def test_several_quantiles_of_one_column_are_tasks(quantile):
    y = np.arange(101.0)
    tasks = {"one": Regression("quantile", quantile), "median": Regression("quantile")}
    model = without_features(tasks, np.c_[y, y], how=BY_SLOPE)
    np.testing.assert_allclose(model.predict([[0.0]])[0], [100 * quantile, 50], atol=2.0)


# --------------------------------------------------------------------------------------------------------------------
# Ordinal classes


@pytest.mark.parametrize(
    ("declaration", "column"),
    [
        ("ordinal", pd.Series(pd.Categorical(grades(), GRADES, ordered=True))),
        ("ordinal", pl.Series(grades().tolist(), dtype=pl.Enum(GRADES))),
        (Ordinal(categories=GRADES), grades()),
        (Ordinal(categories=GRADES), pd.Series(grades())),
        (Ordinal(categories=np.array(GRADES)), pl.Series(grades().tolist(), dtype=pl.Categorical)),
        (Ordinal(categories=GRADES), pd.Series(pd.Categorical(grades(), GRADES[::-1], ordered=True))),
    ],
    ids=["pandas", "polars", "array", "pandas strings", "polars categorical", "declared against the dtype"],
)
def test_ordinal_classes_stand_in_their_order(declaration, column):
    model = MMoEMultiTask(**{**SMALL, "max_epochs": 60}, tasks=[declaration], learning_rate=0.05)
    model.fit(make_features(), column)
    (classes,) = model.classes_.values()
    (probabilities,) = model.predict_proba(make_features()).values()
    assert classes.tolist() == GRADES
    predicted = model.predict(make_features())
    assert predicted.tolist() == [GRADES[code] for code in probabilities.argmax(axis=1)]
    assert accuracy_score(grades(), predicted) > 0.8
    frame = model.predict_frame(make_features())
    assert frame[frame.columns[0]].to_list() == predicted.tolist()
    if not isinstance(column, np.ndarray):
        assert frame[frame.columns[0]].dtype == column.dtype


@pytest.mark.parametrize("values", [[10, 9, 11], [10.0, 9.0, 11.0], [True, False, True]])
def test_numbers_are_ordered_by_value(values):
    y = np.array(values * 4)
    model = MMoEMultiTask(**SMALL, tasks=["ordinal"]).fit(make_features(12), y)
    assert model.classes_["y0"].tolist() == sorted(set(values))
    assert model.predict(make_features(12)).dtype == y.dtype


def test_numbers_can_be_given_an_order_of_their_own():
    y = np.array([1.0, 5.0, 3.0] * 4)
    model = MMoEMultiTask(**SMALL, tasks=[Ordinal(categories=[5, 3, 1])]).fit(make_features(12), y)
    assert model.classes_["y0"].tolist() == [5.0, 3.0, 1.0]
    assert model.classes_["y0"].dtype == y.dtype


def test_a_category_without_a_label_keeps_its_place():
    y = pd.Series(pd.Categorical(["low", "high"] * 6, GRADES, ordered=True), name="grade")
    model = MMoEMultiTask(**SMALL, tasks=["ordinal"]).fit(make_features(12), y)
    assert model.classes_["grade"].tolist() == GRADES
    assert model.predict_proba(make_features(12))["grade"].shape == (12, 3)


def test_ordinal_in_chunks():
    model = MMoEMultiTask(**SMALL, tasks={"grade": "ordinal", "size": "ordinal"})
    chunk = pd.DataFrame({"grade": pd.Categorical(["low", "high"] * 6, GRADES, ordered=True), "size": [1, 2] * 6})
    model.partial_fit(make_features(12), chunk, classes={"size": [3, 1, 2]})
    assert model.classes_["size"].tolist() == [1, 2, 3]
    chunk["grade"] = pd.Categorical(["middle"] * 12, GRADES, ordered=True)
    model.partial_fit(make_features(12), chunk.assign(size=3))
    assert model.n_iter_ == 2


@round_trips
def test_new_kinds_survive_being_saved(there_and_back):
    X = make_features()
    y = pd.DataFrame({"grade": pd.Categorical(grades(), GRADES, ordered=True), "price": np.exp(X[:, 1])})
    y["rare"] = X[:, 2] > 1
    tasks = {"grade": Ordinal(GRADES), "price": "positive", "rare": Binary(positive_weight=2.0, focal_gamma=1.0)}
    model = MMoEMultiTask(**SMALL, tasks=tasks).fit(X, y)
    other = there_and_back(model)
    assert other.predict_frame(X).equals(model.predict_frame(X))
    assert other.fit(X, y).score(X, y) == model.score(X, y)


# --------------------------------------------------------------------------------------------------------------------
# Imbalance


def test_positive_weight_equals_weights_of_the_positive_labels():
    X, rare = make_features(), make_features()[:, 2] > 1
    y = np.column_stack([rare, make_features()[:, 0] > 0]).astype(float)
    y[::7, 0] = np.nan
    weights = np.ones_like(y)
    weights[rare, 0] = 4.0
    declared = MMoEMultiTask(**SMALL, tasks=[Binary(positive_weight=4.0), "binary"]).fit(X, y)
    by_hand = MMoEMultiTask(**SMALL, tasks=["binary", "binary"]).fit(X, y, weights)
    plain = MMoEMultiTask(**SMALL, tasks=["binary", "binary"]).fit(X, y)
    np.testing.assert_array_equal(declared.predict_proba(X)["y0"], by_hand.predict_proba(X)["y0"])
    assert (declared.predict_proba(X)["y0"][:, 1] > plain.predict_proba(X)["y0"][:, 1]).all()


def test_positive_weight_of_a_chunk_without_positives():
    model = MMoEMultiTask(**SMALL, tasks=[Binary(positive_weight=4.0)])
    model.partial_fit(make_features(4), np.array(["no", "yes", "no", "no"]))
    model.partial_fit(make_features(4), np.array(["no"] * 4))
    assert model.n_iter_ == 2


# --------------------------------------------------------------------------------------------------------------------
# Scores


D2 = {
    "squared_error": (Regression(), r2_score),
    "huber": (Regression("huber"), r2_score),
    "absolute_error": (Regression("absolute_error"), d2_absolute_error_score),
    "quantile": (Regression("quantile", 0.8), lambda *own, **how: d2_pinball_score(*own, **how, alpha=0.8)),
    "poisson": (Count(), lambda *own, **how: d2_tweedie_score(*own, **how, power=1)),
    "gamma": (Positive(), lambda *own, **how: d2_tweedie_score(*own, **how, power=2)),
}


@pytest.mark.parametrize(("declaration", "metric"), D2.values(), ids=D2.keys())
def test_a_task_is_scored_by_the_deviance_of_its_loss(declaration, metric):
    X = make_features()
    y = np.floor(np.exp(X[:, 1])) + 1
    weights = np.random.default_rng(0).random(len(y)) * (np.arange(len(y)) % 5 > 0)
    model = MMoEMultiTask(**SMALL, tasks=[declaration]).fit(X, y)
    assert model.score(X, y) == pytest.approx(metric(y, model.predict(X)))
    assert model.score(X, y, weights) == pytest.approx(metric(y, model.predict(X), sample_weight=weights))


@pytest.mark.parametrize("declaration", [Ordinal(), Multiclass(focal_gamma=2.0)])
def test_classes_are_scored_by_their_log_loss(declaration):
    X = make_features()
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    weights = np.random.default_rng(0).random(len(y))
    model = MMoEMultiTask(**SMALL, tasks=[declaration]).fit(X, y)
    probabilities = model.predict_proba(X)["y0"]
    assert model.score(X, y) == pytest.approx(d2_log_loss_score(y, probabilities))
    assert model.score(X, y, weights) == pytest.approx(d2_log_loss_score(y, probabilities, sample_weight=weights))


def test_score_of_several_kinds_is_their_mean():
    X = make_features()
    y = np.column_stack([np.exp(X[:, 0]), X[:, 1], np.digitize(X[:, 2], [-0.5, 0.5])])
    y[::4, 1] = np.nan
    there = np.isfinite(y[:, 1])
    tasks = {"price": "positive", "delay": Regression("quantile", 0.9), "grade": "ordinal"}
    model = MMoEMultiTask(**SMALL, tasks=tasks).fit(X, y)
    predicted = model.predict(X)
    expected = [
        d2_tweedie_score(y[:, 0], predicted[:, 0], power=2),
        # with weights, as scikit-learn before 1.8 has other quantiles without
        d2_pinball_score(y[there, 1], predicted[there, 1], sample_weight=np.ones(there.sum()), alpha=0.9),
        d2_log_loss_score(y[:, 2], model.predict_proba(X)["grade"]),
    ]
    assert model.score(X, y) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("declaration", [declaration for declaration, _ in D2.values()], ids=D2.keys())
def test_labels_without_weight_do_not_make_a_constant_target_vary(declaration):
    X = make_features()
    y = np.floor(np.exp(X[:, 1])) + 1
    model = MMoEMultiTask(**SMALL, tasks=[declaration]).fit(X, y)
    constant = np.where(np.arange(len(y)) < 50, 3.0, 4.0)
    assert model.score(X, constant, (constant == 3.0).astype(float)) == 0.0


def test_regressor_learns_positive_numbers_and_keeps_r2():
    X = make_features(200)
    y = np.exp(X[:, 0])
    options = {"max_epochs": 60, "learning_rate": 0.02, "numeric_embeddings": None}
    model = MMoERegressor(**{**SMALL, **options}, loss="gamma").fit(X, y)
    assert (model.predict(X) > 0).all()
    assert model.score(X, y) == pytest.approx(r2_score(y, model.predict(X)))
    assert model.score(X, y) > 0.8


@pytest.mark.parametrize("kind", ["positive", Positive(), Regression(loss="gamma")])
def test_positive_numbers_alone_have_no_probabilities(kind):
    model = MMoEMultiTask(**SMALL, tasks=[kind])
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model.fit(make_features(), np.exp(make_features()[:, 0])), "predict_proba")
    assert hasattr(MMoEMultiTask(tasks=[kind, "ordinal"]), "predict_proba")
