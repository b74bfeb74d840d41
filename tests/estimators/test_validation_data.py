"""Validation data of the user: what it decides, and what of it is refused."""

import numpy as np
import pytest
from helpers import (
    N_ROWS,
    QUICK,
    all_three,
    assert_same_model,
    assert_unfitted,
    changed,
    make_features,
    make_model,
    make_targets,
    task_name,
)

from sklearn_mmoe.exceptions import DivergenceError


@all_three
def test_validation_data_of_the_user_decides_when_to_stop(name):
    """Validation rows whose labels belong to other rows get worse when the model gets better: the start was best."""
    X, y = make_features(), make_targets(name)
    quick = {**QUICK, "learning_rate_schedule": "constant"}
    model = make_model(name, **{**quick, "early_stopping": "auto"}, n_iter_no_change=2)
    model.fit(X[:40], y[:40], X_val=-2 * X[:40], y_val=y[:40])
    losses = [-score for score in model.validation_scores_]
    best = int(np.argmin(losses))
    assert model.n_iter_ == len(losses) < 40
    shorter = make_model(name, **{**quick, "early_stopping": False, "max_epochs": best + 1}).fit(X[:40], y[:40])
    assert_same_model(model, shorter)


@all_three
def test_validation_data_is_watched_but_does_not_train(name):
    X, y = make_features(), make_targets(name)
    watched = make_model(name, early_stopping=False).fit(X, y, X_val=X[:20], y_val=y[:20])
    plain = make_model(name, early_stopping=False).fit(X, y)
    assert len(watched.validation_scores_) == 3
    assert plain.validation_scores_ is None
    assert_same_model(watched, plain)


@all_three
def test_weights_of_validation_data_count(name):
    X, y = make_features(), make_targets(name)
    rows = {"X_val": X[:20], "y_val": y[:20]}
    weights = np.repeat([1.0, 0.0], 10)
    weighted = make_model(name).fit(X, y, **rows, sample_weight_val=weights)
    first_ten = make_model(name).fit(X, y, X_val=X[:10], y_val=y[:10])
    np.testing.assert_allclose(weighted.validation_scores_, first_ten.validation_scores_, rtol=1e-5)
    assert not np.allclose(weighted.validation_scores_, make_model(name).fit(X, y, **rows).validation_scores_)


@all_three
def test_the_class_weights_and_task_weights_leave_the_validation_loss_alone(name):
    X, y = make_features(), make_targets(name)
    weights = [100.0, *[1.0] * (y.shape[1] - 1)]
    model = make_model(name, task_weights=weights).fit(X, y, X_val=X, y_val=y)
    last = model.history_[-1]
    np.testing.assert_allclose(last["valid_loss"], np.mean(list(last["valid_losses"].values())), rtol=1e-5)
    assert not np.isclose(last["train_loss"], np.mean(list(last["train_losses"].values())), rtol=1e-3)


# --------------------------------------------------------------------------------------------------------------------
# Bad validation data


@all_three
def test_validation_data_needs_both_halves(name):
    X, y = make_features(), make_targets(name)
    with pytest.raises(ValueError, match="X_val is given but y_val is not"):
        make_model(name).fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="y_val is given but X_val is not"):
        make_model(name).fit(X, y, y_val=y)


@all_three
def test_weights_of_validation_data_need_validation_data(name):
    with pytest.raises(ValueError, match="sample_weight_val"):
        make_model(name).fit(make_features(), make_targets(name), sample_weight_val=np.ones(N_ROWS))


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda X, y: {"X_val": X[:, :3]}, "X has 3 features, but MMoE.* is expecting 4"),
        (lambda X, y: {"X_val": np.sign(X) * np.inf}, "Input X_val contains infinity in columns 0, 1, 2, 3"),
        (lambda X, y: {"y_val": y[:-1]}, r"X_val of shape \(60, 4\), y_val of shape \(59, \d\)"),
        (lambda X, y: {"y_val": changed(y, 3, 1, np.inf)}, "Input y_val contains infinity"),
        (lambda X, y: {"y_val": y[:, :1]}, "y_val|tasks"),
        (lambda X, y: {"sample_weight_val": -np.ones(N_ROWS)}, "Negative values in data passed to `sample_weight_val`"),
        (lambda X, y: {"sample_weight_val": np.ones(3)}, "sample_weight_val must be of shape"),
    ],
)
@all_three
def test_validation_data_is_checked(name, spoil, match):
    X, y = make_features(), make_targets(name)
    model = make_model(name)
    with pytest.raises(ValueError, match=match):
        model.fit(X, y, **{"X_val": X, "y_val": y, **spoil(X, y)})
    assert_unfitted(model)


@pytest.mark.parametrize("name", ["classifier", "multitask"])
def test_validation_data_with_a_label_that_training_does_not_know(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name)
    with pytest.raises(ValueError, match=f"Task '{task_name(name, 0)}' has labels that are not among its classes: 9.0"):
        model.fit(X, y, X_val=X, y_val=changed(y, 3, 0, 9))
    assert_unfitted(model)


@all_three
def test_validation_data_without_any_label_cannot_decide_anything(name):
    X, y = make_features(), make_targets(name)
    with pytest.raises(ValueError, match="y_val"):
        make_model(name).fit(X, y, X_val=X, y_val=np.full(y.shape, np.nan))


@pytest.mark.parametrize("value", [1e300, -1e300, 1e25])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_label_far_outside_the_scale_is_told_as_one(value, dtype):
    """Its squared error is no float, which is no fault of the learning rate."""
    if dtype == "float64" and abs(value) < 1e100:
        value *= 1e150
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor", dtype=dtype)
    with pytest.raises(ValueError, match=r"Task 'y1' has a label of -?1e\+\d+ in y_val, too far from .* of mean"):
        model.fit(X, y, X_val=X, y_val=changed(y, 3, 1, value))
    assert_unfitted(model)
    weights = changed(np.ones_like(y), 3, 1, 0.0)  # a label that weighs nothing may be anything
    model.fit(X, y, X_val=X, y_val=changed(y, 3, 1, value), sample_weight_val=weights)
    with pytest.raises(ValueError, match=r"Task 'y1' has a label of -?1e\+\d+ in y, too far"):
        model.set_params(warm_start=True).fit(X, changed(y, 3, 1, value))


def test_features_far_larger_than_those_trained_on_are_told_as_such():
    X, y = make_features(), make_targets("regressor")
    with pytest.raises(
        DivergenceError, match=r"validation loss of task 'y\d' is (inf|nan) in epoch 1, as it is of feat"
    ):
        make_model("regressor", numeric_embeddings=None).fit(X, y, X_val=3e38 * np.sign(X), y_val=y)


def test_labels_outside_the_scale_that_are_no_nonsense():
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor").fit(X, y, X_val=X, y_val=changed(y, 3, 1, 1e9))
    assert np.isfinite(model.validation_scores_).all()
