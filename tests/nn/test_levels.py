"""Experts of single tasks and several levels of experts, against loops over members, levels, tasks and experts."""

import itertools

import pytest
import torch
from torch import nn

from sklearn_mmoe.nn import MMoE

TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}


def layers_of(part, i):
    """The i-th of the networks that stand side by side in some layers, as a function of a table."""

    def network(x):
        for layer in part:
            x = x @ layer.weight[i] + layer.bias[i] if hasattr(layer, "weight") else layer(x)
        return x

    return network


def gate_of(first, rest, i, n_gates):
    """The i-th gate, as a function of a table: a weight for each expert."""
    units = first.out_features // n_gates
    own = slice(i * units, (i + 1) * units)
    return lambda x: torch.softmax(layers_of(rest, i)(x @ first.weight[own].T * first.scale + first.bias[own]), dim=1)


def mixed(weights, experts):
    return sum(weights[:, [k]] * expert for k, expert in enumerate(experts))


def textbook(module, x):
    """Outputs (n_members, n_rows, n_tasks) and gates (n_rows, n_tasks, n_members * n_all) of regressions."""
    T, E, S, M = module.n_tasks, module.n_experts, module.n_task_experts, module.n_members
    outputs, gates = [], torch.zeros(len(x), T, M, E + T * S, dtype=x.dtype)
    for m in range(M):
        shared, by_task = x, [x] * T
        for level in (module, *(module.levels or ())):
            experts = [layers_of(level.expert_layers, m * E + k)(shared) for k in range(E)]
            own = [
                [layers_of(level.task_expert_layers, (m * T + t) * S + k)(by_task[t]) for k in range(S)]
                for t in range(T)
            ]
            weights = [
                gate_of(level.gate_input_layer, level.gate_layers, m * T + t, M * T)(by_task[t]) for t in range(T)
            ]
            if level.goes_on:
                of_all = gate_of(level.shared_gate_input_layer, level.shared_gate_layers, m, M)(shared)
                shared = mixed(of_all, experts + list(itertools.chain(*own)))
            by_task = [mixed(weights[t], experts + own[t]) for t in range(T)]
        for t in range(T):
            gates[:, t, m, :E] = weights[t][:, :E] / M
            gates[:, t, m, E + t * S : E + (t + 1) * S] = weights[t][:, E:] / M
        towers = [layers_of(module.tower_layers, m * T + t)(by_task[t]) for t in range(T)]
        heads = [(tower * module.heads.weight[m * T + t]).sum(dim=1) for t, tower in enumerate(towers)]
        outputs.append(torch.stack(heads, dim=1) + module.heads.bias[m * T : (m + 1) * T])
    return torch.stack(outputs), gates.flatten(2)


def make_module(n_tasks=3, **parameters):
    torch.manual_seed(0)
    sizes = {"expert_layer_sizes": (6, 5), "tower_layer_sizes": (4,), "n_experts": 2}
    return MMoE(7, [1] * n_tasks, **{**sizes, **parameters}).double()


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("gate_layer_sizes", [(), (4, 3)])
@pytest.mark.parametrize("n_levels", [1, 2, 3])
@pytest.mark.parametrize("n_task_experts", [0, 1, 2])
def test_equals_loops(n_task_experts, n_levels, gate_layer_sizes, n_members):
    sizes = {"n_task_experts": n_task_experts, "n_levels": n_levels, "gate_layer_sizes": gate_layer_sizes}
    module = make_module(**sizes, n_members=n_members)
    x = torch.randn(9, 7, dtype=torch.float64)
    expected, gates = textbook(module, x)
    outputs = module(x).view(n_members, 9, 3)
    torch.testing.assert_close(outputs, expected, **TOLERANCE)
    torch.testing.assert_close(module.gate_weights(x), gates, **TOLERANCE)
    direction = torch.randn_like(outputs)
    found, wanted = (
        torch.autograd.grad((given * direction).sum(), list(module.parameters())) for given in (outputs, expected)
    )
    for (name, _), own, other in zip(module.named_parameters(), found, wanted, strict=True):
        torch.testing.assert_close(own, other, **TOLERANCE, msg=lambda text, name=name: f"{name}: {text}")
        assert own.any(), name


