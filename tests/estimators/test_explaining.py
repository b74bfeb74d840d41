"""Tools of others that explain models: they are right, task by task, but for two that are wrong for gated networks.

The user guide, docs/user_guide/explaining.md, says so; here it is held.
"""

import warnings
from functools import cache
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    KINDS,
    QUICK,
    all_three,
    changed,
    fitted,
    make_features,
    make_labels,
    make_model,
    make_targets,
    task_name,
    with_missing,
)
from numpy.testing import assert_allclose, assert_array_equal
from reference import TextbookMMoE, copy_weights
from sklearn.base import RegressorMixin, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import PartialDependenceDisplay, partial_dependence, permutation_importance
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoEClassifier, MMoERegressor
from sklearn_mmoe.datasets import make_related_tasks
from sklearn_mmoe.metrics import make_task_scorer, multi_task_scoring

pytestmark = pytest.mark.no_cover

NEEDED = {  # features that each task of `make_targets` is made of
    "regressor": [{0, 1}, {2}],
    "classifier": [{0}, {1}],
    "multitask": [{0}, {0, 1}, {2}],
}


class Numbers(RegressorMixin, FrozenEstimator):
    """The answers of a fitted model as numbers: of classifications, the probability of the second class."""

    def predict(self, X):
        model = self.estimator
        if isinstance(model, MMoERegressor):
            return model.predict(X)
        if isinstance(model, MMoEClassifier):
            return np.column_stack([proba[:, 1] for proba in model.predict_proba(X)])
        return model.predict_frame(X).assign(up=model.predict_proba(X)["up"][:, 1]).to_numpy()


# --------------------------------------------------------------------------------------------------------------------
# Importances


@all_three
def test_importances_of_all_tasks_come_from_one_call(name):
    X, y = make_features(), with_missing(make_targets(name))
    model = make_model(name, **QUICK).fit(X, y)
    importances = permutation_importance(model, X, y, scoring=multi_task_scoring(model), n_repeats=5, random_state=0)
    assert list(importances) == [*model.task_names_, "mean"]
    for task, needed in zip(model.task_names_, NEEDED[name], strict=True):
        assert set(np.argsort(-importances[task].importances_mean)[: len(needed)]) == needed
    every_task = [importances[task].importances for task in model.task_names_]
    assert_allclose(importances["mean"].importances, np.mean(every_task, axis=0), atol=1e-9)


@all_three
def test_the_importance_of_a_task_is_what_its_score_loses(name):
    X, y = make_features(), with_missing(make_targets(name))
    model = make_pipeline(StandardScaler(), make_model(name, **QUICK)).fit(X, y)
    scorer = make_task_scorer("accuracy" if name == "classifier" else "r2", task=task_name(name, 1))
    found = permutation_importance(model, X, y, scoring=scorer, n_repeats=20, random_state=0).importances
    rng = np.random.default_rng(1)
    for feature in range(X.shape[1]):
        by_hand = [
            scorer(model, X, y) - scorer(model, changed(X, slice(None), feature, rng.permutation(X[:, feature])), y)
            for _ in range(20)
        ]
        error = np.sqrt((np.var(by_hand) + np.var(found[feature])) / 20)
        assert abs(np.mean(by_hand) - found[feature].mean()) <= 4 * error


# --------------------------------------------------------------------------------------------------------------------
# Partial dependence


@all_three
def test_partial_dependence_of_all_tasks(name):
    X = make_features()
    numbers = Numbers(fitted(name, **QUICK))
    scale = numbers.predict(X).std(axis=0)
    found = partial_dependence(numbers, X, [0], grid_resolution=4)
    assert found["average"].shape == (len(NEEDED[name]), 4)
    for i, value in enumerate(found["grid_values"][0]):
        expected = numbers.predict(changed(X, slice(None), 0, value)).mean(axis=0)
        assert_allclose(found["average"][:, i] / scale, expected / scale, rtol=0, atol=1e-5)
    moves = np.ptp(found["average"], axis=1) / scale
    assert_array_equal(moves > 1, [0 in needed for needed in NEEDED[name]])


def test_partial_dependence_takes_regressors_and_classifiers_of_one_task_as_they_are():
    X = make_features()
    regressor, classifier = fitted("regressor"), make_model("classifier").fit(X, make_labels())
    assert_array_equal(
        partial_dependence(regressor, X, [1], grid_resolution=4)["average"],
        partial_dependence(Numbers(regressor), X, [1], grid_resolution=4)["average"],
    )
    of_yes = partial_dependence(classifier, X, [0], grid_resolution=4)
    moved = changed(X, slice(None), 0, of_yes["grid_values"][0][3])
    assert_allclose(of_yes["average"][0, 3], classifier.predict_proba(moved)[:, 1].mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "words"),
    [("multitask", "must be a fitted regressor or classifier"), ("classifier", "Multiclass-multioutput")],
)
def test_scikit_learn_refuses_partial_dependence_of_others(name, words):
    with pytest.raises(ValueError, match=words):
        partial_dependence(fitted(name), make_features(), [0])


