"""Embeddings of numbers in the estimators: any scale, missing numbers, and wherever a model goes."""

import functools

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers import (
    all_three,
    assert_same_answers,
    assert_same_model,
    by_file,
    by_joblib,
    by_pickle,
    by_skops,
    make_features,
    make_model,
    make_targets,
)
from scipy.sparse import csr_array
from sklearn.datasets import make_regression
from sklearn.utils import get_tags

from sklearn_mmoe import MMoERegressor, make_tabular_pipeline
from sklearn_mmoe._common import memory as _memory
from sklearn_mmoe._estimators import fit as _fit
from sklearn_mmoe._features.tensors import TensorRows
from sklearn_mmoe.export import to_onnx
from sklearn_mmoe.nn import MMoE, PeriodicEmbeddings

KINDS = ["linear", "periodic", "piecewise"]
kinds = pytest.mark.parametrize("kind", KINDS)
LEARNING = {"n_members": 1, "n_experts": 2, "learning_rate": 0.02, "early_stopping": False, "random_state": 0}


def with_holes(X, share=0.2, seed=0):
    X = np.array(X, dtype=float)
    X[np.random.default_rng(seed).random(X.shape) < share] = np.nan
    return X


@kinds
@all_three
def test_missing_numbers_are_taken(name, kind):
    X, y = with_holes(make_features()), make_targets(name)
    model = make_model(name, numeric_embeddings=kind).fit(X, y)
    assert all(np.isfinite(np.asarray(answer, dtype=float)).all() for answer in model.gate_weights(X))
    model.predict(X)
    model.partial_fit(X, y)
    assert get_tags(model).input_tags.allow_nan


@kinds
def test_that_a_number_is_missing_tells_something(kind):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    missing = rng.random(400) < 0.3
    y = np.column_stack([missing * 2.0, X[:, 1]])
    X[missing, 0] = np.nan
    options = {**LEARNING, "max_epochs": 60, "random_state": 3}
    model = MMoERegressor(numeric_embeddings=kind, **options).fit(X[:300], y[:300])
    assert model.score(X[300:], y[300:]) > 0.9


@kinds
def test_features_of_any_scale_are_learned(kind):
    """Without a scaler before it, beside the same rows on scales that differ by ten orders of magnitude."""
    X, y = make_regression(400, 5, n_targets=2, random_state=0)
    scales, shifts = np.array([1e-5, 1, 1e2, 1e5, 10]), np.array([0, 3, 1e3, 1e6, -5])
    scores = [
        MMoERegressor(numeric_embeddings=kind, max_epochs=40, **LEARNING).fit(Z[:300], y[:300]).score(Z[300:], y[300:])
        for Z in (X, X * scales + shifts)
    ]
    assert min(scores) > 0.97
    assert scores[0] == pytest.approx(scores[1], abs=0.01)


def test_functions_of_numbers_resolve_what_plain_numbers_blur():
    X = np.random.default_rng(0).uniform(-1, 1, size=(600, 1))
    y = np.column_stack([np.sin(20 * X[:, 0]), np.cos(20 * X[:, 0])])
    options = {**LEARNING, "max_epochs": 60}
    scores = {
        kind: MMoERegressor(numeric_embeddings=kind, **options).fit(X[:400], y[:400]).score(X[400:], y[400:])
        for kind in ("linear", "periodic", "piecewise")
    }
    assert min(scores["periodic"], scores["piecewise"]) > 0.9 > 0.5 > scores["linear"]


@pytest.mark.parametrize(("n_numbers", "width"), [(100, 5), (101, 1)])
def test_auto_embeds_so_many_numbers(n_numbers, width):
    X = np.random.default_rng(0).normal(size=(30, n_numbers))
    options = {**LEARNING, "learning_rate": 1e-3}
    model = MMoERegressor(numeric_embeddings="auto", max_epochs=1, **options).fit(X, X[:, :2])
    assert model.module_.numeric_embeddings.width == width
    assert np.isfinite(model.predict(with_holes(X))).all()


def test_a_module_of_ones_own_may_know_of_no_embeddings():
    class Plain(torch.nn.Module):
        def __init__(self, n_features, task_outputs, **others):
            super().__init__()
            assert "numeric_embeddings" not in others
            self.linear = torch.nn.Linear(n_features, sum(task_outputs))

        def forward(self, x):
            return self.linear(x)

        def gate_weights(self, x):
            return torch.ones(len(x), 2, 1)

    X = make_features()
    model = make_model("regressor", numeric_embeddings="auto", net_params={"module": Plain})
    model.fit(X, make_targets("regressor"))
    with pytest.raises(ValueError, match="does not accept missing values"):
        model.predict(with_holes(X))


