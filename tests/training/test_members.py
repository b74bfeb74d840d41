"""Ensembles: members are independent networks, each stopped for itself, and answer together by their mean."""

import itertools
import math

import numpy as np
import pytest
import torch
from fitted_tasks import binary, multiclass, ordinal, ordinal_probabilities, regression
from helpers import (
    NAMES,
    all_three,
    assert_same_answers,
    fitted,
    fitted_on_data,
    make_data,
    make_features,
    make_model,
    make_targets,
    round_trips,
    with_missing,
)
from operators import Operators
from scipy.special import expit, softmax
from skorch.callbacks import Callback

from sklearn_mmoe import MMoEClassifier, MMoERegressor
from sklearn_mmoe._estimators.parameters import auto_batch_size, auto_max_epochs, auto_patience
from sklearn_mmoe._held_out.random_splits import random_folds
from sklearn_mmoe._training.losses import HELD_OUT, TRAINED_ON, TaskLosses
from sklearn_mmoe.metrics import make_task_scorer
from sklearn_mmoe.nn import MMoE
from sklearn_mmoe.nn._rows import SparseRows, apply_to
from sklearn_mmoe.tasks._answers import averaged

M = 3


def member_state(state, member, n_members=M):
    """The weights of one member, as those of a network of its own."""
    return {
        name: tensor.reshape(n_members, tensor.shape[0] // n_members, *tensor.shape[1:])[member].clone()
        for name, tensor in state.items()
    }


def members_of(module, **sizes):
    """The members of an ensemble, as networks of their own."""
    singles = [MMoE(**sizes).to(torch.float64) for _ in range(module.n_members)]
    for member, single in enumerate(singles):
        single.load_state_dict(member_state(module.state_dict(), member, module.n_members))
    return singles


# --------------------------------------------------------------------------------------------------------------------
# The module


@pytest.mark.parametrize("inputs", ["numbers", "categories", "sparse"])
@pytest.mark.parametrize("gating", ["per_task", "shared"])
@pytest.mark.parametrize("gate_sizes", [(), (6, 5)])
def test_members_are_networks_of_their_own(inputs, gating, gate_sizes):
    torch.manual_seed(0)
    rows = (torch.randn(20, 4, dtype=torch.float64),)
    if inputs == "sparse":
        mask = torch.rand(20, 4) < 0.5
        indptr = torch.cat([torch.zeros(1, dtype=torch.int64), mask.sum(1).cumsum(0)])
        rows = (SparseRows(indptr, mask.nonzero()[:, 1], rows[0][mask], 4),)
    elif inputs == "categories":
        rows = (*rows, torch.randint(0, 4, (20, 3)))
    sizes = {
        "n_features": 4,
        "task_outputs": [1, 3, 1],
        "n_experts": 2,
        "expert_layer_sizes": (8, 5),
        "gate_layer_sizes": gate_sizes,
        "tower_layer_sizes": (7,),
        "gating": gating,
        "n_categories": [3, 3, 200] if inputs == "categories" else [],
    }
    module = MMoE(**sizes, n_members=M).to(torch.float64)
    singles = members_of(module, **sizes)
    outputs = module(*rows)
    assert outputs.shape == (M, 20, 5)
    direction = torch.randn_like(outputs)
    (outputs * direction).sum().backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    for m, single in enumerate(singles):
        own = single(*rows)
        torch.testing.assert_close(outputs[m], own, rtol=1e-12, atol=1e-12)
        (own * direction[m]).sum().backward()
        for name, gradient in member_state(gradients, m).items():
            torch.testing.assert_close(gradient, single.get_parameter(name).grad, rtol=1e-10, atol=1e-12)
    gates = torch.cat([single.gate_weights(*rows) for single in singles], dim=2) / M
    torch.testing.assert_close(module.gate_weights(*rows), gates, rtol=1e-12, atol=1e-12)


def test_members_begin_differently():
    torch.manual_seed(0)
    module = MMoE(4, [1, 2], n_categories=[5], n_members=M)
    outputs = module(torch.randn(10, 4), torch.randint(1, 6, (10, 1)))
    assert not any(torch.allclose(a, b) for a, b in itertools.combinations(outputs, 2))


def test_gate_dropout_takes_other_experts_from_each_member():
    torch.manual_seed(0)
    module = MMoE(4, [1, 1], n_experts=4, n_members=2, gate_dropout=0.5).train()
    dropped = (module.gate_weights(torch.randn(500, 4)) == 0).view(500, 2, 2, 4)
    assert torch.equal(dropped[:, 0], dropped[:, 1]), "the same for all tasks"
    assert not torch.equal(dropped[:, :, 0], dropped[:, :, 1])
    assert not dropped.all(dim=-1).any()


def test_operators_do_not_grow_with_members():
    def n_operators(n_members):
        module = MMoE(4, [1, 1, 1], n_members=n_members)
        with Operators() as operators:
            module(torch.randn(8, 4)).sum().backward()
        return operators.n

    assert n_operators(7) == n_operators(2)


@pytest.mark.parametrize("n_members", [0, -1])
def test_number_of_members_is_positive(n_members):
    with pytest.raises(ValueError, match="n_members must be an integer from 1 up"):
        MMoE(4, [1], n_members=n_members)


# --------------------------------------------------------------------------------------------------------------------
# The losses


@pytest.mark.parametrize("idle", [False, True])
def test_losses_of_each_member_are_of_rows_with_that_role_for_it(idle):
    """Written as on paper: member m learns from rows of the other folds, is validated on its own, and sees no more."""
    torch.manual_seed(0)
    tasks = (regression("squared_error"), binary())
    outputs = torch.randn(M, 9, 2, dtype=torch.float64)
    labels = torch.cat([torch.randn(9, 1), torch.randint(0, 2, (9, 1))], dim=1).double()
    weights = torch.rand(9, 2).double() + 0.1
    weights[::4, 1] = 0.0
    roles = torch.where(torch.arange(9).unsqueeze(1) % M == torch.arange(M), HELD_OUT, TRAINED_ON)
    if idle:
        roles[2, 0] = roles[5:, 1] = 0
    targets = torch.cat([labels, weights, roles], dim=1)
    criterion = TaskLosses(tasks, torch.float64)
    plain = TaskLosses(tasks, torch.float64)
    for training in (True, False):
        losses, weight = criterion.train(training)(outputs, targets)
        for m in range(M):
            rows = roles[:, m] == (TRAINED_ON if training else HELD_OUT)
            own, own_weight = plain(outputs[m, rows], targets[rows, :4])
            torch.testing.assert_close(losses[m], own)
            torch.testing.assert_close(weight[m], own_weight)
        alone, _ = criterion(outputs[0], targets)  # of a module that knows of no members
        torch.testing.assert_close(alone, losses[0])


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_members_that_see_all_rows(weighted):
    torch.manual_seed(0)
    tasks = (regression("huber"), multiclass(3), regression("poisson"), ordinal(4))
    outputs = torch.randn(M, 9, 8)
    labels = torch.cat([torch.randn(9, 1), torch.randint(0, 3, (9, 3))], dim=1)
    # weights that look like numbers of members
    targets = torch.cat([labels, torch.randint(0, M, (9, 4))], dim=1) if weighted else labels
    criterion = TaskLosses(tasks)
    losses, weight = criterion(outputs, targets)
    for m in range(M):
        own, own_weight = criterion(outputs[m], targets)
        torch.testing.assert_close(losses[m], own)
        assert (weight is None) == (own_weight is None)
        if weighted:
            torch.testing.assert_close(weight[m], own_weight)


# --------------------------------------------------------------------------------------------------------------------
# Training: against each member trained alone, in the plainest of loops


class Notes(Callback):
    """Writes down the weights at the start and all batches of training."""

    def on_train_begin(self, net, **kwargs):
        self.start_ = {name: tensor.clone() for name, tensor in net.module_.state_dict().items()}
        self.epochs_ = []

    def on_epoch_begin(self, net, **kwargs):
        self.epochs_.append([])

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.epochs_[-1].append(batch)


@pytest.mark.parametrize("missing", [False, True])
def test_each_member_is_trained_as_if_alone(missing):
    X, y = make_features(), make_targets("regressor")
    y = with_missing(y) if missing else y
    sizes = {"n_experts": 2, "expert_layer_sizes": (8,), "tower_layer_sizes": (4,)}
    model = MMoERegressor(
        **sizes,
        n_members=M,
        batch_size=16,
        max_epochs=30,
        learning_rate=0.05,
        learning_rate_schedule="constant",
        n_iter_no_change=4,
        weight_decay=0.01,
        numeric_embeddings=None,
        dtype="float64",
        device="cpu",
        random_state=0,
        callbacks=[("notes", Notes())],
    ).fit(X, y)
    notes = dict(model.net_.callbacks_)["notes"]
    whole = [torch.cat(parts) for parts in zip(*notes.epochs_[0], strict=True)]
    stopped = []
    for m in range(M):
        single = MMoE(4, [1, 1], **sizes).double()
        single.load_state_dict(member_state(notes.start_, m))
        optimizer = torch.optim.AdamW(single.parameters(), lr=0.05, weight_decay=0.01)
        best, best_state = math.inf, None
        for epoch, batches in enumerate(notes.epochs_):
            for x, targets in batches:
                optimizer.zero_grad()
                plain_loss(single, x, targets, targets[:, 4 + m] == TRAINED_ON).backward()
                optimizer.step()
            with torch.no_grad():
                loss = plain_loss(single, *whole, whole[1][:, 4 + m] == HELD_OUT).item()
            if loss < best:
                best, best_epoch = loss, epoch
                best_state = {name: tensor.clone() for name, tensor in single.state_dict().items()}
        found = member_state(model.module_.state_dict(), m)
        for name, tensor in best_state.items():
            torch.testing.assert_close(found[name], tensor, rtol=1e-8, atol=1e-10)
        stopped.append(best_epoch)
    assert len(set(stopped)) > 1, "each has a best epoch of its own"


def plain_loss(single, x, targets, rows):
    losses = []
    for t in range(2):
        labelled = rows & (targets[:, 2 + t] > 0)
        error = single(x[labelled])[:, t] - targets[labelled, t]
        losses.append((error**2).mean() if labelled.any() else torch.tensor(0.0))
    return sum(losses) / 2


# --------------------------------------------------------------------------------------------------------------------
# Which rows a member does not see


def all_there(n_rows, n_tasks=2):
    return np.ones((n_rows, n_tasks), dtype=bool)


def test_every_row_is_held_out_from_one_member():
    folds = random_folds(all_there(22), None, 4, np.array([True, True]), seed=0)
    assert sorted(np.bincount(folds).tolist()) == [5, 5, 6, 6]
    assert not np.array_equal(folds, random_folds(all_there(22), None, 4, np.array([True, True]), seed=1))
    assert np.array_equal(folds, random_folds(all_there(22), None, 4, np.array([True, True]), seed=0))


def test_folds_keep_the_proportions_of_classes():
    classes = np.repeat([0, 1], [32, 8])
    folds = random_folds(all_there(40, 1), classes, 4, np.array([True]), seed=0)
    assert np.bincount(folds[classes == 1]).tolist() == [2] * 4


def test_too_few_rows_or_labels_have_no_folds():
    both = np.array([True, True])
    assert random_folds(all_there(7), None, 4, both, seed=0) is None
    assert random_folds(all_there(7), None, 4, both, seed=0, n_at_least=1) is not None
    assert random_folds(all_there(3), None, 4, both, seed=0, n_at_least=1) is None
    assert random_folds(all_there(3), None, 1, both, seed=0) is None
    few = all_there(40)
    few[1:, 0] = False  # whoever does not see row 0 learns nothing of the first task
    assert random_folds(few, None, 4, both, seed=0) is None
    few[:12, 0] = True
    assert random_folds(few, None, 4, both, seed=0) is not None
    few[:, 1] = False
    few[:2, 1] = True  # of four folds, two at least have no label of the second task
    assert random_folds(few, None, 4, np.array([False, True]), seed=0) is None


@all_three
def test_few_rows_are_held_out_in_folds(name):
    model = fitted(name, n_members=2)
    assert model.validation_scores_ is not None
    alone = fitted(name, n_members=1)
    assert alone.validation_scores_ is None


def test_a_common_validation_part_where_it_is_asked_for():
    X, y = make_features(), make_targets("regressor")
    assert len(make_model("regressor", n_members=2, early_stopping=True).fit(X, y).validation_scores_) == 3
    assert make_model("regressor", n_members=2, early_stopping=False).fit(X, y).validation_scores_ is None
    given = make_model("regressor", n_members=2).fit(X, y, X_val=X, y_val=y)
    expected = -np.mean((given.predict(X) - y) ** 2 / y.var(axis=0))
    assert max(given.validation_scores_) <= expected, "the mean of two is at least as good as they are in the mean"


def test_a_scorer_sees_the_whole_ensemble():
    X, y = make_features(), make_targets("regressor")
    monitor = make_task_scorer("r2")
    with pytest.raises(ValueError, match="monitor is a scorer, which needs a validation part"):
        make_model("regressor", n_members=2, monitor=monitor).fit(X, y)
    options = {"n_members": 2, "max_epochs": 8, "linear_part": False}
    model = make_model("regressor", monitor=monitor, **options).fit(X, y, X_val=X, y_val=y)
    assert max(model.validation_scores_) == pytest.approx(monitor(model, X, y))


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "max_epochs", "patience", "of_constant_rates"),
    [
        (20, 20, 200, 8, 20),
        (400, 32, 200, 8, 20),
        (1_400, 32, 200, 8, 20),
        (2_600, 64, 200, 8, 20),
        (3_500, 128, 200, 8, 20),
        (5_000, 128, 200, 8, 20),
        (10_000, 256, 100, 8, 20),
        (20_000, 256, 50, 8, 10),
        (40_000, 256, 25, 5, 5),
        (60_000, 256, 16, 3, 3),
        (1_000_000, 256, 4, 3, 3),
    ],
)
def test_epochs_batches_and_patience_by_rows(n_rows, batch_size, max_epochs, patience, of_constant_rates):
    assert auto_max_epochs(n_rows) == max_epochs
    assert auto_batch_size(n_rows) == batch_size
    assert [auto_patience(n_rows, kind) for kind in ("wsd", "constant")] == [patience, of_constant_rates]


