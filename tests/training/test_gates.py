"""What gates do with experts: balance, usage, entropy, and the warning when they collapse."""

import numpy as np
import pytest
import torch
from helpers import all_three, fitted, make_features, make_targets, round_trips
from skorch.callbacks import Callback

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._training.gates import expert_usage, gate_entropy, usage_imbalance, usage_in_batch, warn_of_collapse
from sklearn_mmoe.exceptions import ExpertCollapseWarning
from sklearn_mmoe.nn import MMoE

EVEN, FIRST = [0.25] * 4, [1.0, 0, 0, 0]


def gates_of(*rows):
    """One task, a row of gate weights for each row of X."""
    return np.array(rows)[:, None]


# --------------------------------------------------------------------------------------------------------------------
# Right on paper


@pytest.mark.parametrize(
    ("rows", "imbalance", "usage", "entropy"),
    [
        ([EVEN, EVEN], 0, EVEN, np.log(4)),
        ([FIRST, FIRST], 3, FIRST, 0),  # one of four has it all: variance over squared mean is 3
        (np.eye(4), 0, EVEN, 0),  # each row has an expert of its own
        ([[0.5, 0.5, 0, 0]], 1, [0.5, 0.5, 0, 0], np.log(2)),
    ],
)
def test_balance_usage_and_entropy(rows, imbalance, usage, entropy):
    gates = gates_of(*rows)
    assert usage_imbalance(usage_in_batch(torch.tensor(gates))).item() == pytest.approx(imbalance)
    assert expert_usage(gates).tolist() == [pytest.approx(list(usage))]
    assert gate_entropy(gates).tolist() == [pytest.approx(entropy)]


def test_tasks_may_share_the_experts_out_between_them():
    assert usage_imbalance(usage_in_batch(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]))).item() == 0


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        ([[1, 0], [0.5, 0.5]], r"all weight of task 'a' on expert 0\. Try gate_balance=0.01, gate_dropout=0.1"),
        ([[0.5, 0.5, 0], [0.9, 0.1, 0]], "no weight of any task on expert 2"),
        ([[0, 0, 1, 0], [0, 0, 1, 0]], "'a' on expert 2, 'b' on expert 2; no weight of any task on experts 0, 1, 3"),
    ],
)
def test_words_of_the_warning(usage, words):
    with pytest.warns(ExpertCollapseWarning, match=words):
        warn_of_collapse(np.array(usage, dtype=float), ["a", "b"])


@pytest.mark.parametrize("usage", [[[0.98, 0.02], [0.5, 0.5]], [[0.99, 0.01, 0], [0, 0.5, 0.5]], [[1.0], [1.0]]])
def test_no_warning(usage):
    warn_of_collapse(np.array(usage), ["a", "b"])


# --------------------------------------------------------------------------------------------------------------------
# In the network


def expert_outputs(module, X):
    with torch.no_grad():
        x = torch.as_tensor(X, dtype=torch.float32)
        return module.expert_layers(x.expand(module.n_experts, -1, -1)).numpy()


def assert_experts_differ(module, X):
    flat = expert_outputs(module, X).reshape(module.n_experts, -1)
    correlation = np.abs(np.corrcoef(flat))[np.triu_indices(module.n_experts, 1)]
    assert correlation.max() < 0.9


def test_experts_differ_at_initialisation():
    torch.manual_seed(0)
    assert_experts_differ(MMoE(4, [1, 1], n_experts=6), make_features())


def test_experts_differ_after_training():
    model = fitted("regressor", n_experts=4, max_epochs=40, learning_rate=0.02, numeric_embeddings=None)
    assert_experts_differ(model.module_, make_features())


class Preferring(Callback):
    """Begins with gates that prefer the first expert in all rows, and notes the loss of each step."""

    def __init__(self, bias):
        self.bias = bias

    def on_train_begin(self, net, **kwargs):
        layer = net.module_.gate_input_layer
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.zero_().view(net.module_.n_gates, -1)[:, 0] = self.bias
        self.losses_ = []

    def on_batch_end(self, net, loss=None, training=None, **kwargs):
        self.losses_.append(loss.item())


