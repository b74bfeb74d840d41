"""What goes to the device and what comes back in a fit: rows once, and per epoch as much for few batches as for many.

Counted on the CPU, where what is made of Python's numbers stands for what is sent, and a number that Python reads for
one that is waited for; `test_gpu.py` counts the same on a GPU.
"""

from functools import cached_property

import numpy as np
import pytest
import torch
from helpers import all_three, make_features, make_model, make_targets
from scipy.sparse import csr_array
from sklearn.model_selection import GridSearchCV, KFold
from transfers import FORMS, Transfers, assert_epoch_is_sent_and_read_as_much_for_few_batches_as_for_many

from sklearn_mmoe._held_out.holding_out import Table


def test_transfers_are_seen():
    """torch's device without memory stands for one with memory of its own."""
    with Transfers("meta") as transfers:
        there = torch.zeros(3).to("meta")
        there.to(torch.float64)
        there.clone()
        torch.zeros(2).to(torch.float64)
        torch.empty(5, device="meta").copy_(torch.zeros(5))
    assert transfers.sent == [12, 20]
    assert transfers.n_read == 0
    with Transfers("meta") as transfers, torch.inference_mode():
        torch.zeros(3).to("meta").to("meta")
    assert transfers.sent == [12]
    with Transfers("cpu") as transfers:  # the way back, as seen from the other side
        torch.zeros(3).to("meta")
    assert transfers.sent == []
    assert transfers.n_read == 1
    with Transfers("cpu") as transfers:
        torch.zeros(3).sum().item()
        torch.tensor([1.0, 2.0])
        torch.zeros(3).to(torch.float64)
    assert transfers.sent == [8]
    assert transfers.n_read == 1


@pytest.mark.parametrize("form", FORMS)
@all_three
def test_an_epoch_sends_and_reads_as_much_for_few_batches_as_for_many(name, form):
    assert_epoch_is_sent_and_read_as_much_for_few_batches_as_for_many(name, form, "cpu")


def test_of_sparse_rows_one_number_is_read_per_batch():
    X, y = csr_array(np.maximum(make_features(), 0)), make_targets("regressor")
    n_read = []
    for batch_size in (30, 6):
        with Transfers("cpu") as transfers:
            make_model("regressor", early_stopping=False, batch_size=batch_size, max_epochs=1, device="cpu").fit(X, y)
        n_read.append(transfers.n_read)
    assert n_read[1] - n_read[0] == 60 // 6 - 60 // 30


@pytest.fixture
def tables(monkeypatch):
    """How many rows of features are moved to a device, one move after the other."""
    moved = []
    tensors = Table.tensors.func

    def noting(table):
        moved.append(len(table.rows))
        return tensors(table)

    own = cached_property(noting)
    own.__set_name__(Table, "tensors")
    monkeypatch.setattr(Table, "tensors", own)
    return moved


@pytest.mark.parametrize("form", ["dense", "folds", "validation part"])
@all_three
def test_a_fit_moves_its_rows_once(name, form, tables):
    X, y = make_features(), make_targets(name)
    model = make_model(name, **FORMS[form]).fit(X, y)
    assert tables == [60]
    model.partial_fit(X[:20], y[:20])
    assert tables == [60, 20]
    model.set_params(early_stopping=True).fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert tables == [60, 20, 20, 40]  # the validation data goes first


def test_each_fit_of_a_search_moves_the_rows_of_its_fold_once(tables):
    X, y = make_features(), make_targets("regressor")
    grid = {"learning_rate": [0.001, 0.01], "n_experts": [1, 2]}
    GridSearchCV(make_model("regressor"), grid, cv=KFold(3)).fit(X, y)
    assert tables == 4 * 3 * [40] + [60]