def test_numbers_are_a_regressor_over_a_model_that_stays():
    model = fitted("multitask")
    numbers = Numbers(model)
    assert is_regressor(numbers)
    assert not is_regressor(model)
    assert_array_equal(numbers.predict(make_features())[:, 1:], model.predict(make_features())[:, 1:])
    assert numbers.fit(make_features(), make_targets("regressor")).estimator is model


def test_partial_dependence_is_drawn_of_each_task_and_of_categories():
    X = pd.DataFrame(make_features(), columns=list("abcd"))
    X["city"] = np.where(X["d"] > 0, "Rome", "Oslo")
    y = make_targets("multitask") + np.outer(X["city"] == "Rome", [0, 5, 0])
    model = make_model("multitask", **QUICK).fit(X, y)
    numbers = Numbers(model)
    options = {"categorical_features": ["city"], "grid_resolution": 4}
    average = partial_dependence(numbers, X, ["city"], **options)["average"]
    assert 3 < average[1, 1] - average[1, 0] < 7
    drawn = ["a", "city", ("a", "b")]
    for target in range(len(KINDS)):
        display = PartialDependenceDisplay.from_estimator(numbers, X, drawn, target=target, **options)
        assert display.axes_.size == 3


# --------------------------------------------------------------------------------------------------------------------
# shap


def shapley_values(answers, row, background):
    """Shapley values by their definition: what each feature adds to every subset of the others."""
    n_features = len(row)

    def value(subset):
        mixed = background.copy()
        mixed[:, subset] = row[subset]
        return answers(mixed).mean(axis=0)

    values = []
    for feature in range(n_features):
        others = [other for other in range(n_features) if other != feature]
        total = 0
        for size in range(n_features):
            weight = factorial(size) * factorial(n_features - size - 1) / factorial(n_features)
            for subset in combinations(others, size):
                total = total + weight * (value([*subset, feature]) - value([*subset]))
        values.append(total)
    return np.array(values)


@all_three
def test_shap_explains_all_tasks_at_once(name, capfd):
    shap = pytest.importorskip("shap")
    X = make_features()
    answers = Numbers(fitted(name, **QUICK)).predict
    background, rows = X[:20], X[20:25]
    explanation = shap.Explainer(answers, background, seed=0)(rows, silent=True)
    scale = answers(X).std(axis=0)
    total = explanation.base_values + explanation.values.sum(axis=1)
    assert_allclose(total / scale, answers(rows) / scale, rtol=0, atol=1e-6)
    base = np.tile(answers(background).mean(axis=0), (5, 1))
    assert_allclose(explanation.base_values / scale, base / scale, rtol=0, atol=1e-5)
    assert_allclose(explanation.values[0] / scale, shapley_values(answers, rows[0], background) / scale, atol=1e-5)
    assert capfd.readouterr() == ("", "")


def test_shap_of_many_features_is_additive_too():
    shap = pytest.importorskip("shap")
    X, y = make_related_tasks(100, 12, correlation=0.5, random_state=0)
    model = MMoERegressor(**QUICK).fit(X, y)
    explainer = shap.Explainer(model.predict, X[:10], seed=0)
    assert isinstance(explainer, shap.PermutationExplainer)
    explanation = explainer(X[:3], silent=True)
    total = explanation.base_values + explanation.values.sum(axis=1)
    assert_allclose(total, model.predict(X[:3]), rtol=0, atol=1e-5 * y.std())


# --------------------------------------------------------------------------------------------------------------------
# captum


def forward_of(model):
    """The network with rows in front: raw outputs, of an ensemble their mean."""

    def forward(*inputs):
        outputs = model.module_(*inputs)
        return outputs if outputs.dim() == 2 else outputs.mean(dim=0)

    return forward


def as_tensor(X):
    return torch.tensor(X, dtype=torch.float32)


