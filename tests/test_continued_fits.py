"""Fits that go on where another ended: `warm_start` and `partial_fit`."""

from contextlib import suppress

import numpy as np
import pytest
from helpers import (
    KINDS,
    N_ROWS,
    all_three,
    assert_other_model,
    assert_same_model,
    make_features,
    make_labels,
    make_model,
    make_targets,
    make_weights,
    outputs_of,
    with_missing,
)
from sklearn.base import clone


@all_three
def test_warm_start_goes_on_where_the_last_fit_ended(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name, warm_start=True).fit(X, y)
    curve, outputs = model.loss_curve_, outputs_of(model, X)
    model.set_params(learning_rate=1e-12, weight_decay=0.0).fit(X, y)
    assert len(model.loss_curve_) == model.n_iter_ == 6
    assert model.loss_curve_[:3] == curve
    np.testing.assert_allclose(outputs_of(model, X), outputs, rtol=1e-4, atol=1e-6)
    assert_other_model(model, make_model(name, learning_rate=1e-12).fit(X, y))


@all_three
def test_warm_start_lowers_the_loss_further(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name, warm_start=True, learning_rate=0.01).fit(X, y)
    before = model.loss_curve_[-1]
    assert model.fit(X, y).loss_curve_[-1] < before


@all_three
def test_without_warm_start_a_second_fit_starts_afresh(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name).fit(X[:30], y[:30]).fit(X, y)
    assert len(model.loss_curve_) == 3
    assert_same_model(model, make_model(name).fit(X, y))


@all_three
@pytest.mark.parametrize(
    "change", [{"n_experts": 3}, {"expert_layer_sizes": (8, 8)}, {"tower_layer_sizes": ()}, {"gating": "shared"}]
)
def test_warm_start_with_another_architecture_is_an_error_that_says_so(name, change):
    X, y = make_features(), make_targets(name)
    model = make_model(name, warm_start=True).fit(X, y)
    outputs = outputs_of(model, X)
    with pytest.raises(ValueError, match="warm_start"):
        model.set_params(**change).fit(X, y)
    np.testing.assert_array_equal(outputs_of(model, X), outputs)


@pytest.mark.parametrize("change", [{"dtype": "float64"}, {"optimizer": "sgd"}, {"batch_size": 7}, {"dropout": 0.1}])
@all_three
def test_warm_start_with_other_ways_of_training_goes_on(name, change):
    X, y = make_features(), make_targets(name)
    model = make_model(name, warm_start=True).fit(X, y)
    outputs = outputs_of(model, X)
    model.set_params(**change, learning_rate=1e-9, weight_decay=0.0).fit(X, y)
    np.testing.assert_allclose(outputs_of(model, X), outputs, rtol=1e-3, atol=1e-5)


def test_warm_start_with_another_loss_does_not_keep_the_old_one():
    """Either the new loss is used, or an error says that a warm start keeps the old one."""
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor", warm_start=True).fit(X, y)
    kept = clone(model).fit(X, y).fit(X, y)
    with suppress(ValueError):
        model.set_params(loss="absolute_error").fit(X, y)
    assert model.n_iter_ == 3 or model.loss_curve_[3:] != kept.loss_curve_[3:]


def test_warm_start_with_other_kinds_of_tasks_does_not_keep_the_old_ones():
    X, y = make_features(), make_targets("multitask")
    model = make_model("multitask", warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="tasks"):
        model.set_params(tasks={**KINDS, "visits": "multiclass"}).fit(X, y)


