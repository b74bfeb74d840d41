"""How alike tasks are: overlap of gates, cosine of gradients, and an order that shows groups."""

import numpy as np
import pytest
import torch
from helpers import all_three, fitted, make_features, make_targets, with_missing
from scipy.sparse import csr_matrix

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._features.tensors import as_tensor
from sklearn_mmoe.metrics._affinity import clustered_order, gate_overlap, gradient_cosine

# --------------------------------------------------------------------------------------------------------------------
# Overlap of gates


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ([[0.7, 0.3]], [[0.7, 0.3]], 1.0),
        ([[1.0, 0.0]], [[0.0, 1.0]], 0.0),
        ([[0.5, 0.5]], [[1.0, 0.0]], 0.5),
        ([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]], 0.5),  # alike on one row of two
        ([[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]], 0.0),  # of the same mean, yet never alike
    ],
)
def test_overlap_on_paper(first, second, overlap):
    found = gate_overlap(np.stack([first, second], axis=1))
    np.testing.assert_allclose(found, [[1, overlap], [overlap, 1]])


def slow_overlap(gates):
    n_rows, n_tasks, n_experts = gates.shape
    result = np.zeros((n_tasks, n_tasks))
    for s in range(n_tasks):
        for t in range(n_tasks):
            distances = [
                sum(abs(gates[row, s, k] - gates[row, t, k]) for k in range(n_experts)) / 2 for row in range(n_rows)
            ]
            result[s, t] = 1 - sum(distances) / n_rows
    return result


def test_overlap_is_one_less_the_total_variation_distance():
    gates = np.random.default_rng(0).dirichlet([0.5] * 4, size=(20, 3))
    np.testing.assert_allclose(gate_overlap(gates), slow_overlap(gates))


def test_overlap_in_an_ensemble_is_the_mean_over_its_members():
    members = np.random.default_rng(0).dirichlet([0.5] * 4, size=(2, 20, 3))
    both = np.concatenate(list(members / 2), axis=2)
    np.testing.assert_allclose(gate_overlap(both), np.mean([slow_overlap(own) for own in members], axis=0))


def test_one_gate_for_all_tasks_overlaps_with_itself():
    model = fitted("regressor", gating="shared")
    np.testing.assert_allclose(gate_overlap(model.gate_weights(make_features())), 1, atol=1e-6)


# --------------------------------------------------------------------------------------------------------------------
# Cosine of gradients


def cosine(model, X, y, subsample=None):
    return gradient_cosine(model, X, y, subsample=subsample, random_state=0)


def slow_cosine(model, X, y):
    """One task and one member at a time, from the loss of all rows, by back-propagation through the whole network."""
    module, net = model.module_, model.net_
    _, cells = model._known_cells(X, y)
    n_members, n_experts = module.n_members, module.n_experts
    gradients = np.zeros((n_members, module.n_tasks), dtype=object)
    for member in range(n_members):
        for t in range(module.n_tasks):
            module.zero_grad()
            losses, _ = net.criterion_(module(torch.as_tensor(X, dtype=torch.float64)), as_tensor(cells))
            losses.view(n_members, -1)[member, t].backward()
            own = [p.grad[member * n_experts : (member + 1) * n_experts] for p in module.expert_layers.parameters()]
            gradients[member, t] = np.concatenate([part.numpy().ravel() for part in own])
    module.zero_grad()
    return np.mean(
        [
            [[a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for b in gradients[member]] for a in gradients[member]]
            for member in range(n_members)
        ],
        axis=0,
    )


@all_three
@pytest.mark.parametrize("n_members", [1, 3])
def test_cosine_is_that_of_gradients_taken_one_by_one(name, n_members):
    X, y = make_features(), make_targets(name)
    options = {"dtype": "float64", "batch_size": len(X), "numeric_embeddings": None, "device": "cpu"}
    model = fitted(name, n_members=n_members, **options)
    np.testing.assert_allclose(cosine(model, X, y), slow_cosine(model, X, y), rtol=1e-9)
    y = with_missing(y)
    np.testing.assert_allclose(cosine(model, X, y), slow_cosine(model, X, y), rtol=1e-9)