@pytest.mark.parametrize(
    "make", [PeriodicEmbeddings, functools.partial(PeriodicEmbeddings, n_frequencies=3, n_outputs=2)]
)
def test_a_callable_makes_the_embeddings(make):
    model = make_model("regressor", numeric_embeddings=make).fit(make_features(), make_targets("regressor"))
    assert model.module_.numeric_embeddings.width == make(4, 1).width
    assert_same_answers(model, by_joblib(model), make_features())


class Squares(torch.nn.Module):
    """Of NaN it makes NaN."""

    width = 2

    def __init__(self, n_features, n_members):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.rand(()))

    def forward(self, x):
        return torch.stack([x, self.factor * x.square()], dim=-1).flatten(1).unsqueeze(0)


class Raises(Squares):
    """Of NaN it makes nothing."""

    def forward(self, x):
        assert not x.isnan().any()
        return super().forward(x)


class Zeros(Squares):
    """NaN is 0 to it."""

    def forward(self, x):
        return super().forward(x.nan_to_num(0.0))


@pytest.mark.parametrize("columns", [None, [1]])
@pytest.mark.parametrize("make", [Squares, Raises])
def test_embeddings_of_ones_own_that_take_no_missing_numbers_are_given_none(make, columns):
    X, y = make_features(), make_targets("regressor")
    refused = pytest.raises(
        ValueError, match=r"NaN in columns 0, .*nor a callable whose module makes no finite numbers"
    )
    model = make_model("regressor", numeric_embeddings=make, categorical_features=columns)
    with refused:
        model.fit(with_holes(X), y)
    with refused:
        model.fit(X, y, X_val=with_holes(X), y_val=y)
    model.fit(X, y)
    for call in (model.predict, functools.partial(model.partial_fit, y=y)):
        with refused:
            call(with_holes(X))


@pytest.mark.parametrize("columns", [None, [1]])
def test_embeddings_of_ones_own_may_take_missing_numbers(columns):
    X, y = with_holes(make_features()), make_targets("regressor")
    model = make_model("regressor", numeric_embeddings=Zeros, categorical_features=columns).fit(X, y)
    assert np.isfinite(model.partial_fit(X, y).predict(X)).all()


def test_trying_embeddings_out_draws_no_numbers_of_others():
    X, y = with_holes(make_features()), make_targets("regressor")
    state = torch.get_rng_state()
    make_model("regressor", numeric_embeddings=Zeros).fit(X, y)
    make_tabular_pipeline(MMoERegressor(numeric_embeddings=Zeros))
    assert torch.equal(torch.get_rng_state(), state)


def test_what_the_net_is_told_decides_whether_numbers_may_be_missing():
    X, y = with_holes(make_features()), make_targets("regressor")
    make_model("regressor", numeric_embeddings=None, net_params={"module__numeric_embeddings": "linear"}).fit(X, y)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        make_model("regressor", net_params={"module__numeric_embeddings": None}).fit(X, y)


def test_what_is_no_kind_of_embeddings_is_refused():
    for asked, text in (
        ("fourier", "The 'numeric_embeddings' parameter of"),
        (torch.nn.Linear, "numeric_embeddings must be"),
    ):
        with pytest.raises(ValueError, match=text):
            make_model("regressor", numeric_embeddings=asked).fit(make_features(), make_targets("regressor"))


