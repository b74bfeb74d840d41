"""`fit` and all answers on memory maps too large to be copied: read batch by batch, and nothing else changes."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    all_three,
    assert_same_answers,
    assert_unfitted,
    changed,
    fine_score,
    fitted_on_data,
    make_data,
    make_features,
    make_model,
    make_targets,
)
from operators import Operators
from sklearn.base import clone
from skorch.callbacks import Callback

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._common import memory as _memory
from sklearn_mmoe._estimators import fit as _fit
from sklearn_mmoe._features import mapped_rows
from sklearn_mmoe._features.mapped_rows import MappedRows
from sklearn_mmoe._features.tensors import RowBatches, TensorRows
from sklearn_mmoe._features.validation import check_rows
from sklearn_mmoe._held_out import blending
from sklearn_mmoe.metrics import make_task_scorer
from sklearn_mmoe.plot import TaskAffinityDisplay

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_memory(monkeypatch):
    """Every memory map is too large."""
    monkeypatch.setattr(_memory, "available_memory", lambda: 0)


@pytest.fixture
def mapped(tmp_path):
    """A function that writes an array to a file and maps it."""

    def write_and_map(array, name="array", fortran=False):
        np.save(tmp_path / f"{name}.npy", np.asfortranarray(array) if fortran else array)
        return np.load(tmp_path / f"{name}.npy", mmap_mode="r")

    return write_and_map


# --------------------------------------------------------------------------------------------------------------------
# The rows


@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", ">f4", "int16", "uint8", "bool"])
def test_rows_are_those_of_the_array(dtype, fortran, mapped):
    array = (100 * np.random.default_rng(0).random((50, 3))).astype(dtype)
    rows = MappedRows(np.asarray(mapped(array, fortran=fortran)), "float32", CPU)
    table = torch.from_numpy(array.astype(np.float32))
    assert (len(rows), rows.shape) == (50, (50, 3))
    for taken in (slice(3, 9), slice(45, 60), slice(None, None, -2), [4, 1], 7, np.arange(50) % 2 == 0):
        expected = torch.from_numpy(array[taken].astype(np.float32))
        assert torch.equal(rows[taken], expected)
        assert rows[taken].dtype == torch.float32
    order = torch.randperm(50)[:20]
    assert torch.equal(rows.index_select(0, order), table[order])
    np.testing.assert_array_equal(np.vstack(list(rows.chunks())), array.astype(np.float32))


def test_rows_of_a_batch_are_read_from_front_to_back():
    class Recorded(np.ndarray):
        def __getitem__(self, rows):
            read.append(rows)
            return super().__getitem__(rows)

    read = []
    array = np.arange(20.0).reshape(10, 2)
    batch = MappedRows(array.view(Recorded), "float64", CPU).index_select(0, torch.tensor([7, 2, 9, 0]))
    assert read[0].tolist() == [0, 2, 7, 9]
    assert batch[:, 0].tolist() == [14.0, 4.0, 18.0, 0.0]


def test_chunks_are_of_some_rows_each(monkeypatch):
    rows = MappedRows(np.arange(20.0).reshape(10, 2), "float32", CPU)
    monkeypatch.setattr(mapped_rows, "CHUNK_BYTES", 4 * 8)
    assert [len(chunk) for chunk in rows.chunks()] == [4, 4, 2]
    monkeypatch.setattr(mapped_rows, "CHUNK_BYTES", 1)
    assert [len(chunk) for chunk in rows.chunks()] == [1] * 10


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("some", [False, True])
def test_batches_are_those_of_a_tensor(shuffle, some):
    array, y = np.random.default_rng(0).random((50, 3)), torch.arange(50.0)
    rows = torch.randperm(50)[:33] if some else None
    batches = []
    for X in (MappedRows(array, "float64", CPU), torch.from_numpy(array)):
        torch.manual_seed(0)
        batches.append(list(RowBatches(TensorRows(X, y, rows), 8, shuffle=shuffle)))
    assert len(batches[0]) == len(batches[1]) == (5 if some else 7)
    for own, expected in zip(*batches, strict=True):
        assert torch.equal(own[0], expected[0])
        assert torch.equal(own[1], expected[1])


# --------------------------------------------------------------------------------------------------------------------
# The estimators


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"early_stopping": True},
        {"n_members": 3},  # held-out folds
        {"shuffle": False, "batch_size": 7},
        {"dtype": "float64"},
        {"precision": "bf16"},
        {"gate_balance": 0.1, "optimizer": "sgd"},
    ],
    ids=str,
)
@all_three
def test_a_model_is_the_same_to_the_last_digit(name, options, mapped):
    X, y = make_data(name)
    X_mapped = mapped(X)
    expected = fitted_on_data(name, **options)
    model = clone(expected).fit(X_mapped, y)
    assert_same_answers(model, expected, X)
    np.testing.assert_array_equal(model.expert_usage_, expected.expert_usage_)
    assert model.loss_curve_ == expected.loss_curve_
    assert model.validation_scores_ == expected.validation_scores_
    for key, answer in {"predict": model.predict, "gates": model.gate_weights}.items():
        np.testing.assert_array_equal(answer(X_mapped), answer(X), err_msg=key)
    assert model.score(X_mapped, y) == model.score(X, y)


@all_three
def test_validation_data_weights_and_going_on(name, mapped):
    X, y = make_features(), make_targets(name)
    X_mapped, weights = mapped(X), np.linspace(1, 2, len(X))
    models = []
    for features in (X, X_mapped):
        model = make_model(name, warm_start=True).fit(features, y, weights, X_val=features[::2], y_val=y[::2])
        models.append(model.fit(features, y).partial_fit(features[:20], y[:20]))
    assert_same_answers(*models, X)
    assert models[0].validation_scores_ == models[1].validation_scores_
    assert fine_score(models[0], X_mapped, y) == fine_score(models[1], X, y)


@pytest.mark.parametrize("view", [lambda X: X[::2], lambda X: X[:, 1:], lambda X: X[::-1, ::-1], np.asarray])
def test_views_of_a_map_are_maps(view, mapped):
    X, y = make_features(), make_targets("regressor")
    X_mapped = view(mapped(X))
    y = y[: len(X_mapped)]
    model = make_model("regressor").fit(X_mapped, y)
    assert_same_answers(model, make_model("regressor").fit(view(X), y), view(X))


def test_whole_numbers_are_features(mapped):
    X, y = (100 * make_features()).astype(np.int16), make_targets("regressor")
    model = make_model("regressor").fit(mapped(X), y)
    assert_same_answers(model, make_model("regressor").fit(X, y), X)


def kind_of_rows(X):
    return type(check_rows(make_model("regressor"), X, None, dtype="float32", reset=True))


def test_only_large_maps_of_numbers_are_read_batch_by_batch(mapped, monkeypatch):
    X = make_features()
    assert kind_of_rows(mapped(X)) is MappedRows
    assert kind_of_rows(X) is np.ndarray
    assert kind_of_rows(pd.DataFrame(X)) is np.ndarray
    monkeypatch.setattr(_memory, "available_memory", lambda: 4 * X.nbytes)
    assert kind_of_rows(mapped(X)) is np.ndarray


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_as_large_as_the_map_is_made(dtype, mapped, monkeypatch):
    """NumPy's memory, as tracemalloc sees it, and torch's, operator by operator."""
    monkeypatch.setattr(mapped_rows, "CHUNK_BYTES", 2**17)
    monkeypatch.setattr(_fit, "ROWS_TO_LEARN_NUMBERS", 500)
    monkeypatch.setattr(blending, "ROWS", 100)
    X = mapped(np.random.default_rng(0).normal(size=(16_000, 100)).astype(dtype))
    y = X[:, 0] + X[:, 1]
    small = {"n_members": 1, "n_experts": 2, "expert_layer_sizes": (8,), "tower_layer_sizes": (4,)}
    small |= {"numeric_embeddings": "linear"}  # cosines of a batch are larger than it
    model = MMoERegressor(**small, max_epochs=1, batch_size=400, random_state=0)
    converted = X.size * 4
    calls = [
        lambda: model.fit(X, y),
        lambda: model.fit(X, y, X_val=X, y_val=y),
        lambda: model.partial_fit(X, y),
        lambda: model.predict(X),
    ]
    for call in calls:
        tracemalloc.start()
        with Operators() as operators:
            call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.3 * converted
        assert 0 < operators.largest < 0.1 * converted


def test_callbacks_see_the_rows_of_the_map(mapped):
    class Watcher(Callback):
        def on_train_begin(self, net, X, y, **kwargs):
            seen.append((type(X.X), X.X.shape, tuple(X[:5][0].shape), X[3][0].tolist()))

        def on_batch_begin(self, net, batch, training, **kwargs):
            seen.append(tuple(batch[0].shape))

    seen = []
    X, y = make_features(), make_targets("regressor")
    make_model("regressor", callbacks=[Watcher()], max_epochs=1, batch_size=40).fit(mapped(X), y)
    assert seen == [(MappedRows, (60, 4), (5, 4), X[3].astype(np.float32).tolist()), (40, 4), (20, 4)]


def test_a_scorer_sees_validation_rows_of_the_map(mapped):
    X, y = make_features(), make_targets("regressor")
    options = {"monitor": make_task_scorer("r2", task="y0"), "early_stopping": True}
    model = make_model("regressor", **options).fit(mapped(X), y)
    assert model.validation_scores_ == make_model("regressor", **options).fit(X, y).validation_scores_


def test_gradients_of_a_fitted_model_by_the_rows_of_a_map(mapped):
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor").fit(X, y)
    options = {"kind": "gradients", "random_state": 0}
    displays = [TaskAffinityDisplay.from_estimator(model, own, y, **options) for own in (X, mapped(X))]
    np.testing.assert_array_equal(displays[0].affinity, displays[1].affinity)


def test_categories_of_a_map_are_found(mapped):
    X, y = np.floor(2 * make_features()), make_targets("regressor")
    model = make_model("regressor", categorical_features=[0]).fit(mapped(X), y)
    assert_same_answers(model, make_model("regressor", categorical_features=[0]).fit(X, y), X)


# --------------------------------------------------------------------------------------------------------------------
# What is refused


@pytest.mark.parametrize("chunk_bytes", [2**26, 64])
@pytest.mark.parametrize(
    "bad",
    [
        {(50, 1): np.nan},
        {(3, 2): np.inf, (59, 0): -np.inf},
        {(3, 2): np.inf, (59, 0): np.nan},
        {(0, 0): 1e300},
        {(i, 3): (-1) ** i * np.inf for i in range(2)},
    ],
    ids=["nan", "infinities", "both", "too large", "opposite infinities"],
)
@pytest.mark.parametrize("kind", ["auto", None])
def test_bad_values_are_found_wherever_they_are(kind, bad, chunk_bytes, mapped, monkeypatch):
    monkeypatch.setattr(mapped_rows, "CHUNK_BYTES", chunk_bytes)
    X, y = make_features(), make_targets("regressor")
    for (row, column), value in bad.items():
        X = changed(X, row, column, value)
    model, messages = make_model("regressor", numeric_embeddings=kind), []
    if kind == "auto" and set(bad.values()) <= {np.nan}:  # missing numbers are no bad ones
        np.testing.assert_allclose(model.fit(mapped(X), y).predict(mapped(X)), model.predict(X), rtol=1e-5, atol=1e-6)
        return
    for features in (X, mapped(X)):
        with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity|a number, 1e\+300)") as error:
            model.fit(features, y)
        messages.append(str(error.value))
        assert_unfitted(model)
    assert messages[0] == messages[1]
    with pytest.raises(ValueError, match="Input X_val contains"):
        model.fit(make_features(), y, X_val=mapped(X), y_val=y)
    model.fit(make_features(), y)
    with pytest.raises(ValueError, match="Input X contains"):
        model.predict(mapped(X))


def test_values_whose_sum_overflows_are_no_infinity(mapped):
    X = np.full((60, 4), np.finfo(np.float32).max, dtype=np.float32)
    assert kind_of_rows(mapped(X)) is MappedRows


def test_other_numbers_of_features_and_dimensions(mapped):
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor").fit(mapped(X), y)
    assert model.n_features_in_ == 4
    with pytest.raises(ValueError, match="X has 3 features, but MMoERegressor is expecting 4"):
        model.predict(mapped(X[:, :3]))
    for wrong in (X[:, 0], X[None]):
        with pytest.raises(ValueError, match=r"Expected 2D array|Found array with dim 3"):
            model.fit(mapped(wrong), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(mapped(X), y[:7])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_too_the_model_is_the_same(mapped):
    X, y = make_data("regressor", 3000)
    for options in ({}, {"shuffle": False}, {"early_stopping": False}):
        models = [make_model("regressor", device="cuda", **options).fit(features, y) for features in (X, mapped(X))]
        assert_same_answers(*models, X)
        np.testing.assert_array_equal(models[1].predict(mapped(X)), models[0].predict(X))
