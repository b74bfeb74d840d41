"""Fits that go on where another ended: `warm_start` and `partial_fit`."""

from contextlib import suppress

import numpy as np
import pytest
import torch
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


class TwoLayers(torch.nn.Module):
    """A network of the user's own."""

    def __init__(self, n_features, task_outputs, **kwargs):
        super().__init__()
        self.layer = torch.nn.Linear(n_features, sum(task_outputs))

    def forward(self, x):
        return self.layer(x)


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


CHANGES = {  # of what a model is, and how it is told
    "n_members": ({"n_members": 2}, r"n_members \(1, now 2\) has"),
    "n_experts": ({"n_experts": 3, "dropout": 0.5}, r"n_experts \(2, now 3\) has"),
    "expert_layer_sizes": ({"expert_layer_sizes": (8, 8)}, r"expert_layer_sizes \(\(8,\), now \(8, 8\)\) has"),
    "gate_layer_sizes": ({"gate_layer_sizes": 3}, r"gate_layer_sizes \(\(\), now \(3,\)\) has"),
    "tower_layer_sizes": ({"tower_layer_sizes": ()}, r"tower_layer_sizes \(\(4,\), now \(\)\) has"),
    "gating": ({"gating": "shared"}, r"gating \('per_task', now 'shared'\) has"),
    "activation": ({"activation": torch.nn.Tanh}, r"activation \(ReLU, now Tanh\) has"),
    "module": ({"net_params": {"module": TwoLayers}}, r"module \(MMoE, now TwoLayers\)"),
    "final activation": (
        {"net_params": {"module__final_expert_activation": False}}, r"final_expert_activation \(True, now False\) has"
    ),
    "uncertainty": ({"task_weights": "uncertainty"}, "but task_weights has"),
    "dwa": ({"task_weights": "dwa"}, "but task_weights has"),
    "torchjd": ({"task_weights": "upgrad"}, "but task_weights has"),
    "two things": ({"n_experts": 3, "task_weights": "dwa"}, r"n_experts \(2, now 3\), task_weights have"),
}  # fmt: skip


@all_three
@pytest.mark.parametrize("go_on", ["fit", "partial_fit"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_since_the_last_fit_is_named(name, change, go_on):
    X, y = make_features(), make_targets(name)
    model = make_model(name, warm_start=True, max_epochs=1).fit(X, y)
    outputs = outputs_of(model, X)
    parameters, words = CHANGES[change]
    with pytest.raises(
        ValueError, match=f"warm_start and partial_fit go on from the weights .*{words}.* changed since"
    ):
        getattr(model.set_params(**parameters), go_on)(X, y)
    np.testing.assert_array_equal(outputs_of(model, X), outputs)


FREE = [
    *({"dtype": "float64"}, {"precision": "bf16"}, {"optimizer": "sgd"}, {"batch_size": 7}, {"shuffle": False}),
    *({"dropout": 0.1}, {"gate_dropout": 0.1}, {"gate_balance": 0.1}, {"activation": torch.nn.ReLU}),
    *({"early_stopping": True}, {"monitor": lambda *args: 1.0, "early_stopping": True}, {"n_iter_no_change": 3}),
]


@pytest.mark.parametrize("change", FREE, ids=lambda change: next(iter(change)))
@all_three
def test_warm_start_with_other_ways_of_training_goes_on(name, change):
    X, y = make_features(), make_targets(name)
    model = make_model(name, warm_start=True, max_epochs=1).fit(X, y)
    outputs = outputs_of(model, X)
    model.set_params(**change, learning_rate=1e-9, weight_decay=0.0).fit(X, y)
    assert model.n_iter_ == 2
    np.testing.assert_allclose(outputs_of(model, X), outputs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("weights", [([1, 2], [2, 1]), (None, [1, 3]), ("upgrad", "mgda")], ids=str)
def test_weights_of_tasks_that_are_not_learned_may_change(weights):
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor", warm_start=True, task_weights=weights[0]).fit(X, y)
    assert model.set_params(task_weights=weights[1]).fit(X, y).n_iter_ == 6


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
