"""Embeddings of numbers against loops over members, rows and features, and in networks."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sklearn_mmoe.nn import LinearEmbeddings, MMoE, PeriodicEmbeddings, PiecewiseEmbeddings
from sklearn_mmoe.nn import _numbers as numbers_module
from sklearn_mmoe.nn._numbers import NUMERIC_EMBEDDINGS
from sklearn_mmoe.nn._rows import SparseRows

KINDS = list(NUMERIC_EMBEDDINGS)
N_ROWS, N_FEATURES = 40, 6


def make_numbers(seed=0, dtype=torch.float64):
    """Of several scales; one is constant, one of two values, and some are missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N_ROWS, N_FEATURES)) * [1, 1e-3, 1e4, 1, 1, 1] + [0, 0, 5e5, 3, 0, 0]
    x[:, 3] = 7.0
    x[:, 4] = rng.integers(2, size=N_ROWS)
    x[0, 0] = 1e6  # clipped
    x[rng.random(x.shape) < 0.1] = np.nan
    return torch.from_numpy(x).to(dtype)


def learned(kind, n_members=1, **parameters):
    torch.manual_seed(0)
    embeddings = {**NUMERIC_EMBEDDINGS}[kind](N_FEATURES, n_members, **parameters).double()
    embeddings.learn(make_numbers())
    torch.nn.init.normal_(embeddings.missing)
    if kind != "linear":
        torch.nn.init.normal_(embeddings.gain)
    return embeddings


def on_a_common_scale(column, values=None):
    """By NumPy's quantiles of what there is in a column: itself, or other values."""
    there = column[~np.isnan(column)]
    low, center, high = np.quantile(there, [0.25, 0.5, 0.75], method="averaged_inverted_cdf")
    scale = (high - low) / 1.3489795 if high > low else there.std()
    values = column if values is None else values
    return np.clip((values - center) / (scale if scale > 0 else 1.0), -10, 10)


