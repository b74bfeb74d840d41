"""A ridge regression beside the network: what it is, how large its share is, and wherever a model goes with it."""

import numpy as np
import pytest
import torch
from helpers import make_features, make_model, make_targets
from numpy.testing import assert_allclose
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, PredefinedSplit, cross_val_predict

from sklearn_mmoe import MMoEMultiTask, MMoERegressor
from sklearn_mmoe._features.tensors import TensorRows
from sklearn_mmoe._held_out import blending
from sklearn_mmoe._held_out.blending import ALPHAS, Seen, best_blend, ridge_regressions
from sklearn_mmoe._training.losses import HELD_OUT, TRAINED_ON

LINEAR = {"n_experts": 2, "expert_layer_sizes": (8,), "max_epochs": 2, "random_state": 0}


def seen(n_rows=40, n_inputs=3, n_tasks=2, n_members=2, seed=0, roles=None):
    """Rows whose labels are linear but for noise, some of them missing; a network knows that as well as lines do."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(5.0, 2.0, (n_rows, n_inputs))
    truth = inputs @ rng.normal(size=(n_inputs, n_tasks)) + 3
    labels = truth + 0.5 * rng.normal(size=truth.shape)
    weights = rng.uniform(1, 2, truth.shape) * (rng.random(truth.shape) < 0.8)
    outputs = truth[:, None] + 0.3 * rng.normal(size=(n_rows, n_members, n_tasks))
    return Seen(inputs, outputs, labels * (weights > 0), weights, np.empty((n_rows, 0)) if roles is None else roles)


def test_each_line_is_the_ridge_regression_that_is_best_when_rows_are_left_out_in_turn():
    rows = seen()
    lines = ridge_regressions(rows)
    for task in range(2):
        own = rows.weights[:, task] > 0
        X, y, weight = rows.inputs[own], rows.labels[own, task], rows.weights[own, task]
        mean = np.average(X, axis=0, weights=weight)
        X = (X - mean) / np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
        errors = [
            weight
            @ (y - cross_val_predict(Ridge(alpha), X, y, cv=LeaveOneOut(), params={"sample_weight": weight})) ** 2
            for alpha in ALPHAS
        ]
        best = Ridge(ALPHAS[np.argmin(errors)]).fit(X, y, weight)
        assert_allclose(lines(rows.inputs)[own, task], best.predict(X), rtol=1e-6)


def test_the_share_leaves_the_least_squared_error_on_rows_that_were_held_out():
    rows, first = seen(80), np.arange(80) < 40
    train, valid = rows.of(first), rows.of(~first)
    share, lines = best_blend(train, valid)

    def error(share):
        answers = share * lines(valid.inputs) + (1 - share) * valid.outputs.mean(axis=1)
        return np.average((answers - valid.labels) ** 2, axis=0, weights=valid.weights).sum()

    assert 0 < share < 1
    assert error(share) < min(error(share - 1e-3), error(share + 1e-3))


def test_each_member_is_asked_for_the_rows_that_it_left_out():
    roles = np.where(np.arange(40)[:, None] % 2 == [0, 1], HELD_OUT, TRAINED_ON).astype(float)
    rows = seen(roles=roles)
    share, lines = best_blend(rows, None)
    apart = gain = 0.0
    total = rows.weights.sum(axis=0)
    for member in range(2):
        own, others = roles[:, member] == HELD_OUT, roles[:, member] == TRAINED_ON
        found = ridge_regressions(rows.of(others))(rows.inputs[own]) - rows.outputs[own, member]
        weights = rows.weights[own] / total
        apart += (weights * found**2).sum()
        gain += (weights * found * (rows.labels[own] - rows.outputs[own, member])).sum()
    assert share == pytest.approx(gain / apart)
    assert_allclose(lines.weight, ridge_regressions(rows).weight)


@pytest.mark.parametrize(("scale", "share"), [(1.0, 0.0), (-1.0, 0.95)])
def test_a_share_is_from_none_to_nearly_all(scale, share):
    """Of a network that knows the labels, and of one that says the opposite of what lines say."""
    rows = seen()
    outputs = np.repeat((scale * rows.labels)[:, None], 2, axis=1)
    if scale < 0:
        rows = rows._replace(labels=ridge_regressions(rows)(rows.inputs))
    assert best_blend(rows, rows._replace(outputs=outputs))[0] == pytest.approx(share)


def test_a_task_without_labels_and_constant_inputs_have_no_line():
    rows = seen()
    rows.weights[:, 1] = 0
    rows.inputs[:, 2] = 0.1
    lines = ridge_regressions(rows)
    assert np.all(lines.weight[:, 1] == 0)
    assert lines.bias[1] == 0
    assert lines.weight[2, 0] == 0
    assert np.isfinite(lines.bias).all()


# --------------------------------------------------------------------------------------------------------------------
# In models


@pytest.mark.parametrize("n_rows", [200, 3000])
def test_what_is_linear_is_learned_by_many_columns_of_few_rows(n_rows):
    """Below 1,000 rows folds say how much, above a part."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 60))
    y = X @ rng.normal(size=(60, 2)) * [1, 100] + [0, 1000]
    model = MMoERegressor(**LINEAR).fit(X[: n_rows // 2], y[: n_rows // 2])
    without = MMoERegressor(linear_part=False, **LINEAR).fit(X[: n_rows // 2], y[: n_rows // 2])
    assert model.linear_share_ > 0.9
    assert without.linear_share_ == 0
    assert model.score(X[n_rows // 2 :], y[n_rows // 2 :]) > max(
        0.95, without.score(X[n_rows // 2 :], y[n_rows // 2 :])
    )


def test_folds_that_are_dealt_out_in_turn_are_all_seen(monkeypatch):
    """As PredefinedSplit may: of every fourth row, one member has left out all, and the others none."""
    monkeypatch.setattr(blending, "ROWS", 100)
    monkeypatch.setattr(blending, "FEWEST_ROWS", 100)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    split = PredefinedSplit(np.arange(400) % 4)
    model = MMoERegressor(validation_split=split, **LINEAR).fit(X, X @ rng.normal(size=(3, 2)))
    assert model.linear_share_ > 0.9


def test_answers_are_the_mean_of_both_in_these_shares():
    X = make_features()
    y = np.column_stack([X[:, 0] + X[:, 1] ** 2, X[:, 1] + np.abs(X[:, 2])])
    options = {"early_stopping": True, "max_epochs": 30}
    model, without = (make_model("regressor", linear_part=own, **options).fit(X, y) for own in (True, False))
    share, linear_part = model.linear_share_, model.module_.linear_part
    assert 0 < share < 0.95
    with torch.no_grad():
        inputs = linear_part.inputs(torch.tensor(X, dtype=torch.float32), None, model.module_.numeric_embeddings)
        linear = (inputs @ linear_part.weight[0] + linear_part.bias[0]).numpy()
    scales = np.array([[task.location, task.scale] for task in model._tasks]).T
    expected = (1 - share) * without.predict(X) + linear * scales[1] + share * scales[0]
    assert_allclose(model.predict(X), expected, rtol=1e-4)


def test_only_tasks_of_which_a_mean_is_the_answer_are_blended():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 5))
    y = np.column_stack([X[:, 0], np.exp(X[:, 1]), X[:, 2] > 0])
    model, without = (
        MMoEMultiTask(tasks=["regression", "positive", "binary"], linear_part=own, **LINEAR).fit(X, y)
        for own in (True, False)
    )
    assert model.linear_share_ > 0
    assert_allclose(model.predict(X)[:, 1:].astype(float), without.predict(X)[:, 1:].astype(float), rtol=1e-5)
    assert not np.allclose(model.predict(X)[:, 0].astype(float), without.predict(X)[:, 0].astype(float))


@pytest.mark.parametrize(
    "parameters",
    [{"loss": "quantile"}, {"numeric_embeddings": None}, {"early_stopping": False}, {"loss": "absolute_error"}],
    ids=str,
)
def test_where_there_is_none(parameters):
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor", **{"early_stopping": True, **parameters}).fit(X, y)
    assert model.linear_share_ == 0
    assert model.module_.linear_part is None


def test_more_training_keeps_the_linear_part():
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor", early_stopping=True, warm_start=True).fit(X, y)
    share, weight = model.linear_share_, model.module_.linear_part.weight.clone()
    model.fit(X, y).partial_fit(X, y)
    assert model.linear_share_ == share > 0
    assert torch.equal(model.module_.linear_part.weight, weight)


def test_answers_stay_where_the_scales_of_tasks_change():
    """`partial_fit` takes labels on scales that know those of the call; next to nothing is trained."""
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor", early_stopping=True, random_state=0).fit(X, y)
    before = model.predict(X)
    model.set_params(learning_rate=1e-12).partial_fit(X, y * 10 + 5)
    assert model.linear_share_ > 0
    assert_allclose(model.predict(X), before, rtol=1e-3, atol=1e-3)


def test_what_is_far_out_goes_on_and_stays_a_number():
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor", early_stopping=True).fit(X, y)
    far = np.full((1, X.shape[1]), 3e38)
    assert np.isfinite(model.predict(far)).all()


@pytest.mark.parametrize("rows", [None, torch.arange(2400).flip(0)])
def test_a_sample_of_hours_in_turn_has_all_of_them(rows):
    hours = torch.arange(2400) % 24
    X, y = TensorRows(hours.unsqueeze(1).float(), hours.unsqueeze(1).float(), rows).sample(100)
    assert len(X) == 100
    assert len(X.unique()) > 20
    assert torch.equal(X, y)
