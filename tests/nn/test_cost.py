"""What a fit and a prediction may cost in operators, calls and copies, whatever the clock says."""

import gc
import tracemalloc

import numpy as np
import pytest
import torch
from operators import Operators, operators_of_an_epoch
from skorch.callbacks import Callback

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe._features import tensors as _data
from sklearn_mmoe.nn import MMoE

N_ROWS, N_FEATURES, BATCH = 2000, 50, 100
SMALL = {"n_members": 1, "expert_layer_sizes": (8,), "tower_layer_sizes": (4,), "batch_size": BATCH, "random_state": 0}
PLAIN = {**SMALL, "numeric_embeddings": None}


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)


def targets(kind, n_tasks):
    rng = np.random.default_rng(1)
    if kind == "classes":
        return rng.integers(3, size=(N_ROWS, n_tasks))
    y = rng.normal(size=(N_ROWS, n_tasks))
    if kind == "holes":  # but a label in every row: to leave others out costs a look-up per epoch
        y[:, 1:][rng.random((N_ROWS, n_tasks - 1)) < 0.2] = np.nan
    return y


@pytest.mark.parametrize("kind", ["complete", "holes", "classes"])
def test_operators_of_an_epoch_do_not_grow_with_tasks_or_experts(X, kind):
    def operators(n_tasks, n_experts):
        cls = MMoEClassifier if kind == "classes" else MMoERegressor
        return operators_of_an_epoch(cls(n_experts=n_experts, **SMALL), X, targets(kind, n_tasks))

    assert operators(2, 2) == operators(20, 2) == operators(2, 12)


def test_operators_of_an_epoch_grow_with_kinds_of_task_only(X):
    def operators(times):
        kinds = ["binary", "regression", "multiclass"] * times
        y = np.column_stack([targets("classes", 1) % 2, targets("complete", 1), targets("classes", 1)] * times)
        return operators_of_an_epoch(MMoEMultiTask(tasks=kinds, n_experts=2, **SMALL), X, y)

    assert operators(2) == operators(8)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_network_is_called_once_per_batch(X, monkeypatch, early_stopping):
    rows = []
    forward = MMoE.forward
    monkeypatch.setattr(MMoE, "forward", lambda self, *rows_of: rows.append(len(rows_of[0])) or forward(self, *rows_of))
    model = MMoERegressor(n_experts=2, max_epochs=3, early_stopping=early_stopping, **SMALL)
    model.fit(X, targets("complete", 2))
    held_out = N_ROWS // 10 if early_stopping else 0
    epoch = [BATCH] * ((N_ROWS - held_out) // BATCH) + [held_out] * early_stopping  # the validation part is one batch
    blended = [N_ROWS - held_out, held_out] * early_stopping  # whose answers say how linear they are to be
    assert rows == epoch * 3 + [BATCH] + blended  # the one looks whether the outputs are finite
    rows.clear()
    model.predict(X)
    assert rows == [N_ROWS]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_fit_makes_no_tensor_as_large_as_the_input(X, early_stopping):
    X, y = np.tile(X, (10, 1)), np.tile(targets("holes", 2), (10, 1))
    model = MMoERegressor(n_experts=2, max_epochs=2, early_stopping=early_stopping, device="cpu", **PLAIN)
    with Operators() as operators:
        model.fit(X, y)
    assert 0 < operators.largest <= X.nbytes // 8  # the validation part, a tenth, is gathered once per epoch


class CountTensors(Callback):
    """How many tensors there are after some of the batches; each count goes through all objects that there are."""

    def __init__(self, batches):
        self.batches = batches

    def on_train_begin(self, net, **kwargs):
        self.n_batches_ = 0
        self.counts_ = []

    def on_batch_end(self, net, **kwargs):
        self.n_batches_ += 1
        if self.n_batches_ in self.batches:
            self.counts_.append(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))


@pytest.mark.parametrize("kind", ["complete", "holes"])
def test_an_epoch_does_not_keep_something_of_every_batch(X, kind, monkeypatch):
    monkeypatch.setattr(_data, "STACKED_BATCHES", 10)
    model = MMoERegressor(
        n_experts=2, max_epochs=1, early_stopping=False, callbacks=[("count", CountTensors([20, 100]))], **SMALL
    )
    model.set_params(batch_size=20).fit(X, targets(kind, 2))
    after_20, after_100 = dict(model.net_.callbacks_)["count"].counts_
    assert after_100 - after_20 <= 2 * 8  # a stack of losses, and one of weights, for each 10 batches


@pytest.mark.parametrize(("dtype", "copies"), [("float32", 0), ("float64", 1)])
def test_fit_and_predict_copy_the_input_only_to_convert_it(X, dtype, copies):
    """NumPy's memory, as tracemalloc sees it; the targets and their masks are a small part beside 50 features."""
    model = MMoERegressor(n_experts=2, max_epochs=1, early_stopping=False, **PLAIN)
    X = X.astype(dtype)
    y = targets("complete", 1)
    converted = X.size * 4
    for call in (lambda: model.fit(X, y), lambda: model.predict(X)):
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert copies * converted <= peak < (copies + 0.75) * converted