def test_the_rules_reach_the_net():
    net = make_model("regressor", max_epochs="auto").fit(make_features(), make_targets("regressor")).net_
    assert (net.max_epochs, net.batch_size, net.n_iter_no_change) == (200, 32, 8)
    model = make_model("regressor", max_epochs=2, batch_size=7, n_iter_no_change=5)
    net = model.fit(make_features(), make_targets("regressor")).net_
    assert (net.max_epochs, net.batch_size, net.n_iter_no_change) == (2, 7, 5)


# --------------------------------------------------------------------------------------------------------------------
# The answer


def test_mean_answers_as_on_paper():
    tasks = (regression("squared_error"), regression("poisson"), binary(), multiclass(3), ordinal(4))
    outputs = np.random.default_rng(0).normal(size=(M, 6, 9)) * 2
    found = averaged(tasks, torch.tensor(outputs)).numpy()
    mean, log_mean, logit, three, steps = np.split(found, [1, 2, 3, 6], axis=1)
    np.testing.assert_allclose(mean[:, 0], outputs[:, :, 0].mean(axis=0))
    np.testing.assert_allclose(np.exp(log_mean[:, 0]), np.exp(outputs[:, :, 1]).mean(axis=0))
    np.testing.assert_allclose(expit(logit[:, 0]), expit(outputs[:, :, 2]).mean(axis=0))
    np.testing.assert_allclose(softmax(three, axis=1), softmax(outputs[:, :, 3:6], axis=2).mean(axis=0))
    expected = np.mean([[ordinal_probabilities(row) for row in member] for member in outputs[:, :, 6:]], axis=0)
    np.testing.assert_allclose([ordinal_probabilities(row) for row in steps], expected)


