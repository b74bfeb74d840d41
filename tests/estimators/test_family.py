"""Members of the family beside MMoE and OMoE: with experts of single tasks (CGC), and with levels (PLE)."""

import re

import numpy as np
import pytest
from helpers import (
    all_three,
    assert_same_model,
    by_file,
    by_joblib,
    by_pickle,
    by_skops,
    make_features,
    make_model,
    make_targets,
)
from onnx_graphs import assert_answers_alike

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._training.gates import warn_of_collapse
from sklearn_mmoe.exceptions import ExpertCollapseWarning
from sklearn_mmoe.export import to_onnx
from sklearn_mmoe.plot import GateDisplay, TaskAffinityDisplay

FAMILY = {"cgc": {"n_task_experts": 1}, "stacked": {"n_levels": 2}, "ple": {"n_task_experts": 2, "n_levels": 2}}
members_of_the_family = pytest.mark.parametrize("parameters", FAMILY.values(), ids=FAMILY)


def fitted(name, parameters, **more):
    return make_model(name, n_members=2, random_state=0, **parameters, **more).fit(make_features(), make_targets(name))


def n_columns(model):
    return 2 * (model.n_experts + model.n_outputs_ * model.n_task_experts)


@all_three
@members_of_the_family
def test_gates_go_over_shared_experts_and_those_of_the_task(name, parameters):
    model = fitted(name, parameters)
    X = make_features()
    gates = model.gate_weights(X)
    assert gates.shape == (len(X), model.n_outputs_, n_columns(model))
    np.testing.assert_allclose(gates.sum(axis=2), 1, rtol=1e-5)
    by_member = gates.reshape(len(X), model.n_outputs_, 2, -1)[..., model.n_experts :]
    own = by_member.reshape(*by_member.shape[:3], model.n_outputs_, model.n_task_experts)
    for t in range(model.n_outputs_):
        assert (own[:, t, :, t] > 0).all()
        assert not np.delete(own[:, t], t, axis=2).any()
    assert model.expert_usage_.shape == gates.shape[1:]
    assert np.isfinite(model.gate_entropy_).all()


@all_three
@members_of_the_family
@pytest.mark.parametrize("way", [by_joblib, by_pickle, by_file, by_skops])
def test_what_is_saved_comes_back(name, parameters, way):
    model = fitted(name, parameters)
    assert_same_model(way(model), model)


@all_three
@members_of_the_family
def test_chunks_are_learned(name, parameters):
    X, y = make_features(), make_targets(name)
    model = make_model(name, **parameters).partial_fit(X[:30], y[:30]).partial_fit(X[30:], y[30:])
    assert model.n_iter_ == 2


@all_three
@members_of_the_family
def test_a_graph_says_the_same(name, parameters):
    model, X = fitted(name, parameters), make_features().astype(np.float32)
    assert_answers_alike(to_onnx(model, example=X, gate_weights=True), model, X)


@members_of_the_family
def test_sparse_rows_are_read(parameters):
    sparse = pytest.importorskip("scipy.sparse")
    X, y = make_features(), make_targets("regressor")
    dense = make_model("regressor", numeric_embeddings=None, **parameters).fit(X, y)
    same = make_model("regressor", **parameters).fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(same.predict(sparse.csr_array(X)), dense.predict(X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (FAMILY["cgc"], "2 members with 2 experts each and 1 for each task, a gate for each task"),
        (FAMILY["stacked"], "2 members with 2 experts each in 2 levels, a gate for each task"),
        (FAMILY["ple"], "2 members with 2 experts each and 2 for each task in 2 levels, a gate for each task"),
    ],
)
def test_described_in_words_and_numbers(parameters, words):
    model = fitted("regressor", parameters)
    text = model.describe()
    assert words in text
    n_parameters = sum(parameter.numel() for parameter in model.module_.parameters())
    assert re.search(rf"^total +{n_parameters:,}$", text, re.M)
    assert ("further levels" in text) == (parameters.get("n_levels", 1) > 1)
    assert "other" not in text


def test_drawn_with_the_experts_of_each_task():
    drawing = fitted("regressor", FAMILY["cgc"])._repr_html_()
    assert ">4 experts<" in drawing  # two for all, one for each of two tasks
    assert len(re.findall('<path d="M', drawing)) == 4 + 2 * 2 + 2 + 2 * 2  # from features; to gates; to towers, tasks


def test_levels_are_named_in_the_drawing():
    drawing = fitted("regressor", FAMILY["ple"])._repr_html_()
    assert ">6 experts<" in drawing
    assert re.search(r">[\d → ]+, 2 levels<", drawing)


@members_of_the_family
def test_gates_are_drawn_and_gradients_compared(parameters):
    model, X, y = fitted("regressor", parameters), make_features(), make_targets("regressor")
    GateDisplay.from_estimator(model, X)
    display = TaskAffinityDisplay.from_estimator(model, X, y, kind="gradients")
    np.testing.assert_allclose(np.diag(display.affinity), 1, rtol=1e-5)


def test_what_one_gate_for_all_cannot_have_is_named():
    with pytest.raises(ValueError, match="n_task_experts is for gates of single tasks"):
        make_model("regressor", gating="shared", n_task_experts=1).fit(make_features(), make_targets("regressor"))


def test_a_task_may_listen_to_its_own_experts_alone(recwarn):
    usage = np.array([[0.0, 0.0, 1.0, 0.0], [0.5, 0.5, 0.0, 0.0]])  # two shared experts, one for each task
    warn_of_collapse(usage, ["a", "b"], n_task_experts=1)
    assert not len(recwarn)


def test_shared_experts_collapse_beside_those_of_tasks():
    usage = np.array([[0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    with pytest.warns(ExpertCollapseWarning, match=r"task 'b' on expert 0; no weight of any task on expert 1\."):
        warn_of_collapse(usage, ["a", "b"], n_task_experts=1)


def test_tasks_in_conflict_are_kept_apart_by_experts_of_their_own():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 6))
    y = np.column_stack([X[:, 0] * X[:, 1], X[:, 2] * X[:, 3]])
    options = {"n_members": 1, "n_experts": 1, "expert_layer_sizes": (8,), "max_epochs": 60, "random_state": 0}
    options |= {"learning_rate": 0.01, "linear_part": False}
    shared = MMoERegressor(**options).fit(X[:400], y[:400]).score(X[400:], y[400:])
    own = MMoERegressor(**options, n_task_experts=1).fit(X[:400], y[:400]).score(X[400:], y[400:])
    assert own > shared
