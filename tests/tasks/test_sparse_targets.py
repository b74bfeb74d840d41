"""A sparse y may leave out zeros or holes, nobody knows which: it is refused wherever labels are, with what to do."""

import re

import matplotlib as mpl
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from helpers import N_ROWS, all_three, assert_fit_refuses, fitted, make_features, make_model, make_targets
from sklearn.preprocessing import MultiLabelBinarizer
from spoiled_data import SPARSE_FORMATS

from sklearn_mmoe import make_tabular_pipeline, model_card
from sklearn_mmoe.metrics import make_task_scorer, multi_task_scoring, task_scores, transfer_report
from sklearn_mmoe.plot import PredictionDisplay

mpl.use("agg")

OF_SCIPY = {
    f"{form} {kind}": getattr(sp, f"{form}_{kind}") for form in SPARSE_FORMATS for kind in ("array", "matrix")
} | {"coo_array of one task": lambda y: sp.coo_array(y[:, 0])}
OF_TORCH = {
    "coo tensor": lambda y: torch.tensor(y).to_sparse(),
    "csr tensor": lambda y: torch.tensor(y).to_sparse_csr(),
    "csc tensor": lambda y: torch.tensor(y).to_sparse_csc(),
}


def refusal(name="y", way="toarray()"):
    said = f"{name} is sparse, and what it does not store might be a 0 or a missing label. Give {name}.{way}, where"
    return re.escape(said)


@pytest.mark.parametrize("form", OF_SCIPY)
@all_three
def test_a_sparse_matrix_is_refused_in_every_format(name, form):
    assert_fit_refuses(name, refusal(), y=OF_SCIPY[form](make_targets(name)), error=TypeError)


@pytest.mark.parametrize("form", OF_TORCH)
@pytest.mark.filterwarnings("ignore:Sparse CS. tensor support:UserWarning")
@all_three
def test_a_sparse_tensor_is_refused_in_every_layout(name, form):
    assert_fit_refuses(name, refusal(way="to_dense()"), y=OF_TORCH[form](make_targets(name)), error=TypeError)


CALLS = {
    "partial_fit": lambda name, X, y: make_model(name).partial_fit(X, y),
    "a table pipeline": lambda name, X, y: make_tabular_pipeline(make_model(name)).fit(X, y),
    "score": lambda name, X, y: fitted(name).score(X, y),
    "a scorer of one metric": lambda name, X, y: make_task_scorer("accuracy")(fitted(name), X, y),
    "scorers of each task": lambda name, X, y: multi_task_scoring(fitted(name))["mean"](fitted(name), X, y),
    "task_scores": lambda name, X, y: task_scores(fitted(name), X, y),
    "transfer_report": lambda name, X, y: transfer_report(make_model(name), X, y, cv=2),
    "model_card": lambda name, X, y: model_card(fitted(name), X, y),
    "a display": lambda name, X, y: PredictionDisplay.from_estimator(fitted(name), X, y),
}


@pytest.mark.parametrize("call", CALLS)
@all_three
def test_a_sparse_y_is_refused_by_whatever_takes_labels(name, call):
    with pytest.raises(TypeError, match=refusal()):
        CALLS[call](name, make_features(), sp.csr_array(make_targets(name)))


@all_three
def test_a_sparse_y_is_refused_as_validation_data(name):
    X, y = make_features(), make_targets(name)
    with pytest.raises(TypeError, match=refusal("y_val")):
        make_model(name).fit(X, y, X_val=X, y_val=sp.csr_array(y))


def test_sparse_indicators_of_labels_are_refused_and_dense_ones_are_a_task_each():
    words = [("up", "left") if x > 0 else ("left",) for x in make_features()[:, 0]]
    words[0] = ("up",)
    assert_fit_refuses(
        "classifier", refusal(), y=MultiLabelBinarizer(sparse_output=True).fit_transform(words), error=TypeError
    )
    y = MultiLabelBinarizer().fit_transform(words)
    model = make_model("classifier").fit(make_features(), y)
    assert model.predict(make_features()).shape == y.shape == (N_ROWS, 2)
    assert [list(own) for own in model.classes_] == [[0, 1], [0, 1]]
    np.testing.assert_array_equal(model.predict(sp.csr_array(make_features())), model.predict(make_features()))
