"""Everything that touches a device, on a GPU: what is learned, what is sent there and back, and what is saved.

All of it is skipped on a machine without one.
"""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from category_tables import make_frame
from helpers import (
    TWO_FOLDS,
    all_three,
    answers_of,
    assert_same_answers,
    assert_same_model,
    fine_score,
    fingerprint,
    fitted,
    make_features,
    make_model,
    make_targets,
    round_trips,
    with_missing,
)
from joblib import parallel_config
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, StratifiedGroupKFold
from transfers import (
    FORMS,
    Transfers,
    assert_epoch_is_sent_and_read_as_much_for_few_batches_as_for_many,
    transfers_of_an_epoch,
)

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.exceptions import DivergenceError

DEVICE = "cuda"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

INPUTS = {
    "dense": lambda: (make_features(), {}),
    "categories": lambda: (make_frame(), {"categorical_features": "from_dtype"}),
    "sparse": lambda: (csr_array(np.maximum(make_features(), 0)), {}),
}
SCHEMES = {
    **FORMS,
    "early stopping of members": {"n_members": 3, "early_stopping": True},
    "upgrad": {"task_weights": "upgrad"},
    "shared gate": {"gating": "shared"},
    "float64": {"dtype": "float64"},
    "sgd": {"optimizer": "sgd"},
    "scorer": {"monitor": fine_score, "early_stopping": True},
}
SCHEMES.pop("categories")


def on_gpu(name, **parameters):
    return make_model(name, device=DEVICE, **parameters)


def devices_of(model):
    """Where all that a model has learned lies, the state of the optimizer with it."""
    net = model.net_
    tensors = [*model.module_.state_dict().values(), *net.weighting_.state_dict().values()]
    tensors += [value for state in net.optimizer_.state.values() for value in state.values() if torch.is_tensor(value)]
    return {tensor.device.type for tensor in tensors}


def assert_close_to_the_cpu(name, X, y, rtol=1e-2, **parameters):
    """Few epochs of the same rows in the same order, so that rounding has not grown into another model."""
    options = {"max_epochs": 1, "shuffle": False, "early_stopping": False, **parameters}
    model, other = on_gpu(name, **options).fit(X, y), make_model(name, device="cpu", **options).fit(X, y)
    assert model.loss_curve_ == pytest.approx(other.loss_curve_, rel=rtol)
    return model


# --------------------------------------------------------------------------------------------------------------------
# What is learned


@pytest.mark.parametrize("inputs", INPUTS)
@all_three
def test_all_lies_on_the_device_and_learns_what_the_cpu_learns(name, inputs):
    X, parameters = INPUTS[inputs]()
    model = assert_close_to_the_cpu(name, X, with_missing(make_targets(name)), **parameters)
    assert devices_of(model) == {torch.device(DEVICE).type}
    gates = model.gate_weights(X)
    assert gates.shape == (60, model.n_outputs_, 2)
    np.testing.assert_allclose(gates.sum(axis=2), 1, rtol=1e-5)


@pytest.mark.parametrize("scheme", SCHEMES)
@all_three
def test_same_seed_same_model(name, scheme):
    X, y = make_features(), with_missing(make_targets(name))
    model, again = (on_gpu(name, **SCHEMES[scheme]).fit(X, y) for _ in range(2))
    assert devices_of(model) == {torch.device(DEVICE).type}
    assert np.isfinite(model.loss_curve_).all()
    assert_same_model(again, model)


def test_losses_in_bfloat16_are_those_of_full_precision_to_a_hundredth():
    X, y = make_features(), make_targets("regressor")
    full, fast = (on_gpu("regressor", max_epochs=30, precision=precision).fit(X, y) for precision in ("full", "bf16"))
    assert fast.loss_curve_[-1] == pytest.approx(full.loss_curve_[-1], abs=1e-2)


def test_scores_are_about_those_of_the_cpu():
    X = np.random.default_rng(0).normal(size=(500, 4))
    y = np.column_stack([X[:, 0], X[:, 1] * X[:, 2]])
    y[::3, 1] = np.nan
    model, other = (MMoERegressor(device=device, max_epochs=20, random_state=0).fit(X, y) for device in (DEVICE, "cpu"))
    assert model.score(X, y) == pytest.approx(other.score(X, y), abs=0.1)


def test_tensors_that_are_there_already():
    X, y = make_features().astype(np.float32), make_targets("regressor")
    model = on_gpu("regressor").fit(torch.tensor(X, device=DEVICE), torch.tensor(y, device=DEVICE))
    assert_same_model(model, on_gpu("regressor").fit(X, y))
    np.testing.assert_array_equal(model.predict(torch.tensor(X, device=DEVICE)), model.predict(X))


@pytest.mark.parametrize("splitter", [None, StratifiedGroupKFold(2)], ids=["chance", "splitter"])
def test_groups_and_splitters_on_the_gpu(splitter):
    X, y, groups = make_features(), np.arange(60) % 2, np.arange(60) // 5
    tensors = [torch.tensor(own, device=DEVICE) for own in (X, y, groups)]
    model = on_gpu("classifier", n_members=2, validation_split=splitter)
    assert_same_model(clone(model).fit(*tensors[:2], groups=tensors[2]), model.fit(X, y, groups=groups))


def test_rows_of_many_chunks():
    X = np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float32)
    model = on_gpu("regressor").fit(X[:500], X[:500, :2])
    np.testing.assert_allclose(model.predict(X)[-500:], model.predict(X[-500:]), rtol=1e-4, atol=1e-5)