def twins(**parameters):
    """A model whose two tasks have the same gates and towers, hence the same answers, and these answers."""
    X = make_features()
    y = np.column_stack([X[:, 0], X[:, 0]])
    model = MMoERegressor(n_members=1, n_experts=2, max_epochs=2, random_state=0, **parameters).fit(X, y)
    module = model.module_
    with torch.no_grad():
        for parameter in (module.heads.weight, module.heads.bias, *module.tower_layers.parameters()):
            parameter[1] = parameter[0]
        for parameter in module.gate_input_layer.parameters():
            parameter[2:] = parameter[:2]
    return model, X, model.predict(X)


def test_tasks_with_the_same_labels_have_gradients_of_one_direction():
    model, X, answers = twins()
    np.testing.assert_allclose(cosine(model, X, answers + 1), 1, atol=1e-5)


def test_tasks_that_ask_for_opposite_changes_have_opposite_gradients():
    model, X, answers = twins()
    np.testing.assert_allclose(cosine(model, X, answers + np.array([1, -1])), [[1, -1], [-1, 1]], atol=1e-5)


def test_cosine_is_the_mean_over_batches():
    """Tasks that agree on some rows and are in conflict on the others, half of the batches each."""
    model, X, answers = twins(batch_size=1)
    signs = np.where(np.arange(len(X)) % 2, 1, -1)
    np.testing.assert_allclose(
        cosine(model, X, answers + np.column_stack([signs, np.ones(len(X))])), np.eye(2), atol=1e-5
    )


def test_a_task_without_labels_has_no_cosine():
    X, y = make_features(), make_targets("regressor")
    model = fitted("regressor")
    y[:, 1] = np.nan
    np.testing.assert_array_equal(np.isnan(cosine(model, X, y)), [[False, True], [True, True]])


def test_batches_without_a_label_are_left_out():
    model, X, answers = twins(batch_size=1)
    y = answers + 1
    y[:50, 1] = np.nan
    np.testing.assert_allclose(cosine(model, X, y), 1, atol=1e-5)


@pytest.mark.parametrize("n_members", [1, 2])
def test_sparse_gradients_are_compared_as_dense_ones_are(n_members):
    X, y = make_features(), make_targets("regressor")
    model = fitted("regressor", n_members=n_members)
    dense = cosine(model, X, y)
    np.testing.assert_allclose(cosine(model, csr_matrix(X), y), dense, atol=1e-5)
    model.module_.expert_layers[0].sparse = True
    np.testing.assert_allclose(cosine(model, csr_matrix(X), y), dense, atol=1e-5)


def test_a_sample_is_drawn_by_random_state():
    X, y = make_features(), make_targets("regressor")
    model = fitted("regressor")
    few = cosine(model, X, y, subsample=10)
    np.testing.assert_array_equal(few, cosine(model, X, y, subsample=10))
    assert not np.allclose(few, cosine(model, X, y))


def test_the_model_stays_as_it_is():
    X, y = make_features(), make_targets("regressor")
    model = fitted("regressor", dropout=0.5, gate_dropout=0.5)
    before, state = model.predict(X), set(vars(model))
    gradients = [parameter.grad for parameter in model.module_.parameters()]
    np.testing.assert_array_equal(cosine(model, X, y), cosine(model, X, y))  # nothing is dropped out
    np.testing.assert_array_equal(model.predict(X), before)
    assert set(vars(model)) == state
    assert all(p.grad is own for p, own in zip(model.module_.parameters(), gradients, strict=True))


# --------------------------------------------------------------------------------------------------------------------
# Order


def test_families_stand_together():
    family = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    affinity = np.where(family[:, None] == family, 0.9, 0.1)
    np.fill_diagonal(affinity, 1.0)
    order = clustered_order(affinity)
    assert sorted(order) == list(range(8))
    assert np.count_nonzero(np.diff(family[order])) == 2


def test_neighbours_are_alike_and_the_first_task_comes_early():
    places = np.array([1.0, 3.0, 0.0, 2.0])
    affinity = 1 - np.abs(places[:, None] - places) / 3
    assert clustered_order(affinity).tolist() == [2, 0, 3, 1]


@pytest.mark.parametrize("n_tasks", [1, 2])
def test_few_tasks_keep_their_order(n_tasks):
    assert clustered_order(np.eye(n_tasks)).tolist() == list(range(n_tasks))


def test_tasks_of_which_nothing_is_known_have_a_place():
    affinity = np.array([[1.0, np.nan, 0.9], [np.nan, np.nan, np.nan], [0.9, np.nan, 1.0]])
    assert clustered_order(affinity).tolist() in ([0, 2, 1], [2, 0, 1])
