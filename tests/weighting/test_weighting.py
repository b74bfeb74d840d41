"""Weights of tasks that are learned or that follow the losses: values on paper, and a life in the estimators."""

import math

import numpy as np
import pytest
import torch
from helpers import (
    all_three,
    assert_same_model,
    fitted,
    make_features,
    make_model,
    make_targets,
    round_trips,
    task_name,
)

from sklearn_mmoe import MMoEMultiTask, MMoERegressor
from sklearn_mmoe.weighting import DynamicWeightAverage, FixedWeights, UncertaintyWeights

ADAPTIVE = ["uncertainty", "dwa"]
adaptive = pytest.mark.parametrize("scheme", ADAPTIVE)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def uncertainty(likelihoods, log_variances):
    weighting = UncertaintyWeights(likelihoods, dtype=torch.float64)
    with torch.no_grad():
        weighting.log_variances.copy_(tensor(*log_variances))
    return weighting


# --------------------------------------------------------------------------------------------------------------------
# Right on paper


def test_fixed_weights():
    assert FixedWeights([0.5, 1.5], dtype=torch.float64)(tensor(2, 4)) == (0.5 * 2 + 1.5 * 4) / 2


@pytest.mark.parametrize(
    ("log_variances", "loss", "weights"),
    [
        # half the squared error, the whole of another loss
        ((0, 0), (0.5 * 2 + 0.5) / 2, (2 / 3, 4 / 3)),
        # a doubled variance halves, a halved one doubles; the two logarithms cancel out
        ((math.log(2), -math.log(2)), (0.5 * 2 / 2 + 2 * 0.5) / 2, (0.25 / 1.125, 2 / 1.125)),
    ],
)
def test_uncertainty(log_variances, loss, weights):
    weighting = uncertainty([0.5, 1.0], log_variances)
    assert weighting(tensor(2, 0.5)).item() == pytest.approx(loss)
    assert weighting.task_weights().tolist() == pytest.approx(weights)


def test_uncertainty_settles_where_a_weight_is_the_inverse_of_the_loss():
    losses = tensor(2, 0.1)
    weighting = uncertainty([0.5, 1.0], [math.log(2 * 0.5 * 2), math.log(2 * 1.0 * 0.1)])
    weighting(losses).backward()
    assert weighting.log_variances.grad.tolist() == pytest.approx([0, 0])
    assert (weighting.task_weights() * losses).tolist() == pytest.approx([2 / 10.5] * 2)


def test_a_task_without_a_label_does_not_move_its_variance():
    weighting = uncertainty([1.0, 1.0], [0.5, 0.5])
    loss = weighting(tensor(3, 0), tensor(7, 0))
    loss.backward()
    assert loss.item() == pytest.approx((3 * math.exp(-0.5) + 0.25) / 2)
    assert weighting.log_variances.grad[1] == 0


def test_dynamic_weight_average():
    weighting = DynamicWeightAverage(2, dtype=torch.float64)
    assert weighting.end_epoch(tensor(4, 1)).tolist() == [1, 1]
    assert weighting.end_epoch(tensor(1, 1)).tolist() == [1, 1]
    slow, fast = math.exp(1 / 2), math.exp(0.25 / 2)  # one loss stands still, one falls to a quarter
    weights = [2 * fast / (slow + fast), 2 * slow / (slow + fast)]
    assert weighting.task_weights().tolist() == pytest.approx(weights)
    assert weighting(tensor(3, 5)).item() == pytest.approx((weights[0] * 3 + weights[1] * 5) / 2)
    assert weighting.end_epoch(tensor(1, 0.5)).tolist() == pytest.approx(weights)


@pytest.mark.parametrize("last", [0.0, -1.0])
def test_dynamic_weight_average_takes_a_loss_that_has_no_rate_as_one_that_stands_still(last):
    weighting = DynamicWeightAverage(2, dtype=torch.float64)
    weighting.end_epoch(tensor(2, 2))
    weighting.end_epoch(tensor(2, last))
    assert weighting.task_weights().tolist() == [1, 1]


# --------------------------------------------------------------------------------------------------------------------
# In the estimators