@all_three
def test_divergence_is_an_error_here_too(name):
    with pytest.raises(DivergenceError, match=r"is (nan|inf) in epoch|not finite after epoch"):
        on_gpu(name, learning_rate=1e30, max_epochs=5).fit(make_features(), make_targets(name))


def test_generators_are_left_alone():
    torch.manual_seed(1)
    torch.cuda.manual_seed_all(1)
    before = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
    X, y = make_features(), make_targets("regressor")
    for device in (DEVICE, f"{DEVICE}:0"):
        make_model("regressor", device=device, dropout=0.5).fit(X, y).partial_fit(X, y)
    after = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


# --------------------------------------------------------------------------------------------------------------------
# What is sent there and back


@pytest.mark.parametrize("form", FORMS)
@all_three
def test_an_epoch_sends_and_reads_as_much_for_few_batches_as_for_many(name, form):
    assert_epoch_is_sent_and_read_as_much_for_few_batches_as_for_many(name, form, DEVICE)


def test_of_a_balanced_gradient_nothing_is_sent_per_batch():
    """Of a method of torchjd that needs no solver on the CPU."""
    few, many = (transfers_of_an_epoch("regressor", size, DEVICE, task_weights="config") for size in (30, 6))
    assert few[0] == many[0]


@pytest.mark.parametrize("parameters", [{}, {"n_members": 2, "early_stopping": "auto"}, {"early_stopping": True}])
def test_a_fit_sends_its_rows_once(parameters):
    X = np.random.default_rng(0).normal(size=(900, 50)).astype(np.float32)
    y = X[:, :2] + 1
    with Transfers(DEVICE) as transfers:
        model = on_gpu("regressor", **parameters).fit(X, y)
    assert transfers.sent.count(X.nbytes) == 1
    assert sum(transfers.sent) < 1.5 * X.nbytes  # labels, weights and row numbers are a small part beside 50 features
    with Transfers(DEVICE) as transfers:
        model.partial_fit(X, y)
    assert transfers.sent.count(X.nbytes) == 1


def test_each_fit_of_a_search_sends_the_rows_of_its_fold_once():
    X = np.random.default_rng(0).normal(size=(900, 50)).astype(np.float32)
    search = GridSearchCV(on_gpu("regressor"), {"learning_rate": [0.001, 0.01]}, cv=KFold(3), error_score="raise")
    with Transfers(DEVICE) as transfers:
        search.fit(X, X[:, :2] + 1)
    n_rows = [n_bytes // X[0].nbytes for n_bytes in transfers.sent if n_bytes >= X[:300].nbytes]
    assert sorted(n_rows) == 2 * 3 * [300] + 2 * 3 * [600] + [900]  # to be scored, to be trained on, and the refit


# --------------------------------------------------------------------------------------------------------------------
# Searches


def test_a_search_in_threads_gives_the_same_as_in_one():
    X, y = make_features(), make_targets("regressor")
    model = on_gpu("regressor", monitor=fine_score, early_stopping=True, dropout=0.2, batch_size=8)
    search = GridSearchCV(model, {"learning_rate": [0.001, 0.01]}, scoring=fingerprint, cv=TWO_FOLDS)
    serial = clone(search).fit(X, y).cv_results_["mean_test_score"]
    with parallel_config("threading", n_jobs=2):
        threaded = clone(search).fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(threaded, serial)


# --------------------------------------------------------------------------------------------------------------------
# What is saved

OPEN_WITHOUT_GPU = """
import pickle, sys, warnings
import numpy as np, torch
assert not torch.cuda.is_available()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with open(sys.argv[1], "rb") as file:
        model, X, y, expected = pickle.load(file)
assert any("It is opened on the CPU" in str(warning.message) for warning in caught), caught
for found, known in zip((model.predict(X), model.gate_weights(X)), expected):
    np.testing.assert_allclose(found.astype(float), known.astype(float), rtol=1e-3, atol=1e-4)
n_epochs = model.n_iter_
model.set_params(device="cpu").partial_fit(X, y)
assert model.n_iter_ == n_epochs + 1
"""


@round_trips
@all_three
def test_a_model_that_is_saved_is_the_same_and_goes_on_as_if_it_had_not_been(name, there_and_back):
    X, y = make_features(), make_targets(name)
    model = on_gpu(name).fit(X, y)
    other = there_and_back(model)
    assert devices_of(other) == {torch.device(DEVICE).type}
    assert_same_answers(other, model, X)
    model.partial_fit(X, y)
    other.partial_fit(X, y)
    assert_same_model(other, model)


@all_three
def test_a_pickle_holds_no_tensor_of_the_gpu(name):
    pickled = pickle.dumps(on_gpu(name).fit(make_features(), make_targets(name)))
    assert b"torch.storage" not in pickled
    assert b"_rebuild_tensor" not in pickled


@pytest.mark.parametrize("parameters", [{}, {"n_members": 2, "task_weights": "uncertainty"}])
@all_three
def test_a_model_opens_on_a_machine_without_a_gpu_and_goes_on_there(name, parameters, tmp_path):
    X, y = make_features(), make_targets(name)
    model = on_gpu(name, **parameters).fit(X, y)
    answers = answers_of(model, X)
    file = tmp_path / "model.pickle"
    file.write_bytes(pickle.dumps((model, X, y, (answers["predict"], answers["gates"]))))
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", OPEN_WITHOUT_GPU, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr


def test_a_warm_start_goes_on_here_from_a_model_of_the_cpu():
    X, y = make_features(), make_targets("regressor")
    model = fitted("regressor", device="cpu", warm_start=True)
    model.set_params(device=DEVICE).fit(X, y)
    assert devices_of(model) == {torch.device(DEVICE).type}
    assert model.n_iter_ == 6
