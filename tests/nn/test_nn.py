"""The batched network against the textbook module, and what a user of the bare module relies on."""

import itertools
import math

import numpy as np
import pytest
import torch
from operators import Operators
from reference import TextbookMMoE, copy_weights, corresponding_parameters
from torch import nn

from sklearn_mmoe.nn import MMoE
from sklearn_mmoe.nn._layers import mixtures

WIDTHS = {1: [[1], [4]], 2: [[1, 1], [3, 1]], 3: [[1, 1, 1], [2, 5, 1]], 7: [[1] * 7, [1, 3, 1, 7, 2, 1, 3]]}
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}


def make_pair(n_features, widths, n_experts, expert_sizes, gate_sizes, tower_sizes, dtype, final_activation=True):
    torch.manual_seed(0)
    textbook = TextbookMMoE(n_features, widths, n_experts, expert_sizes, gate_sizes, tower_sizes, final_activation)
    module = MMoE(
        n_features,
        widths,
        n_experts=n_experts,
        expert_layer_sizes=expert_sizes,
        gate_layer_sizes=gate_sizes,
        tower_layer_sizes=tower_sizes,
        final_expert_activation=final_activation,
    )
    copy_weights(module, textbook)
    return module.to(dtype), textbook.to(dtype)


def assert_same_outputs_and_gradients(module, textbook, n_rows, n_features, dtype):
    x = torch.randn(n_rows, n_features, dtype=dtype)
    x_textbook = x.clone().requires_grad_()
    x = x.requires_grad_()
    outputs, expected = module(x), textbook(x_textbook)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(outputs, expected, rtol=tolerance, atol=tolerance)
    direction = torch.randn_like(outputs) / outputs.numel()
    module.zero_grad()
    textbook.zero_grad()
    (outputs * direction).sum().backward()
    (expected * direction).sum().backward()
    torch.testing.assert_close(x.grad, x_textbook.grad, rtol=tolerance, atol=tolerance)
    covered = {parameter: torch.zeros_like(parameter, dtype=torch.bool) for parameter in module.parameters()}
    for (parameter, part), own in corresponding_parameters(module, textbook):
        torch.testing.assert_close(part(parameter.grad), own.grad, rtol=tolerance, atol=tolerance)
        part(covered[parameter]).fill_(True)
    assert all(mask.all() for mask in covered.values()), "a parameter that no part of the textbook module has"
    with torch.no_grad():
        gates = module.gate_weights(x)
        torch.testing.assert_close(gates, textbook.gate_weights(x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("n_experts", [1, 2, 8])
@pytest.mark.parametrize("n_tasks", [1, 2, 3, 7])
def test_equals_the_textbook_module(n_tasks, n_experts, dtype):
    depths = itertools.product([(6,), (6, 5), (6, 4, 5)], [(), (3,), (3, 2)], [(), (4,), (4, 3)])
    for (experts, gates, towers), widths in zip(depths, itertools.cycle(WIDTHS[n_tasks])):
        module, textbook = make_pair(9, widths, n_experts, experts, gates, towers, dtype)
        for n_rows in (1, 2, 257):
            assert_same_outputs_and_gradients(module, textbook, n_rows, 9, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_equals_the_textbook_configuration(dtype):
    module, textbook = make_pair(128, [1, 1, 1], 4, (64, 64), (), (32,), dtype, final_activation=False)
    assert_same_outputs_and_gradients(module, textbook, 32, 128, dtype)


def test_textbook_configuration_trains_on_binary_labels():
    torch.manual_seed(0)
    module = MMoE(128, [1, 1, 1], n_experts=4, final_expert_activation=False)
    x = torch.randn(32, 128)
    labels = (x[:, :3] > 0).float()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        outputs = module(x)
        loss = nn.BCEWithLogitsLoss()(outputs, labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert outputs.shape == (32, 3)
    assert losses[-1] < 0.1 * losses[0]


def test_shared_gating_gives_all_tasks_the_same_gate():
    module = MMoE(5, [1, 3], gating="shared", n_experts=4)
    gates = module.gate_weights(torch.randn(10, 5))
    assert gates.shape == (10, 2, 4)
    assert torch.equal(gates[:, 0], gates[:, 1])
    assert module(torch.randn(10, 5)).shape == (10, 4)


def test_shared_gating_equals_per_task_gating_with_equal_gates():
    shared, own = (MMoE(5, [1, 2], gating=gating, n_experts=3) for gating in ("shared", "per_task"))
    with torch.no_grad():
        gate = {f"gate_input_layer.{n}": torch.cat([p, p]) for n, p in shared.gate_input_layer.named_parameters()}
        own.load_state_dict({**shared.state_dict(), **gate})
    x = torch.randn(20, 5)
    torch.testing.assert_close(shared(x), own(x))


@pytest.mark.parametrize(("layers", "n_in"), [("expert_layers", 10), ("gate_layers", 30), ("tower_layers", 20)])
def test_batched_layers_start_as_linear_layers_would(layers, n_in):
    """nn.Linear draws weights and biases uniformly within 1 / sqrt(fan in); 3-D kernels tempt one to another fan."""
    torch.manual_seed(0)
    module = MMoE(
        10, [1] * 6, n_experts=6, expert_layer_sizes=(40, 20), gate_layer_sizes=(30,), tower_layer_sizes=(50,)
    )
    batched = next(layer for layer in getattr(module, layers) if hasattr(layer, "weight"))
    bound = 1 / math.sqrt(n_in)
    for parameter in (batched.weight, batched.bias):
        assert parameter.abs().max().item() <= bound
        assert parameter.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.2)
    first = batched.weight[0]
    assert not any(torch.allclose(first, other) for other in batched.weight[1:])


def test_head_starts_as_a_linear_layer_would():
    torch.manual_seed(0)
    module = MMoE(10, [1, 50, 3], tower_layer_sizes=(64,))
    for parameter in (module.heads.weight, module.heads.bias):
        assert parameter.abs().max() <= 1 / 8
        assert parameter.std().item() == pytest.approx(1 / 8 / math.sqrt(3), rel=0.2)


def test_gate_dropout_removes_experts_per_row_and_renormalises():
    torch.manual_seed(0)
    module = MMoE(5, [1, 1], n_experts=4, gate_dropout=0.5)
    x = torch.randn(1, 5).expand(2000, 5)
    full = module.eval().gate_weights(x)
    gates = module.train().gate_weights(x)
    torch.testing.assert_close(gates.sum(dim=-1), torch.ones(2000, 2))
    dropped = gates == 0
    assert torch.equal(dropped[:, 0], dropped[:, 1]), "an expert is dropped for a row, whatever the task"
    kept_share = torch.where(dropped, 0.0, full)
    torch.testing.assert_close(gates, kept_share / kept_share.sum(dim=-1, keepdim=True))
    # All four are dropped with probability 1/16, and then all are kept: (1/2 - 1/16) of the cells are 0
    assert dropped.float().mean().item() == pytest.approx(0.4375, abs=0.03)


def test_dropout_acts_in_training_only():
    module = MMoE(5, [1], dropout=0.5)
    x = torch.randn(20, 5)
    assert not torch.equal(module.train()(x), module(x))
    assert torch.equal(module.eval()(x), module(x))


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "tanh", nn.Softplus])
def test_activation_is_used_in_every_part(activation):
    module = MMoE(5, [1], activation=activation, gate_layer_sizes=(3,), expert_layer_sizes=(4, 4))
    kinds = [type(m).__name__ for m in module.modules()]
    name = activation.__name__ if isinstance(activation, type) else activation
    assert sum(kind.lower() == name.lower() for kind in kinds) == 4  # two in the experts, one in gate and tower
    assert torch.isfinite(module(torch.randn(3, 5))).all()


def count_operators(n_tasks, n_experts):
    module = MMoE(5, [1, 3] * (n_tasks // 2), n_experts=n_experts, gate_layer_sizes=(4,))
    with Operators() as counter:
        module(torch.randn(6, 5)).sum().backward()
    return counter.n


def test_operators_do_not_grow_with_tasks_or_experts():
    assert max(count_operators(20, 2), count_operators(2, 15)) <= count_operators(2, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_features": 0}, "n_features"),
        ({"task_outputs": []}, "task_outputs must not be empty"),
        ({"task_outputs": [1, 0]}, "task_outputs"),
        ({"n_experts": 0}, "n_experts"),
        ({"expert_layer_sizes": ()}, "expert_layer_sizes must not be empty"),
        ({"expert_layer_sizes": (4, -1)}, "expert_layer_sizes"),
        ({"gate_layer_sizes": (0,)}, "gate_layer_sizes"),
        ({"tower_layer_sizes": (0,)}, "tower_layer_sizes"),
        ({"gating": "none"}, r"gating must be one of \['per_task', 'shared'\]"),
        ({"activation": "step"}, "activation must be one of"),
        ({"gate_dropout": 1.0}, "gate_dropout"),
        ({"dropout": "much"}, "dropout"),
        ({"n_experts": 2.0}, "n_experts must be an integer from 1 up"),
        ({"expert_layer_sizes": 8}, "expert_layer_sizes must be a sequence of integers"),
        ({"expert_layer_sizes": ([8], 4)}, "each of expert_layer_sizes"),
        ({"sparse_gradients": "yes"}, "sparse_gradients must be True or False"),
        ({"activation": nn.Module}, r"activation .* \(NotImplementedError"),
        ({"activation": nn.Threshold}, r"activation .* missing 2 required"),
        ({"activation": nn.GLU}, r"activation .* \(gives other units than it gets\)"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        MMoE(**{"n_features": 3, "task_outputs": [1], **arguments})


@pytest.mark.parametrize("size", [2**40, 10**18, 10**400])
@pytest.mark.parametrize("argument", ["n_features", "n_experts", "n_members"])
def test_weights_that_find_no_room_are_not_made(argument, size):
    with pytest.raises(ValueError, match=argument):
        MMoE(**{"n_features": 3, "task_outputs": [1], argument: size})


@pytest.mark.parametrize("size", [2**40, 10**18, 10**400])
@pytest.mark.parametrize(
    "argument", ["task_outputs", "n_categories", "expert_layer_sizes", "gate_layer_sizes", "tower_layer_sizes"]
)
def test_layers_that_find_no_room_are_not_made(argument, size):
    with pytest.raises(ValueError, match=argument):
        MMoE(**{"n_features": 3, "task_outputs": [1], argument: [size]})


PLAIN = MMoE(3, [1, 2], n_experts=2, expert_layer_sizes=(4,))
CODED = MMoE(3, [1, 2], n_experts=2, expert_layer_sizes=(4,), n_categories=[3, 4], n_members=2)
ROWS, CODES = torch.zeros(5, 3), torch.zeros(5, 2, dtype=torch.int64)
methods = pytest.mark.parametrize("method", ["forward", "outputs_and_gates", "gate_weights"])


@methods
@pytest.mark.parametrize("module", [PLAIN, CODED], ids=["plain", "coded"])
@pytest.mark.parametrize(
    ("x", "words"),
    [
        *[(x, "x must be a tensor") for x in (None, 3, "x", [[1.0] * 3], np.zeros((5, 3)), object())],
        *[(torch.zeros(shape), "x must be of shape") for shape in ((), (3,), (5, 4), (5, 2), (2, 5, 3))],
        *[(ROWS.to(dtype), "x is of torch") for dtype in (torch.float64, torch.float16, torch.int64, torch.bool)],
        (ROWS.to(torch.complex64), "x is of torch.complex64 and the module of torch.float32"),
        (ROWS.to("meta"), "x is on meta and the module on cpu"),
        (ROWS.to_sparse(), "x must be a dense tensor"),
    ],
)
def test_rows_that_do_not_fit_are_named(module, method, x, words):
    with pytest.raises((TypeError, ValueError), match=words):
        getattr(module, method)(*((x,) if module is PLAIN else (x, CODES)))


@methods
@pytest.mark.parametrize(
    "codes",
    [
        *["codes", [[0, 0]] * 5, np.zeros((5, 2), dtype=int), CODES.float(), CODES.bool()],
        *[CODES[:4], CODES[:, :1], CODES[:, 0], CODES[None], torch.zeros(5, 3, dtype=torch.int64)],
        *[torch.full((5, 2), 99), torch.full((5, 2), -1)],
    ],
)
def test_codes_that_do_not_fit_are_named(method, codes):
    with pytest.raises((TypeError, ValueError), match="codes must be"):
        getattr(CODED, method)(ROWS, codes)


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("parts", [{}, {"gate_layer_sizes": (4,)}, {"gating": "shared"}, {"n_categories": [3, 40]}])
def test_no_rows_have_no_answers(parts, n_members):
    module = MMoE(3, [1, 2], n_experts=2, expert_layer_sizes=(4,), n_members=n_members, **parts)
    data = (ROWS[:0], CODES[:0]) if "n_categories" in parts else (ROWS[:0],)
    assert module(*data).shape == ((0, 3) if n_members == 1 else (2, 0, 3))
    assert module.gate_weights(*data).shape == (0, 2, 2 * n_members)


def test_autocast_takes_rows_of_its_own_type():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert PLAIN(ROWS.bfloat16()).shape == (5, 3)


def test_repr_shows_sizes():
    text = repr(MMoE(5, [1, 3], n_experts=2, expert_layer_sizes=(4, 6)))
    assert "2 x (4 -> 6)" in text
    assert "2 tasks: 32 -> 4 outputs" in text


@pytest.mark.parametrize(
    ("n_gates", "n_experts", "n_units"), [(3, 2, 64), (1, 4, 64), (1, 2, 64), (1, 2, 8), (3, 4, 64)]
)
def test_mixtures_are_sums_of_experts_however_small_a_row_is(n_gates, n_experts, n_units):
    gates = torch.rand(5, n_gates, n_experts, dtype=torch.float64, requires_grad=True)
    experts = torch.randn(5, n_experts, n_units, dtype=torch.float64, requires_grad=True)
    expected = (gates.unsqueeze(-1) * experts.unsqueeze(1)).sum(dim=2)
    mixed = mixtures(gates, experts)
    torch.testing.assert_close(mixed, expected)
    direction = torch.randn_like(expected)
    found, plain = (torch.autograd.grad(result, (gates, experts), direction) for result in (mixed, expected))
    torch.testing.assert_close(found, plain)