@pytest.fixture(scope="module")
def signal_and_noise():
    """A regression that is easily learned, and a coin that nobody foresees."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    return X, np.column_stack([X[:, 0], rng.integers(2, size=400)])


def mixed(scheme, **parameters):
    return MMoEMultiTask(
        **{
            "tasks": {"easy": "regression", "coin": "binary"},
            "task_weights": scheme,
            "numeric_embeddings": None,
            "n_members": 1,
            "n_experts": 2,
            "expert_layer_sizes": (8,),
            "learning_rate": 0.02,
            "max_epochs": 30,
            "early_stopping": False,
            "random_state": 0,
            **parameters,
        }
    )


def test_log_variances_take_either_sign(signal_and_noise):
    model = mixed("uncertainty", max_epochs=60).fit(*signal_and_noise)
    easy, coin = model.net_.weighting_.log_variances.tolist()
    assert easy < -0.5 < 0 < coin < math.log(2 * math.log(2)) + 0.1  # the log-loss of a coin is log(2)
    assert model.task_weights_[0] > 1 > model.task_weights_[1] > 0


def test_log_variances_do_not_decay(signal_and_noise):
    model = mixed("uncertainty", weight_decay=1.0, learning_rate=1e-9, max_epochs=2).fit(*signal_and_noise)
    own, others = sorted(model.net_.optimizer_.param_groups, key=lambda group: group["weight_decay"])
    assert (own["weight_decay"], others["weight_decay"]) == (0.0, 1.0)
    (parameter,) = own["params"]
    assert parameter is model.net_.weighting_.log_variances


def test_dynamic_weights_follow_from_the_history(signal_and_noise):
    history = mixed("dwa", max_epochs=5).fit(*signal_and_noise).history_
    losses = [list(row["train_losses"].values()) for row in history]
    for epoch in range(2, 5):
        rates = np.exp(np.divide(losses[epoch - 1], losses[epoch - 2]) / 2)
        assert list(history[epoch]["task_weights"].values()) == pytest.approx(2 * rates / rates.sum(), rel=1e-5)
    assert history[1]["task_weights"] == {"easy": 1, "coin": 1}
    assert history[4]["task_weights"] != history[3]["task_weights"]


@adaptive
@all_three
def test_the_validation_part_is_scored_without_weights(name, scheme):
    model = fitted(name, task_weights=scheme, early_stopping=True, max_epochs=6, learning_rate=0.02)
    for row, score in zip(model.history_, model.validation_scores_, strict=True):
        assert row["valid_loss"] == pytest.approx(np.mean(list(row["valid_losses"].values())))
        assert score == -row["valid_loss"]
    assert model.task_weights_.shape == (model.n_outputs_,)
    assert model.task_weights_.mean() == pytest.approx(1)
    assert set(model.history_[-1]["task_weights"]) == set(model.task_names_)


def test_the_best_epoch_brings_its_weights_back(signal_and_noise):
    options = {"early_stopping": True, "learning_rate": 0.1, "n_iter_no_change": 5}
    model = mixed("uncertainty", **options).fit(*signal_and_noise)
    best = int(np.argmax(model.validation_scores_))
    assert best < model.n_iter_ - 1
    assert model.task_weights_.tolist() == list(model.history_[best]["task_weights"].values())
    assert model.task_weights_.tolist() != list(model.history_[-1]["task_weights"].values())


@adaptive
@round_trips
def test_what_is_learned_of_the_weights_is_saved(signal_and_noise, scheme, there_and_back):
    X, y = signal_and_noise
    model = mixed(scheme, max_epochs=4).fit(X, y)
    again = there_and_back(model)
    np.testing.assert_array_equal(again.task_weights_, model.task_weights_)
    for _ in range(2):
        model.partial_fit(X, y)
        again.partial_fit(X, y)
    assert model.history_[-1]["task_weights"] == again.history_[-1]["task_weights"] != {"easy": 1, "coin": 1}
    np.testing.assert_array_equal(model.predict(X), again.predict(X))


@adaptive
def test_warm_start_goes_on_with_the_weights(signal_and_noise, scheme):
    X, y = signal_and_noise
    options = {"shuffle": False, "learning_rate_schedule": "constant"}
    once = mixed(scheme, max_epochs=6, **options).fit(X, y)
    twice = mixed(scheme, max_epochs=3, **options, warm_start=True).fit(X, y).fit(X, y)
    assert twice.history_[-1]["task_weights"] == once.history_[-1]["task_weights"]
    np.testing.assert_array_equal(once.predict(X), twice.predict(X))


@adaptive
def test_weights_of_tasks_with_missing_labels(signal_and_noise, scheme):
    X, y = signal_and_noise
    y = y.copy()
    y[8:, 1] = np.nan  # most batches hold no label of the second task
    model = mixed(scheme, batch_size=16, max_epochs=5, shuffle=False).fit(X, y)
    assert np.isfinite(model.task_weights_).all()
    assert (model.task_weights_ > 0).all()


@all_three
def test_weights_of_a_scheme_change_the_model(name):
    options = {"max_epochs": 8, "learning_rate": 0.02, "numeric_embeddings": None}
    plain = fitted(name, **options)
    for scheme in ADAPTIVE:
        other = fitted(name, **options, task_weights=scheme)
        assert not np.array_equal(other.gate_weights(make_features()), plain.gate_weights(make_features()))


@adaptive
@all_three
def test_equal_seeds_give_equal_models(name, scheme):
    assert_same_model(fitted(name, task_weights=scheme), fitted(name, task_weights=scheme))


def test_weights_may_be_a_mapping_of_names():
    model = fitted("regressor", task_weights={"y1": 3, "y0": 1})
    assert_same_model(model, fitted("regressor", task_weights=[1, 3]))
    assert model.task_weights_.tolist() == [0.5, 1.5]


@all_three
def test_any_optimizer_learns_the_log_variances(name):
    for optimizer, decay in (("sgd", 1e-4), ("rmsprop", 0.0), (torch.optim.Adagrad, 0.0)):
        parameters = {"task_weights": "uncertainty", "optimizer": optimizer, "weight_decay": decay}
        model = make_model(name, **parameters).fit(make_features(), make_targets(name))
        assert (model.net_.weighting_.log_variances != 0).all()
        assert task_name(name, 0) in model.history_[-1]["task_weights"]


def test_a_single_task_with_a_scheme_is_the_task_alone():
    X, y = make_features(), make_features()[:, 0]
    plain = MMoERegressor(max_epochs=3, random_state=0).fit(X, y)
    dwa = MMoERegressor(max_epochs=3, random_state=0, task_weights="dwa").fit(X, y)
    np.testing.assert_allclose(dwa.predict(X), plain.predict(X), rtol=1e-5)
    assert dwa.task_weights_.tolist() == [1]
