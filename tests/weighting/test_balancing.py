"""Methods of torchjd: the gradients they leave against those taken task by task, and a life in the estimators."""

import pickle
import sys
import warnings

import numpy as np
import pytest
import torch
from helpers import (
    all_three,
    assert_fit_refuses,
    assert_same_model,
    fitted,
    make_features,
    make_model,
    make_targets,
    round_trips,
)
from torchjd import aggregation, scalarization
from torchjd.autojac import jac_to_grad, mtl_backward

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.nn import MMoE
from sklearn_mmoe.weighting._balancing import GradientBalancing, Scalarizing, torchjd_weighting

NAMED = ["upgrad", "mgda", "pcgrad", "aligned_mtl", "cagrad", "nash_mtl", "imtl_g", "dual_proj", "config", "grad_vac"]
NAMED += ["grad_drop", "fair_grad", "excess_mtl", "pcd", "random", "mean", "sum"]
SCALARIZERS = {
    "mean": scalarization.Mean(),
    "geometric mean": scalarization.GeometricMean(),
    "dwa": scalarization.DWA(),
    "uncertainty": scalarization.UW(2),
    "smooth Tchebycheff": scalarization.STCH(1.0),
}


def make_network(gating="per_task"):
    torch.manual_seed(0)
    return MMoE(4, [1, 1, 1], n_experts=2, expert_layer_sizes=(5, 3), tower_layer_sizes=(2,), gating=gating).double()


def opposing_losses(module):
    """Losses of three tasks, of which the first two want opposite outputs."""
    torch.manual_seed(1)
    x = torch.randn(20, 4, dtype=torch.float64)
    target = torch.stack([x[:, 0], -x[:, 0], x[:, 1]], dim=1)
    return (module(x) - target).square().mean(dim=0)


def own_parameters(module):
    shared = module.shared_parameters()
    return [p for p in module.parameters() if all(p is not q for q in shared)]


class Alone(torch.nn.Module):
    """A parameter that all tasks share, beside one that nobody asks about."""

    def __init__(self, parameter):
        super().__init__()
        self.shared, self.own = parameter, torch.nn.Parameter(torch.zeros(1))

    def shared_parameters(self):
        return [self.shared]


def gradients(parameters):
    return [parameter.grad.clone() for parameter in parameters]


def task_by_task(losses, parameters):
    """The Jacobian of the losses, a row at a time."""
    rows = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in losses]
    return torch.stack([torch.cat([gradient.flatten() for gradient in row]) for row in rows])


# --------------------------------------------------------------------------------------------------------------------
# Gradients


@pytest.mark.parametrize("gating", ["per_task", "shared"])
@pytest.mark.parametrize("aggregator", [aggregation.UPGrad(), aggregation.MGDA(), aggregation.GradDrop()], ids=str)
def test_shared_parameters_get_what_the_aggregator_makes_of_all_gradients(aggregator, gating):
    module = make_network(gating)
    shared = module.shared_parameters()
    jacobian = task_by_task(opposing_losses(module), shared)
    torch.manual_seed(2)  # GradDrop draws at random
    expected = aggregator(jacobian)
    plain = make_network(gating)
    opposing_losses(plain).mean().backward()

    weighting = GradientBalancing(aggregator, 3, dtype=torch.float64)
    losses = opposing_losses(module)
    torch.manual_seed(2)
    weighting.backward(weighting(losses), losses, None, module)
    found = torch.cat([gradient.flatten() for gradient in gradients(shared)])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    for own, its in zip(gradients(own_parameters(module)), gradients(own_parameters(plain)), strict=True):
        torch.testing.assert_close(own, its, rtol=1e-9, atol=1e-12)
    shared_gate = module.gate_input_layer.weight
    assert any(p is shared_gate for p in shared) == (gating == "shared")


def test_it_is_what_torchjd_itself_does():
    module, torchjds = make_network(), make_network()
    losses = opposing_losses(module)
    GradientBalancing(aggregation.UPGrad(), 3, torch.float64).backward(losses.mean(), losses, None, module)
    experts = []
    torchjds.expert_layers.register_forward_hook(lambda module, inputs, output: experts.append(output))
    losses = opposing_losses(torchjds)
    shared = torchjds.shared_parameters()
    mtl_backward(list(losses), features=experts, shared_params=shared, tasks_params=[[]] * 3, retain_graph=True)
    jac_to_grad(shared, aggregation.UPGrad())
    for own, its in zip(gradients(module.shared_parameters()), gradients(shared), strict=True):
        torch.testing.assert_close(own, its, rtol=1e-6, atol=1e-9)