def test_a_network_without_members_answers_for_itself():
    outputs = torch.randn(5, 3)
    assert averaged((binary(), regression("poisson"), regression("huber")), outputs) is outputs


def test_members_that_are_sure_are_averaged_without_loss():
    tasks = (binary(), ordinal(3))
    outputs = torch.tensor([[[40.0, 40.0, 1.0]], [[60.0, 60.0, 1.0]]])
    found = averaged(tasks, outputs)[0]
    assert found[0].item() == pytest.approx(40 + math.log(2)), "1 - p is half of exp(-40), which 1.0 - p cannot tell"
    assert torch.isfinite(averaged(tasks, outputs * 1e4)).all()
    agreeing = averaged(tasks, outputs[:1].expand(2, -1, -1))
    torch.testing.assert_close(agreeing, outputs[0])


@all_three
def test_predictions_are_the_mean_of_those_of_the_members(name):
    model = fitted(name, n_members=M, max_epochs=20, gate_balance=0.1, device="cpu")
    X = torch.tensor(make_features(), dtype=torch.float32)
    with torch.no_grad():
        outputs = apply_to(model.module_, X).numpy().astype(float)
    ends = np.cumsum([task.width for task in model._tasks])
    for t, (task, own) in enumerate(zip(model._tasks, np.split(outputs, ends[:-1], axis=2), strict=True)):
        if hasattr(task, "classes"):
            expected = np.mean([task.probabilities(member) for member in own], axis=0)
            found = model.predict_proba(make_features())
            found = found[t] if isinstance(model, MMoEClassifier) else found[task.name]
        else:
            expected = np.mean([task.decode(member) for member in own], axis=0)
            found = model.predict(make_features())[:, t].astype(float)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_net_itself_gives_the_mean_answer():
    model = fitted("classifier", n_members=M)
    X = make_features().astype(np.float32)
    assert model.net_.predict(X).shape == (len(X), 4)