@pytest.mark.parametrize("n_members", [1, 4])
@all_three
def test_integrated_gradients_are_complete(name, n_members):
    attr = pytest.importorskip("captum.attr")
    constant = {"n_members": n_members, "learning_rate_schedule": "constant"}
    forward = forward_of(fitted(name, **{**QUICK, **constant}))
    rows, baseline = as_tensor(make_features()[:8]), torch.zeros(1, 4)
    with torch.no_grad():
        differences = forward(rows) - forward(baseline)
    steps = ((torch.arange(500) + 0.5) / 500)[:, None, None]
    on_the_way = (baseline + steps * (rows - baseline)).flatten(0, 1).requires_grad_()
    for output in range(differences.shape[1]):
        attributions = attr.IntegratedGradients(forward).attribute(rows, baseline, target=output, n_steps=500)
        scale = float(differences[:, output].abs().max())
        assert_allclose(attributions.sum(dim=1), differences[:, output], rtol=0, atol=1e-3 * scale)
        (gradients,) = torch.autograd.grad(forward(on_the_way)[:, output].sum(), on_the_way)
        gradients = gradients.unflatten(0, (500, 8)).mean(dim=0)
        assert_allclose(attributions, gradients * (rows - baseline), rtol=0, atol=2e-3 * scale)


def test_integrated_gradients_beside_categories():
    """The codes that `module_` takes are those that the guide says: from 1, in the order of `categories_`."""
    attr = pytest.importorskip("captum.attr")
    X = pd.DataFrame(make_features(), columns=list("abcd"))
    X["city"] = np.where(X["d"] > 0, "Rome", "Oslo")
    y = X["a"] + 5 * (X["city"] == "Rome")
    model = MMoERegressor(**{**QUICK, "n_members": 2}).fit(X, y)
    rows = as_tensor(X[list("abcd")].to_numpy())
    codes = torch.tensor(1 + np.searchsorted(model.categories_["city"], X["city"]))[:, None]
    forward = forward_of(model)
    with torch.no_grad():
        outputs = forward(rows, codes)[:, 0]
        differences = outputs - forward(torch.zeros_like(rows), codes)[:, 0]
    assert_allclose(outputs * y.std(ddof=0) + y.mean(), model.predict(X), atol=1e-4)
    attributions = attr.IntegratedGradients(forward).attribute(
        rows, additional_forward_args=codes, target=0, n_steps=300
    )
    assert_allclose(attributions.sum(dim=1), differences, rtol=0, atol=2e-3)


# --------------------------------------------------------------------------------------------------------------------
# What is wrong for gated networks


def share_of_deep_lift(module, rows):
    """Mean error of sums of DeepLift's attributions, as a share of the mean difference that they should add up to."""
    attr = pytest.importorskip("captum.attr")
    baseline = torch.zeros(1, rows.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of gradients and hooks that it sets
        attributions = attr.DeepLift(module).attribute(rows, baseline, target=0)
    with torch.no_grad():
        difference = (module(rows) - module(baseline))[:, 0]
    return float((attributions.detach().sum(dim=1) - difference).abs().mean() / difference.abs().mean())


def share_of_deep_explainer(module, rows):
    shap = pytest.importorskip("shap")
    background = rows[:50]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of modules that it does not know
        values = shap.DeepExplainer(module, background).shap_values(rows, check_additivity=False)[:, :, 0]
    with torch.no_grad():
        difference = (module(rows) - module(background).mean(dim=0))[:, 0].numpy()
    return float(np.abs(values.sum(axis=1) - difference).mean() / np.abs(difference).mean())


@cache
def network_and_textbook(n_experts):
    """A trained network, and the same one written as a list of experts, gates and towers."""
    X, y = make_related_tasks(600, 8, correlation=0.5, random_state=0)
    sizes = {"n_experts": n_experts, "expert_layer_sizes": (32, 32), "tower_layer_sizes": (32,)}
    small = {"n_members": 1, "max_epochs": 30, "numeric_embeddings": None, "random_state": 0}
    module = MMoERegressor(**sizes, **small).fit(X, y).module_
    textbook = TextbookMMoE(8, [1, 1], n_experts, (32, 32), (), (32,))
    copy_weights(module, textbook)
    rows = as_tensor(X[:100])
    assert_allclose(textbook(rows).detach(), module(rows).detach(), atol=1e-5)
    return module, textbook, rows


@pytest.mark.parametrize("share", [share_of_deep_lift, share_of_deep_explainer])
def test_rules_for_layers_do_not_add_up_over_gates(share):
    _, shared_bottom, rows = network_and_textbook(n_experts=1)
    assert share(shared_bottom, rows) < 1e-5  # nothing is wrong with the tools
    module, textbook, rows = network_and_textbook(n_experts=4)
    assert share(textbook, rows) > 0.1
    assert share(module, rows) > 0.3