def test_pcgrad_of_two_opposing_tasks_on_paper():
    """Gradients (1, 0) and (-1, 1): each loses its part against the other, (1/2, 1/2) and (0, 1)."""
    w = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    losses = torch.stack([w[0], w[1] - w[0]])
    weighting = GradientBalancing(aggregation.PCGrad(), 2, torch.float64)
    weighting.backward(losses.mean(), losses, None, Alone(w))
    assert w.grad.tolist() == pytest.approx([0.5, 1.5])


def test_a_task_without_a_label_in_the_batch_has_no_say():
    def gradient(losses, labelled):
        weighting = GradientBalancing(aggregation.MGDA(), 2, torch.float64)
        weighting.backward(losses.mean(), losses, labelled, Alone(w))
        return w.grad.tolist()

    w = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    labelled = torch.tensor([3.0, 0.0])
    # MGDA takes the shortest gradient in the hull of all, which would be that of the task that asks for nothing
    assert gradient(torch.stack([w.sum(), 0 * w.sum()]), labelled) == pytest.approx([1, 1])
    assert gradient(torch.stack([w.sum(), 0 * w.sum()]), None) == pytest.approx([0, 0], abs=1e-6)


def test_mean_weights_of_an_epoch_are_told():
    weighting = GradientBalancing(aggregation.Constant(torch.tensor([3.0, 1.0], dtype=torch.float64)), 2, torch.float64)
    assert weighting.task_weights().tolist() == [1, 1]
    w = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    losses = torch.stack([w[0], w[1]])
    weighting.backward(losses.mean(), losses, None, Alone(w))
    assert w.grad.tolist() == [3, 1]
    assert weighting.end_epoch(losses).tolist() == weighting.task_weights().tolist() == [1.5, 0.5]


# --------------------------------------------------------------------------------------------------------------------
# Scalarizers


def test_a_scalarizer_makes_one_loss():
    weighting = Scalarizing(scalarization.GeometricMean(), 2, torch.float64)
    losses = torch.tensor([2.0, 8.0], dtype=torch.float64, requires_grad=True)
    assert weighting(losses).item() == pytest.approx(4)
    # the slope of sqrt(ab) is sqrt(ab) / 2a, sqrt(ab) / 2b
    assert weighting.end_epoch(losses.detach()).tolist() == pytest.approx([1.6, 0.4])


def test_a_scalarizer_takes_the_last_loss_of_a_task_without_a_label():
    weighting = Scalarizing(scalarization.GeometricMean(), 2, torch.float64)
    weighting(torch.tensor([2.0, 8.0], dtype=torch.float64, requires_grad=True))
    losses = torch.tensor([2.0, 0.0], dtype=torch.float64, requires_grad=True)
    loss = weighting(losses, torch.tensor([1.0, 0.0]))
    loss.backward()
    assert loss.item() == pytest.approx(4)
    assert losses.grad.tolist() == pytest.approx([1, 0])