def preferring(bias, **parameters):
    return fitted("regressor", n_experts=4, weight_decay=0.0, callbacks=[("begin", Preferring(bias))], **parameters)


def test_gates_of_opposing_tasks_part():
    """From gates that are all alike, those of tasks that ask for different features go their own ways."""

    def distance(opposing, seed):
        X = np.random.default_rng(seed).normal(size=(1000, 4))
        first, second = np.sin(2 * X[:, 0]) * X[:, 1], np.sin(2 * X[:, 2]) * X[:, 3]
        y = np.column_stack([first, second if opposing else first])
        options = {"n_members": 1, "early_stopping": False, "max_epochs": 20}
        options |= {"learning_rate": 5e-3, "random_state": seed}
        gates = MMoERegressor(n_experts=4, callbacks=[Preferring(0.0)], **options).fit(X, y).gate_weights(X)
        return np.abs(gates[:, 0] - gates[:, 1]).sum(axis=1).mean() / 2

    assert distance(True, 0) > 2 * distance(False, 0)


def test_the_balance_is_a_part_of_the_loss():
    """With all weight on one expert of four, the loss grows by three times gate_balance."""

    def loss(gate_balance):
        model = preferring(50.0, gate_balance=gate_balance, learning_rate=1e-12, max_epochs=1)
        return dict(model.net_.callbacks_)["begin"].losses_[0]

    with pytest.warns(ExpertCollapseWarning):
        assert loss(0.5) - loss(0.0) == pytest.approx(1.5, rel=1e-4)


@pytest.mark.parametrize("scheme", [None, "uncertainty", "upgrad"])
def test_balance_spreads_the_weight_over_the_experts(scheme):
    rate = {"learning_rate": 0.01, "learning_rate_schedule": "constant"}

    def imbalance(gate_balance):
        model = preferring(2.0, gate_balance=gate_balance, task_weights=scheme, max_epochs=100, **rate)
        return usage_imbalance(usage_in_batch(torch.as_tensor(model.expert_usage_[None]))).item()

    assert imbalance(1.0) < 0.05 < 0.3 < imbalance(0.0)


# --------------------------------------------------------------------------------------------------------------------
# In the estimators


@all_three
def test_usage_and_entropy_are_those_of_the_gates(name):
    model = fitted(name, n_experts=3)
    gates = model.gate_weights(make_features())
    assert model.expert_usage_.shape == (model.n_outputs_, 3)
    np.testing.assert_allclose(model.expert_usage_, gates.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(model.gate_entropy_, -(gates * np.log(gates)).sum(axis=2).mean(axis=0), rtol=1e-5)
    before = model.expert_usage_
    model.set_params(learning_rate=0.1).partial_fit(make_features(), make_targets(name))
    assert not np.allclose(model.expert_usage_, before)


@all_three
def test_one_gate_for_all_tasks_shows_the_same_weights_for_each(name):
    usage = fitted(name, gating="shared").expert_usage_
    assert usage.shape[0] == len(usage) > 1
    np.testing.assert_array_equal(usage, np.tile(usage[0], (len(usage), 1)))


@round_trips
def test_usage_is_saved(there_and_back):
    model = fitted("multitask")
    again = there_and_back(model)
    np.testing.assert_array_equal(again.expert_usage_, model.expert_usage_)
    np.testing.assert_array_equal(again.gate_entropy_, model.gate_entropy_)


def collapsing(**parameters):
    """Features far from 0 and a first step that is much too long push every gate to one expert."""
    options = {"n_members": 1, "n_experts": 4, "learning_rate": 0.5, "batch_size": 60, "max_epochs": 5}
    options["numeric_embeddings"] = None
    X = make_features() + 20
    return MMoERegressor(**{**options, "optimizer": "adam", "random_state": 0, **parameters}).fit(X, X[:, :2])


def test_a_case_built_to_collapse_warns():
    with pytest.warns(ExpertCollapseWarning, match=r"The gates have collapsed: .*Try gate_balance"):
        model = collapsing(weight_decay=0.0)
    assert model.expert_usage_.max() > 0.99


def test_one_expert_cannot_collapse():
    collapsing(weight_decay=0.0, n_experts=1)  # a warning would be an error
