"""Targets that are all the same, but for rounding, are predicted as they are, whatever the network has learned."""

import numpy as np
import onnxruntime
import pytest
from helpers import N_ROWS, SMALL, OwnHeads, make_features, make_model, round_trips

from sklearn_mmoe import MMoEMultiTask, MMoERegressor
from sklearn_mmoe.export import to_onnx
from sklearn_mmoe.metrics._affinity import gradient_cosine
from sklearn_mmoe.tasks._declared import REGRESSION_LOSSES

QUIET = {"learning_rate": 1e-12, "weight_decay": 0.0}  # steps that change nothing
VALUES = [0.0, 1.0, -1e-6, 0.1, 1e9, 1e-200, 3]


def allowed(value, loss):
    """Whether a loss takes labels of this value."""
    return {"poisson": value >= 0 and value == int(value), "gamma": value > 0}.get(loss, True)


CASES = [(loss, value) for loss in REGRESSION_LOSSES for value in VALUES if allowed(value, loss)]


def beside_another(constant, n_rows=N_ROWS):
    """A target that has something to learn, which moves the network, and a constant one."""
    other = np.exp(make_features(n_rows)[:, 0])
    return np.column_stack([np.ceil(other), np.full(n_rows, constant)])


def regressor(loss="squared_error", **options):
    return MMoERegressor(
        **{**SMALL, "tower_layer_sizes": (16,), "max_epochs": 1, "learning_rate": 0.05, **options}, loss=loss
    )


@pytest.mark.parametrize(("loss", "value"), CASES)
def test_a_constant_is_predicted_exactly(loss, value):
    X, y = make_features(), beside_another(value)
    model = regressor(["squared_error", loss]).fit(X, y)
    assert model.predict(5 * X)[:, 1].tolist() == [value] * N_ROWS
    assert np.ptp(model.predict(X)[:, 0]) > 0
    assert model.score(X, np.column_stack([model.predict(X)[:, 0], y[:, 1]])) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"n_members": 3},
        {"precision": "bf16"},
        {"dtype": "float64"},
        {"task_weights": "uncertainty"},
        {"tower_layer_sizes": (), "gating": "shared"},
        {"early_stopping": True},
    ],
)
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_whatever_the_network_is(loss, options):
    X = make_features()
    model = regressor(["squared_error", loss], **options).fit(X, beside_another(1e9))
    assert (model.predict(X)[:, 1] == 1e9).all()


@pytest.mark.parametrize("value", [1e9, -1e-6, 1 / 3, 1e100])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile", "gamma"])
def test_a_spread_of_rounding_is_none(value, loss):
    """The last digits of sums and differences are no labels to learn: a scale made of them would be noise."""
    value = abs(value)
    rng = np.random.default_rng(0)
    y = value * (1 + np.finfo(float).eps * rng.integers(-4, 5, size=N_ROWS))
    assert len(np.unique(y)) > 1
    model = regressor(loss).fit(make_features(), y)
    np.testing.assert_allclose(model.predict(make_features()), value, rtol=1e-14)
    assert model._tasks[0].is_constant


@pytest.mark.parametrize("size", [1e-250, 1e-160, 1e-6, 1e6, 1e140])
def test_a_spread_that_is_none_of_rounding_is_learned_however_small(size):
    """Squares of 1e-160 are no floats any more."""
    X = make_features()
    y = X[:, 0] + 2
    model, other = (regressor(max_epochs=10).fit(X, labels) for labels in (y * size, y))
    assert np.ptp(model.predict(X)) > 0
    np.testing.assert_allclose(model.predict(X) / size, other.predict(X), rtol=1e-5)
    assert model.score(X, y * size) == pytest.approx(other.score(X, y), rel=1e-6)


def test_missing_labels_and_labels_without_weight_do_not_make_a_target_vary():
    X, y = make_features(), beside_another(0.1)
    weights = np.ones_like(y)
    y[::3, 1], y[1::3, 1], weights[1::3, 1] = np.nan, 5.0, 0.0
    assert (regressor().fit(X, y, weights).predict(X)[:, 1] == 0.1).all()
    assert (regressor().partial_fit(X, y, weights).predict(X)[:, 1] == 0.1).all()


def test_a_single_label():
    X, y = make_features(), beside_another(0.1)
    y[1:, 1] = np.nan
    assert (regressor().fit(X, y).predict(X)[:, 1] == 0.1).all()