def test_the_losses_of_validation_do_not_change_what_a_scalarizer_remembers():
    weighting = Scalarizing(scalarization.IMTLL(2), 2, torch.float64)
    before = pickle.dumps(weighting.scalarizer)
    weighting(torch.tensor([5.0, 5.0], dtype=torch.float64))
    weighting.end_epoch(torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert pickle.dumps(weighting.scalarizer) == before


# --------------------------------------------------------------------------------------------------------------------
# In the estimators


@pytest.mark.parametrize("method", NAMED)
def test_every_named_method_fits(method):
    X, y = make_features(), make_targets("regressor")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are solving a parameterized problem that is not DPP")  # Nash-MTL's
        model = MMoERegressor(task_weights=method, n_experts=2, max_epochs=2, random_state=0).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    weights = model.task_weights_
    by_weights = method not in ("config", "grad_drop")
    assert np.abs(weights).mean() == pytest.approx(1) if by_weights else np.isnan(weights).all()


@pytest.mark.filterwarnings("ignore:You are solving a parameterized problem that is not DPP")  # Nash-MTL's
@pytest.mark.parametrize("method", NAMED)
def test_every_named_method_goes_on_and_is_saved(method):
    X, y = make_features(), make_targets("regressor")
    model = fitted("regressor", task_weights=method, early_stopping=True, linear_part=False)
    again = pickle.loads(pickle.dumps(model))
    assert_same_model(again, model)
    assert_same_model(again.partial_fit(X, y), model.partial_fit(X, y))
    assert len(model.set_params(warm_start=True).fit(X, y).history_) > len(again.history_)


@pytest.mark.filterwarnings("ignore:You are solving a parameterized problem that is not DPP")
@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")  # Nash-MTL's solver, of a gradient of 0
@pytest.mark.filterwarnings("ignore::RuntimeWarning:cvxpy.atoms.affine.binary_operators")
@pytest.mark.parametrize(
    "method",
    [
        *NAMED,
        aggregation.UPGrad(pref_vector=torch.ones(2)),
        aggregation.Constant(torch.ones(2)),
        aggregation.GradDrop(leak=torch.zeros(2)),
    ],
    ids=str,
)
def test_batches_without_a_label_of_one_task_or_of_any(method):
    X, y = make_features(), make_targets("regressor")
    y[10:, 1] = np.nan
    y[20:30] = np.nan
    model = make_model("regressor", task_weights=method, batch_size=10, shuffle=False).fit(X, y)
    assert np.isfinite(model.predict(X)).all()


def test_every_method_of_torchjd_that_needs_no_argument_is_tested_here():
    with pytest.raises(ValueError, match="'upgrad'") as error:
        torchjd_weighting("no such method", 2)
    offered = str(error.value).partition("[")[2].partition("]")[0].replace("'", "").split(", ")
    assert sorted(offered) == sorted(method.replace("_", "") for method in NAMED)


@pytest.mark.parametrize("scalarizer", SCALARIZERS.values(), ids=SCALARIZERS)
def test_scalarizers_fit(scalarizer):
    X, y = make_features(), make_targets("regressor")
    y[::3, 0] = np.nan
    kept = pickle.dumps(scalarizer)
    model = MMoERegressor(task_weights=scalarizer, n_experts=2, max_epochs=4, random_state=0).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert model.task_weights_.mean() == pytest.approx(1)
    assert pickle.dumps(scalarizer) == kept, "the user's own object has changed"


def test_learned_weights_of_a_scalarizer_do_not_decay():
    net = fitted("regressor", task_weights=scalarization.UW(2), weight_decay=1.0).net_
    network, weights = net.optimizer_.param_groups
    assert (network["weight_decay"], weights["weight_decay"]) == (1.0, 0.0)
    assert [id(p) for p in weights["params"]] == [id(p) for p in net.weighting_.parameters()]


@all_three
@pytest.mark.parametrize("method", ["upgrad", aggregation.UPGrad()], ids=["name", "object"])
def test_names_and_objects(name, method):
    model = fitted(name, task_weights=method)
    assert_same_model(model, fitted(name, task_weights="UPGrad"))
    assert list(model.history_[-1]["task_weights"].values()) == model.task_weights_.tolist()


@all_three
def test_early_stopping_watches_the_plain_losses(name):
    model = fitted(name, task_weights="mgda", early_stopping=True)
    for row in model.history_:
        assert row["valid_loss"] == pytest.approx(np.mean(list(row["valid_losses"].values())))


@round_trips
def test_a_model_with_balanced_gradients_is_saved(there_and_back):
    model = fitted("regressor", task_weights="upgrad")
    again = there_and_back(model)
    assert_same_model(again, model)
    np.testing.assert_array_equal(again.task_weights_, model.task_weights_)
    X, y = make_features(), make_targets("regressor")
    assert_same_model(again.partial_fit(X, y), model.partial_fit(X, y))


def test_missing_labels_and_weights():
    X, y = make_features(), make_targets("regressor")
    y[5:, 1] = np.nan
    model = MMoERegressor(task_weights="upgrad", n_experts=2, max_epochs=3, batch_size=10, random_state=0)
    model.fit(X, y, np.linspace(0, 1, 60))
    assert np.isfinite(model.predict(X)).all()


# --------------------------------------------------------------------------------------------------------------------
# What cannot be


@pytest.mark.parametrize("hidden", ["torchjd", "torchjd.scalarization"])
def test_without_torchjd_the_error_names_the_extra(monkeypatch, hidden):
    monkeypatch.setitem(sys.modules, hidden, None)
    words = r"task_weights='upgrad' needs torchjd: pip install \"sklearn_mmoe\[balance\]\".*'uncertainty' and 'dwa'"
    assert_fit_refuses("regressor", words, error=ImportError, task_weights="upgrad")
    fitted("regressor", task_weights="uncertainty")


def test_without_a_solver_the_error_names_the_extra_of_torchjd(monkeypatch):
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    assert_fit_refuses("regressor", r"torchjd\[cagrad\]", error=ImportError, task_weights="cagrad")


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("uncertanty", r"'task_weights' parameter must be numbers, 'uncertainty', 'dwa'.*'mgda'.*got 'uncertanty'"),
        (scalarization.FAMO(2), "has to see the losses again after each step"),
        (torch.nn.Linear(2, 1), r"task_weights must be numbers.*Linear"),
    ],
)
def test_schemes_that_do_not_go(scheme, words):
    assert_fit_refuses("regressor", words, task_weights=scheme)


def test_a_network_that_does_not_say_what_it_shares():
    weighting = GradientBalancing(aggregation.UPGrad(), 2)
    losses = torch.ones(2, requires_grad=True) * 1
    with pytest.raises(ValueError, match=r"the network, Linear, has no method shared_parameters\(\)"):
        weighting.backward(losses.mean(), losses, None, torch.nn.Linear(1, 2))