def test_one_level_without_experts_of_tasks_is_the_network_of_before():
    one, two = make_module(), make_module(n_task_experts=0, n_levels=1)
    assert [name for name, _ in one.named_parameters()] == [name for name, _ in two.named_parameters()]
    assert not any("task_expert" in name or "level" in name or "shared_gate" in name for name in one.state_dict())


@pytest.mark.parametrize("n_levels", [1, 2])
def test_a_task_hears_nothing_of_the_experts_of_others(n_levels):
    module = make_module(n_task_experts=2, n_members=2)
    x = torch.randn(9, 7, dtype=torch.float64)
    weights = module.gate_weights(x).view(9, 3, 2, 2 + 3 * 2)
    for t, other in itertools.permutations(range(3), 2):
        assert not weights[:, t, :, 2 + 2 * other : 4 + 2 * other].any()
    assert (weights[:, :, :, :2] > 0).all()
    module(x)[..., 0].sum().backward()
    own = module.task_expert_layers[0].weight.grad.view(2, 3, 2, 7, 6)
    assert own[:, 0].any()
    assert not own[:, 1:].any()


def test_shared_parameters_are_those_that_every_task_changes():
    parts = {"numeric_embeddings": "piecewise", "n_categories": [4], "activation": "tanh"}  # which is nowhere flat
    module = make_module(n_task_experts=1, n_levels=2, **parts)
    x, codes = torch.randn(9, 7, dtype=torch.float64), torch.randint(0, 5, (9, 1))
    named = {parameter: name for name, parameter in module.named_parameters()}
    touched = []
    for t in range(3):
        found = torch.autograd.grad(module(x, codes)[:, t].sum(), list(named), allow_unused=True)
        touched.append({named[p] for p, own in zip(named, found, strict=True) if own is not None and own.any()})
    shared = {named[parameter] for parameter in module.shared_parameters()}
    assert shared <= set.intersection(*touched)
    assert {name for name in shared if "expert" in name} == {
        f"{level}expert_layers.{layer}.{kind}"
        for level, layer, kind in itertools.product(["", "levels.0."], [0, 2], ["weight", "bias"])
    }
    assert {name for name in shared if "gate" in name} == {
        f"shared_gate_input_layer.{kind}" for kind in ("weight", "bias")
    }


def test_dropped_experts_of_tasks_are_dropped_one_by_one():
    module = make_module(n_task_experts=2, gate_dropout=0.5).train()
    x = torch.randn(500, 7, dtype=torch.float64)
    weights = module.outputs_and_gates(x)[1]
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(500, 3, dtype=torch.float64))
    dropped = weights == 0
    kept = ~dropped.all(dim=-1)
    assert kept.all()
    both = dropped[:, :, :2]  # a shared expert is dropped for all tasks of a row, unless one would lose all
    same = (both[:, 0] == both[:, 1]).all(dim=1)
    assert same.double().mean() > 0.8
    own = dropped[:, :, 2:].double()
    assert abs(torch.corrcoef(own[:, :2, 0].T)[0, 1]) < 0.2


def test_levels_learn_what_one_alone_has_private():
    torch.manual_seed(0)
    x = torch.randn(400, 7, dtype=torch.float64)
    y = torch.stack([x[:, 0] * x[:, 1], x[:, 2].abs(), -x[:, 0] * x[:, 1]], dim=1)
    module = make_module(n_task_experts=1, n_levels=2)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    losses = []
    for _ in range(120):
        loss = nn.functional.mse_loss(module(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("name", ["n_task_experts", "n_levels"])
def test_what_one_gate_for_all_cannot_have_is_named(name):
    with pytest.raises(ValueError, match=f"{name} is for gates of single tasks"):
        MMoE(3, [1, 1], gating="shared", **{name: 2})


@pytest.mark.parametrize(
    ("name", "value"), [("n_task_experts", -1), ("n_task_experts", 1.5), ("n_levels", 0), ("n_levels", 101)]
)
def test_bad_sizes_are_named(name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        MMoE(3, [1, 1], **{name: value})