@all_three
def test_warm_start_refuses_other_columns(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features"):
        model.fit(X[:, :3], y)
    with pytest.raises(ValueError, match="tasks"):
        model.fit(X, y[:, :1])


def test_warm_start_refuses_labels_that_it_does_not_know():
    X, y = make_features(), make_targets("classifier")
    model = make_model("classifier", warm_start=True).fit(X, y)
    y[0, 1] = 9
    with pytest.raises(ValueError, match=r"'y1'.*not among its classes: 9"):
        model.fit(X, y)


# --------------------------------------------------------------------------------------------------------------------
# partial_fit


def first_call(name):
    """What the first `partial_fit` needs to know of a target."""
    return {
        "regressor": {},
        "classifier": {"classes": [[0, 1], [0, 1, 2]]},
        "multitask": {"classes": {"up": [0.0, 1.0]}},
    }[name]


@all_three
def test_partial_fit_learns_over_its_calls(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name, learning_rate=0.02)
    assert model.partial_fit(X, y, **first_call(name)) is model
    for _ in range(19):
        model.partial_fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 20
    assert model.loss_curve_[-1] < 0.8 * model.loss_curve_[0]


@all_three
def test_partial_fit_equals_itself_with_the_same_seed_only(name):
    X, y = make_features(), make_targets(name)

    def learn(seed):
        model = make_model(name, random_state=seed).partial_fit(X[:30], y[:30], **first_call(name))
        return model.partial_fit(X[30:], y[30:])

    assert_same_model(learn(0), learn(0))
    assert_other_model(learn(0), learn(1))


@all_three
def test_partial_fit_goes_on_after_fit(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name).fit(X, y)
    curve, outputs = model.loss_curve_, outputs_of(model, X)
    model.set_params(learning_rate=1e-12, weight_decay=0.0).partial_fit(X, y)
    assert model.loss_curve_[:-1] == curve
    np.testing.assert_allclose(outputs_of(model, X), outputs, rtol=1e-4, atol=1e-6)


@all_three
def test_fit_after_partial_fit_starts_afresh(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name).partial_fit(X, y, **first_call(name)).fit(X, y)
    assert model.n_iter_ == 3
    assert_same_model(model, make_model(name).fit(X, y))


@all_three
def test_partial_fit_is_one_epoch_whatever_the_early_stopping(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name, early_stopping=True).partial_fit(X, y, **first_call(name))
    assert (model.n_iter_, model.validation_scores_) == (1, None)
    assert_same_model(model, make_model(name, early_stopping=False).partial_fit(X, y, **first_call(name)))


def test_partial_fit_knows_the_classes_that_its_first_rows_do_not_show():
    X, y = make_features(), make_labels()
    only_yes = np.flatnonzero(y == "yes")[:10]
    model = make_model("classifier").partial_fit(X[only_yes], y[only_yes], classes=["no", "yes"])
    assert list(model.classes_) == ["no", "yes"]
    assert model.partial_fit(X, y).predict_proba(X).shape == (N_ROWS, 2)


def test_partial_fit_of_one_class_only_is_an_error_without_classes():
    X, y = make_features(), make_labels()
    with pytest.raises(ValueError, match="'y0' has only one class"):
        make_model("classifier").partial_fit(X[y == "yes"], y[y == "yes"])


def test_partial_fit_with_a_single_class_given_is_an_error_or_predicts_that_class():
    X = make_features()
    model = make_model("classifier")
    with suppress(ValueError):
        model.partial_fit(X, np.full(N_ROWS, 7), classes=[7])
        assert model.predict_proba(X).shape == (N_ROWS, 1)
        assert set(model.predict(X)) == {7}


@pytest.mark.parametrize("name", ["classifier", "multitask"])
def test_partial_fit_refuses_an_unseen_label_and_stays_as_it_was(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name).partial_fit(X, y, **first_call(name))
    undisturbed = make_model(name).partial_fit(X, y, **first_call(name)).partial_fit(X, y)
    bad = y.copy()
    bad[3, 0] = 5
    with pytest.raises(ValueError, match="labels that are not among its classes: 5"):
        model.partial_fit(X, bad)
    assert model.n_iter_ == 1
    assert_same_model(model.partial_fit(X, y), undisturbed)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("classifier", [[0, 1]]),
        ("classifier", [0, 1, 2]),
        ("multitask", {"down": [0.0, 1.0]}),
        ("multitask", [[0.0, 1.0], None, None]),
        ("multitask", {"level": [0.0, 1.0]}),
    ],
)
def test_partial_fit_refuses_classes_that_do_not_fit_the_tasks(name, classes):
    with pytest.raises(ValueError, match="classes"):
        make_model(name).partial_fit(make_features(), make_targets(name), classes=classes)


@all_three
def test_partial_fit_takes_missing_labels_and_a_whole_task_without_any_later(name):
    X, y = make_features(), with_missing(make_targets(name))
    model = make_model(name).partial_fit(X, y, **first_call(name))
    y[:, 1] = np.nan
    before = outputs_of(model, X)
    model.partial_fit(X, y)
    assert np.isfinite(outputs_of(model, X)).all()
    assert not np.array_equal(outputs_of(model, X), before)


@all_three
def test_partial_fit_uses_its_weights(name):
    X, y, weights = make_features(), make_targets(name), make_weights()
    weighted = make_model(name).partial_fit(X, y, **first_call(name), sample_weight=weights)
    assert_other_model(weighted, make_model(name).partial_fit(X, y, **first_call(name)))