@pytest.mark.parametrize("kind", ["regression", "count", "positive"])
def test_declared_tasks(kind):
    X, y = make_features(), beside_another(7)
    tasks = {"level": "regression", "same": kind}
    model = MMoEMultiTask(**SMALL, tasks=tasks, numeric_embeddings=None).fit(X, y)
    assert (model.predict(X)[:, 1] == 7).all()
    assert (model.predict_frame(X)["same"] == 7).all()
    assert model.score(X, y) > 0.4  # 1 for the constant


@round_trips
def test_a_saved_model_knows(there_and_back):
    X = make_features()
    model = there_and_back(regressor(["squared_error", "poisson"]).fit(X, beside_another(0)))
    assert (model.predict(X)[:, 1] == 0).all()


def test_a_graph_knows():
    X, y = make_features(), np.column_stack([beside_another(7), np.zeros(N_ROWS)])
    model = regressor(["squared_error", "squared_error", "poisson"], n_members=2).fit(X, y)
    session = onnxruntime.InferenceSession(to_onnx(model, example=X).SerializeToString())
    same, none = session.run(["y1", "y2"], {"X": X.astype(np.float32)})
    assert (same == 7).all()
    assert (none == 0).all()


# --------------------------------------------------------------------------------------------------------------------
# One fit after the other


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
@pytest.mark.parametrize("n_members", [1, 2])
def test_predictions_stay_when_a_constant_begins_to_vary(loss, n_members):
    X, value = make_features(), 3.0
    model = regressor(["squared_error", loss], n_members=n_members).partial_fit(X, beside_another(value))
    varied = np.ceil(np.exp(make_features()[:, :2]))
    model.set_params(**QUIET).partial_fit(X, varied)
    np.testing.assert_allclose(model.predict(X)[:, 1], value, rtol=1e-5)
    model.set_params(learning_rate=0.05).partial_fit(X, varied)
    assert np.ptp(model.predict(X)[:, 1]) > 0


def test_counts_of_0_become_their_mean_when_they_begin_to_vary():
    X, y = make_features(), np.zeros(N_ROWS)
    model = regressor("poisson").partial_fit(X, y).set_params(**QUIET).partial_fit(X, y + 4)
    np.testing.assert_allclose(model.predict(X), 2, rtol=1e-5)


def test_a_target_that_varied_goes_on_varying():
    X, y = make_features(), beside_another(3.0)
    model = regressor().partial_fit(X, y[:, ::-1]).partial_fit(X, y)
    assert np.ptp(model.predict(X), axis=0).all()


@pytest.mark.parametrize("loss", ["squared_error", "quantile", "poisson", "gamma"])
def test_a_warm_start_learns_the_scale_of_a_target_that_had_none(loss):
    X, varied = make_features(), np.ceil(np.exp(make_features()[:, :2]))
    options = {"max_epochs": 30, "activation": "tanh", "numeric_embeddings": None}
    model = regressor(loss, warm_start=True, **options).fit(X, beside_another(3.0))
    learned = model._tasks[0]
    model.fit(X, beside_another(8.0))
    assert (model.predict(X)[:, 1] == 8).all()
    model.fit(X, varied)
    assert model._tasks[0] == learned  # what varied keeps its scale
    assert np.corrcoef(model.predict(X)[:, 1], varied[:, 1])[0, 1] > 0.8


def test_a_module_with_last_layers_of_its_own_learns_it_too():
    X, varied = make_features(), np.exp(make_features()[:, :2])
    model = make_model("regressor", net_params={"module": OwnHeads}).partial_fit(X, beside_another(3.0))
    assert (model.predict(X)[:, 1] == 3).all()
    for _ in range(3):
        model.partial_fit(X, varied)
    assert np.ptp(model.predict(X)[:, 1]) > 0


def test_a_validation_part_may_say_otherwise():
    """Of another value than all training labels there is nothing to predict, and nothing to fail on."""
    X, y = make_features(), beside_another(1e-6)
    model = regressor(max_epochs=3).fit(X, y, X_val=X, y_val=beside_another(2e-6))
    assert (model.predict(X)[:, 1] == 1e-6).all()


def test_gradients_of_other_labels_leave_the_model_as_it_is():
    X = make_features()
    model = regressor().fit(X, beside_another(3.0))
    gradient_cosine(model, X, np.exp(X[:, :2]), subsample=None, random_state=0)
    assert (model.predict(X)[:, 1] == 3).all()