def slowly(embeddings, kind, member, z):
    """What one number of one feature becomes, before what is said of missing ones."""

    def functions(f):
        if kind == "periodic":
            own = (embeddings.frequencies[member, f, 0], embeddings.phases[member, f, 0])
            return [math.cos(2 * math.pi * (z * frequency + phase)) for frequency, phase in zip(*own, strict=True)]
        knots = embeddings.knots[0, f]
        return [
            min(1.0, max(0.0, (z - low) / (high - low))) if high > low else float(z > low)
            for low, high in itertools.pairwise(knots)
        ]

    def linear(f, d):
        weights = embeddings.weight[member, f, :, d]
        return embeddings.bias[member, f, 0, d] + sum(w * own for w, own in zip(weights, functions(f), strict=True))

    def embedded(f):
        if kind == "linear":
            return [z / math.sqrt(1 + (z / 5) ** 2)]
        return [
            3 * embeddings.gain[member, f] * own for own in (z, *(linear(f, d) for d in range(embeddings.width - 1)))
        ]

    return embedded


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_embeddings_equal_a_loop_over_all_numbers(kind, n_members):
    embeddings, x = learned(kind, n_members), make_numbers()
    scaled = np.column_stack([on_a_common_scale(column) for column in x.numpy().T])
    found = embeddings(x).expand(n_members, -1, -1).unflatten(2, (N_FEATURES, embeddings.width))
    for member in range(n_members):
        for row in range(N_ROWS):
            for f in range(N_FEATURES):
                missing = np.isnan(scaled[row, f])
                expected = np.array(
                    slowly(embeddings, kind, member, 0.0 if missing else scaled[row, f])(f), dtype=float
                )
                expected += missing * embeddings.missing[member, f].numpy()
                assert_allclose(found[member, row, f], expected, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_members_differ_in_what_they_learn_alone(kind):
    embeddings = learned(kind, 3)
    assert all(parameter.shape[0] == 3 for parameter in embeddings.state_dict().values())
    assert all((own[0] == own).all() for _, own in embeddings.named_buffers())


def test_knots_are_quantiles_of_what_there_is():
    embeddings = PiecewiseEmbeddings(1, n_bins=4)
    column = np.append(np.random.default_rng(0).exponential(size=99), np.nan)
    embeddings.double().learn(torch.from_numpy(column[:, None]))
    knots = np.quantile(column[:-1], np.linspace(0, 1, 5), method="averaged_inverted_cdf")
    assert_allclose(embeddings.knots[0, 0], on_a_common_scale(column, knots), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_weight_two_is_as_good_as_two(kind):
    """What is learned; of which only ratios matter, and in which a row of no weight is none."""
    x, counts = make_numbers(), torch.from_numpy(np.random.default_rng(1).integers(4, size=N_ROWS))
    weighted, repeated = (NUMERIC_EMBEDDINGS[kind](N_FEATURES, 1).double() for _ in range(2))
    weighted.learn(x, counts / 7)
    repeated.learn(x.repeat_interleave(counts, dim=0))
    for name, own in repeated.named_buffers():
        assert_allclose(weighted.get_buffer(name), own, rtol=1e-12)


def test_a_constant_is_scaled_by_one():
    embeddings = LinearEmbeddings(2).double()
    embeddings.learn(torch.tensor([[0.1, 7.7]] * 13, dtype=torch.float64))
    assert embeddings.scale.tolist() == [[1, 1]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_without_a_number_is_no_obstacle(kind):
    embeddings = NUMERIC_EMBEDDINGS[kind](2, 1)
    x = torch.tensor([[1.0, math.nan], [2.0, math.nan], [4.0, math.nan]])
    embeddings.learn(x)
    assert torch.isfinite(embeddings(x)).all()
    assert torch.isfinite(embeddings(torch.ones(1, 2))).all()


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_what_no_row_lacked_is_a_median_when_it_is_missing(kind):
    embeddings = NUMERIC_EMBEDDINGS[kind](2, 3)
    embeddings.learn(torch.tensor([[1.0, 5.0], [2.0, math.nan], [4.0, 6.0]]))
    lacking, median = embeddings(torch.tensor([[math.nan, 5.0], [2.0, 5.0]])).unbind(1)
    assert_allclose(lacking, median)
    lacking, median = embeddings(torch.tensor([[1.0, math.nan], [1.0, 5.5]])).unbind(1)
    assert (lacking == median).all() == (kind == "linear")  # the functions beside the number say that it was missing


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("share", [1.0, 1e-3])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_at_the_ends_of_the_range_of_floats_stay_numbers(kind, share, dtype):
    largest, least = torch.finfo(dtype).max * share, torch.finfo(dtype).smallest_normal / 2**20
    x = torch.tensor([[-1.0, 0.0], [0.0, 1.0], [1.0, 3.0]] * 5, dtype=dtype) * torch.tensor(
        [largest, least], dtype=dtype
    )
    embeddings = NUMERIC_EMBEDDINGS[kind](2, 1).to(dtype)
    embeddings.learn(x)
    assert torch.isfinite(embeddings(x)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_learned_knows_no_unit(kind):
    """Miles or kilometres: the same network answers the same."""
    torch.manual_seed(0)
    first = NUMERIC_EMBEDDINGS[kind](N_FEATURES, 2).double()
    second = copy.deepcopy(first)
    x, factors = make_numbers(), torch.tensor([1e-6, 3.0, 1e5, -2.0, 1.0, 7.0], dtype=torch.float64).abs()
    first.learn(x)
    second.learn(x * factors + 5)
    assert_allclose(first(x).detach(), second(x * factors + 5).detach(), atol=1e-6)


@pytest.mark.parametrize("kind", ["periodic", "piecewise"])
def test_functions_without_gradients_are_taken_in_parts(kind, monkeypatch):
    embeddings, x = learned(kind, 2), make_numbers()
    whole = embeddings(x)
    monkeypatch.setattr(numbers_module, "FUNCTIONS_AT_ONCE", 7 * embeddings.weight[..., 0].numel())
    with torch.no_grad():
        assert_allclose(embeddings(x), whole.detach(), rtol=1e-12)


# --------------------------------------------------------------------------------------------------------------------
# In the network


@pytest.mark.parametrize("n_categories", [(), (3, 5)])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_reads_embeddings_in_place_of_numbers(kind, n_members, n_categories):
    """Its gates read them as if there were one number of each feature."""
    torch.manual_seed(0)
    made = {"n_members": n_members, "n_experts": 2, "n_categories": n_categories}
    module = MMoE(N_FEATURES, [1, 3], numeric_embeddings=kind, **made).double()
    module.numeric_embeddings.learn(make_numbers())
    x = make_numbers(1)
    codes = torch.stack([torch.randint(0, n + 1, (N_ROWS,)) for n in n_categories], 1) if n_categories else None
    read = module.numeric_embeddings(x).expand(n_members, -1, -1)
    for member in range(n_members):
        alone = MMoE(read.shape[2], [1, 3], n_experts=2, n_categories=n_categories).double()
        state = {name: part for name, part in module.state_dict().items() if not name.startswith("numeric_embeddings")}
        state["gate_input_layer.weight"] = state["gate_input_layer.weight"] / module.numeric_embeddings.width
        shapes = alone.state_dict()
        alone.load_state_dict(
            {name: part.view(n_members, -1)[member].view(shapes[name].shape) for name, part in state.items()}
        )
        outputs = module(x, codes)
        expected = alone(read[member], codes)
        assert_allclose((outputs if n_members == 1 else outputs[member]).detach(), expected.detach(), atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient(kind):
    module = MMoE(N_FEATURES, [1], n_members=2, numeric_embeddings=kind).double()
    module.numeric_embeddings.learn(make_numbers())
    module(make_numbers()).square().mean().backward()
    assert all(torch.isfinite(own.grad).all() for own in module.parameters())
    assert all(own.grad.abs().sum() > 0 for own in module.numeric_embeddings.parameters())


def test_embeddings_of_ones_own_are_taken():
    class Squares(torch.nn.Module):
        width = 2

        def __init__(self, n_features, n_members):
            super().__init__()

        def forward(self, x):
            return torch.stack([x, x.square()], dim=-1).flatten(1).unsqueeze(0)

    module = MMoE(3, [1, 2], n_members=2, numeric_embeddings=Squares)
    assert module(torch.randn(5, 3)).shape == (2, 5, 3)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("fourier", "'fourier'"),
        (3, "'int' object is not callable"),
        (torch.nn.Linear, "no attribute 'width'"),
        (
            lambda n_features, n_members: PeriodicEmbeddings(n_features + 1, n_members),
            r"ValueError: x must be of floats",
        ),
        (lambda n_features, n_members: LinearEmbeddings(n_features, n_members + 1), "gives a tensor of shape"),
    ],
)
def test_what_makes_no_embeddings_is_refused(asked, reason):
    with pytest.raises(ValueError, match=f"numeric_embeddings must be None, one of .*{reason}"):
        MMoE(3, [1], numeric_embeddings=asked)


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_rows_are_read_as_dense_ones(kind):
    """A feature that a row names twice counts with the sum."""
    module = MMoE(3, [1], numeric_embeddings=kind)
    rows = SparseRows(torch.tensor([0, 1, 1, 4]), torch.tensor([2, 0, 1, 0]), torch.tensor([1.0, 2.0, 3.0, 4.0]), 3)
    dense = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [6.0, 3.0, 0.0]])
    assert torch.equal(module(rows), module(dense))


def test_without_numbers_there_is_nothing_to_embed():
    module = MMoE(0, [1], n_categories=[4], numeric_embeddings="periodic")
    assert module.numeric_embeddings is None
    assert module(torch.empty(3, 0), torch.tensor([[0], [1], [4]])).shape == (3, 1)