# --------------------------------------------------------------------------------------------------------------------
# What X may be


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@kinds
def test_frames_may_have_categories_beside_missing_numbers(kind, frame):
    numbers = with_holes(make_features())
    columns = {f"x{i}": [None if np.isnan(value) else value for value in column] for i, column in enumerate(numbers.T)}
    X = frame({**columns, "place": ["a", None, "b"] * (len(numbers) // 3)})
    model = make_model("regressor", numeric_embeddings=kind).fit(X, make_targets("regressor"))
    assert np.isfinite(model.predict(X)).all()
    assert model.module_.numeric_embeddings.n_features == 4


def test_nullable_columns_and_lists_are_taken_as_arrays_are():
    numbers = with_holes(make_features())
    y = make_targets("regressor")
    expected = make_model("regressor", numeric_embeddings="linear").fit(numbers, y).predict(numbers)
    nullable = pd.DataFrame(numbers).astype("Float64")
    lists = numbers.tolist()
    for X in (nullable, lists):
        assert np.array_equal(make_model("regressor", numeric_embeddings="linear").fit(X, y).predict(X), expected)


@pytest.mark.parametrize("asked", [*KINDS, PeriodicEmbeddings])
def test_sparse_rows_have_no_embeddings(asked):
    X, y = csr_array(make_features()), make_targets("regressor")
    with pytest.raises(ValueError, match="needs a dense X, got a sparse one"):
        make_model("regressor", numeric_embeddings=asked).fit(X, y)
    model = make_model("regressor", numeric_embeddings="auto").fit(X, y)
    assert model.module_.numeric_embeddings is None
    X.data[0] = np.nan
    with pytest.raises(ValueError, match="does not accept missing values"):
        model.predict(X)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("columns", [None, [1]])
def test_infinity_is_refused_beside_missing_numbers(value, columns):
    X = with_holes(make_features())
    X[5, 3] = value
    model = make_model("regressor", numeric_embeddings="linear", categorical_features=columns)
    with pytest.raises(ValueError, match=r"Input X contains (infinity|a number, 1e\+300,).* in column 3"):
        model.fit(X, make_targets("regressor"))


def test_without_embeddings_the_message_names_them():
    with pytest.raises(ValueError, match="numeric_embeddings='auto' takes missing numbers, which None does not"):
        make_model("regressor", numeric_embeddings=None).fit(with_holes(make_features()), make_targets("regressor"))


@kinds
def test_large_memory_maps_may_have_missing_numbers(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(_memory, "available_memory", lambda: 0)
    X, y = with_holes(make_features()).astype(np.float32), make_targets("regressor")
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    models = [make_model("regressor", numeric_embeddings=kind).fit(rows, y) for rows in (X, mapped)]
    np.testing.assert_allclose(models[1].predict(mapped), models[0].predict(X), rtol=1e-5)


# --------------------------------------------------------------------------------------------------------------------
# Where a model goes


@pytest.mark.parametrize("back", [by_pickle, by_joblib, by_skops, by_file])
@kinds
@all_three
def test_saved_models_answer_as_before(name, kind, back):
    X = with_holes(make_features())
    model = make_model(name, numeric_embeddings=kind, n_members=2).fit(X, make_targets(name))
    assert_same_answers(model, back(model), X)


@kinds
def test_graphs_take_missing_numbers(kind):
    onnxruntime = pytest.importorskip("onnxruntime")
    X = with_holes(make_features()).astype(np.float32)
    model = make_model("regressor", numeric_embeddings=kind, n_members=2).fit(X, make_targets("regressor"))
    graph = onnxruntime.InferenceSession(to_onnx(model, example=X[:5]).SerializeToString())
    answers = graph.run(None, {graph.get_inputs()[0].name: X})
    np.testing.assert_allclose(
        np.column_stack([np.ravel(own) for own in answers]), model.predict(X), rtol=1e-4, atol=1e-5
    )


@kinds
def test_chunks_keep_the_scale_of_the_first(kind):
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor", numeric_embeddings=kind).partial_fit(X, y)
    scale = model.module_.numeric_embeddings.scale.clone()
    model.partial_fit(X * 100, y)
    assert torch.equal(model.module_.numeric_embeddings.scale, scale)


@kinds
def test_a_warm_start_goes_on_with_embeddings(kind):
    X, y = with_holes(make_features()), make_targets("regressor")
    model = make_model("regressor", numeric_embeddings=kind, warm_start=True, max_epochs=2).fit(X, y)
    model.fit(X, y)
    assert model.n_iter_ == 4
    with pytest.raises(ValueError, match="numeric_embeddings"):
        model.set_params(numeric_embeddings=None).fit(make_features(), y)


@kinds
def test_the_scale_is_learned_from_some_rows(kind, monkeypatch):
    monkeypatch.setattr(_fit, "ROWS_TO_LEARN_NUMBERS", 10)
    X = torch.from_numpy(make_features()).float()
    model = make_model("regressor", numeric_embeddings=kind).fit(X, make_targets("regressor"))
    expected = MMoE(4, [1], numeric_embeddings=kind).numeric_embeddings
    expected.learn(TensorRows(X, X).sample(10)[0])
    assert torch.allclose(model.module_.numeric_embeddings.center, expected.center)


@kinds
def test_bf16_trains_embeddings(kind):
    X, y = with_holes(make_features()), make_targets("regressor")
    model = make_model("regressor", numeric_embeddings=kind, precision="bf16").fit(X, y)
    full = make_model("regressor", numeric_embeddings=kind).fit(X, y)
    np.testing.assert_allclose(model.predict(X), full.predict(X), atol=0.1 * np.std(y))


@kinds
def test_equal_seeds_make_equal_models(kind):
    X, y = with_holes(make_features()), make_targets("regressor")
    first, second = (make_model("regressor", numeric_embeddings=kind).fit(X, y) for _ in range(2))
    assert_same_model(first, second)
