"""`precision="bf16"`: matmuls of training in bfloat16, everything else as it was."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import all_three, assert_other_model, assert_same_model, fitted, make_features, make_targets
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import make_regression
from torch.utils._python_dispatch import TorchDispatchMode

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._training.net import MMoENet

MATMULS = {"mm", "addmm", "bmm", "baddbmm"}


class Matmuls(TorchDispatchMode):
    """Notes the types of what goes into matmuls."""

    def __init__(self):
        super().__init__()
        self.types = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ in MATMULS:
            self.types |= {arg.dtype for arg in args if isinstance(arg, torch.Tensor)}
        return func(*args, **(kwargs or {}))


@all_three
def test_training_multiplies_in_bfloat16_and_answers_in_full(name, monkeypatch):
    training, answering = Matmuls(), Matmuls()
    fit_loop = MMoENet.fit_loop

    def watched(*args, **kwargs):
        with training:
            return fit_loop(*args, **kwargs)

    monkeypatch.setattr(MMoENet, "fit_loop", watched)
    model = fitted(name, precision="bf16", gate_layer_sizes=(4,), gate_balance=0.1)
    with answering:
        model.predict(make_features())
        model.gate_weights(make_features())
    assert training.types == {torch.bfloat16}
    assert answering.types == {torch.float32}
    assert {tensor.dtype for tensor in model.module_.state_dict().values()} == {torch.float32}


def mixed_table(X):
    return pd.DataFrame(X).add_prefix("x").assign(side=pd.Categorical(np.where(X[:, 0] > 0, "left", "right")))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"n_members": 4, "gating": "shared"},
        {"gate_balance": 0.01, "gate_dropout": 0.1, "dropout": 0.1},
        {"task_weights": "uncertainty"},
        {"task_weights": "upgrad"},
    ],
    ids=lambda parameters: "-".join(map(str, parameters)) or "plain",
)
@pytest.mark.parametrize("form", [np.asarray, mixed_table, csr_array], ids=["dense", "categories", "sparse"])
def test_losses_are_those_of_full_precision_to_a_hundredth(form, parameters):
    X, y = make_regression(600, 10, n_targets=2, noise=5.0, random_state=0)
    small = {"n_members": 1, "n_experts": 2, "expert_layer_sizes": (32,), "tower_layer_sizes": (16,)}
    small |= {"numeric_embeddings": None}  # with which gates that are trained so short choose one expert
    common = {**small, "max_epochs": 8, "early_stopping": True, "random_state": 0, **parameters}
    full, fast = (MMoERegressor(precision=p, **common).fit(form(X), y) for p in ("full", "bf16"))
    assert fast.loss_curve_ != full.loss_curve_
    assert fast.loss_curve_[-1] == pytest.approx(full.loss_curve_[-1], abs=1e-2)
    assert fast.validation_scores_[-1] == pytest.approx(full.validation_scores_[-1], abs=1e-2)


@all_three
def test_losses_of_all_kinds_of_task_are_those_of_full_precision_to_a_hundredth(name):
    full, fast = (fitted(name, precision=p, max_epochs=30, numeric_embeddings=None) for p in ("full", "bf16"))
    assert fast.loss_curve_ != full.loss_curve_
    np.testing.assert_allclose(fast.loss_curve_, full.loss_curve_, rtol=0, atol=1e-2)


def test_sparse_gradients():
    rng = np.random.default_rng(0)
    X = csr_array((rng.random((100, 150_000)) < 1e-4).astype(np.float32))
    common = {"n_members": 1, "n_experts": 2, "expert_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
    full, fast = (MMoERegressor(precision=p, **common).fit(X, rng.normal(size=100)) for p in ("full", "bf16"))
    np.testing.assert_allclose(fast.loss_curve_, full.loss_curve_, rtol=0, atol=1e-2)


@all_three
def test_same_seed_same_model_through_clones_and_pickles(name):
    model = fitted(name, precision="bf16")
    assert_same_model(clone(model).fit(make_features(), make_targets(name)), model)
    again = pickle.loads(pickle.dumps(model))
    assert_same_model(again, model)
    for m in (model, again):
        m.partial_fit(make_features(), make_targets(name))
    assert_same_model(again, model)


def test_a_warm_start_may_change_it():
    model = fitted("regressor", precision="bf16", warm_start=True, max_epochs=10)
    before = pickle.loads(pickle.dumps(model))
    model.set_params(precision="full").fit(make_features(), make_targets("regressor"))
    assert model.n_iter_ == 20
    assert_other_model(model, before)


def test_float64_is_refused():
    with pytest.raises(ValueError, match="precision='bf16' needs dtype='float32', got dtype='float64': set dtype"):
        fitted("regressor", precision="bf16", dtype="float64")