# --------------------------------------------------------------------------------------------------------------------
# What a user sees of it


@all_three
def test_gates_of_all_members_stand_side_by_side(name):
    model = fitted(name, n_members=M)
    gates = model.gate_weights(make_features())
    assert gates.shape == (60, model.n_outputs_, M * 2)
    np.testing.assert_allclose(gates.reshape(60, -1, M, 2).sum(axis=3), 1 / M, rtol=1e-5)
    assert model.expert_usage_.shape == (model.n_outputs_, M * 2)
    in_member = gates.reshape(60, -1, M, 2) * M
    entropy = -(in_member * np.log(in_member)).sum(axis=3).mean(axis=(0, 2))
    np.testing.assert_allclose(model.gate_entropy_, entropy, rtol=1e-4)


@round_trips
@pytest.mark.parametrize("name", NAMES)
def test_ensembles_are_saved(name, there_and_back):
    model = fitted_on_data(name, n_members=M)
    assert_same_answers(model, there_and_back(model), make_data(name)[0])


@all_three
def test_ensembles_go_on(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name, n_members=2, warm_start=True).fit(X, y)
    before = model.module_.state_dict()["heads.weight"].clone()
    assert model.fit(X, y).n_iter_ == 6
    assert not torch.equal(model.module_.state_dict()["heads.weight"], before)
    model.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"but n_members \(2, now 3\) has changed since"):
        model.set_params(n_members=3).fit(X, y)


def test_balancing_gradients_and_gates_of_an_ensemble():
    X, y = make_features(), make_targets("regressor")
    plain = fitted("regressor", n_members=2, max_epochs=10)
    schemes = [{"task_weights": name} for name in ("uncertainty", "dwa", "upgrad")]
    for parameters in (*schemes, {"gate_balance": 1.0}):
        other = fitted("regressor", n_members=2, max_epochs=10, **parameters)
        assert not np.allclose(other.predict(X), plain.predict(X))
        assert np.isfinite(other.predict(X)).all()
    assert y.shape == plain.predict(X).shape


def test_defaults_on_few_rows_are_as_good_as_a_ridge():
    """The promise to whoever fits a few hundred rows: of a line in noise, nothing is learnt by heart."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 10))
    y = X @ rng.normal(size=(10, 2)) + 3 * rng.normal(size=(400, 2))
    model = MMoERegressor(random_state=0).fit(X[:200], y[:200])
    ridge = np.linalg.lstsq(X[:200], y[:200], rcond=None)[0]
    error, best = (np.mean((answer - y[200:]) ** 2) for answer in (model.predict(X[200:]), X[200:] @ ridge))
    assert error < 1.15 * best
