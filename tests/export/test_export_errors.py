"""What cannot become an ONNX graph says which step it is, and why; no file is written."""

import os
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import SMALL, fitted, make_features, make_model, make_targets
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, OrdinalEncoder, SplineTransformer, StandardScaler

from sklearn_mmoe import MMoEClassifier
from sklearn_mmoe.export import to_onnx
from sklearn_mmoe.nn import MMoE


class Doubled(TransformerMixin, BaseEstimator):
    """A transformer that no converter knows."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return 2 * X


class Undecided(torch.nn.Module):
    """An activation that does one thing or another, as the rows are, which no trace can show."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


def assert_refused(tmp_path, model, match, example=None, error=ValueError, **options):
    """The error says so, and neither a file nor a part of one is there."""
    with pytest.raises(error, match=match):
        to_onnx(model, tmp_path / "model.onnx", example=make_features() if example is None else example, **options)
    assert list(tmp_path.iterdir()) == []


def fitted_after(step, X=None):
    return make_pipeline(step, make_model("regressor")).fit(
        make_features() if X is None else X, make_targets("regressor")
    )


@pytest.mark.parametrize(
    ("step", "match"),
    [
        (Doubled(), r"Step 'doubled' \(Doubled\) cannot be exported to ONNX: skl2onnx has no converter for it"),
        (SplineTransformer(), r"Step 'splinetransformer' \(SplineTransformer\) .* skl2onnx has no converter"),
        (
            make_pipeline(StandardScaler(), FunctionTransformer(np.cbrt)),
            r"Step 'pipeline__functiontransformer' .*it calls 'cbrt', but a graph can call no Python; known is np.clip",
        ),
        (FunctionTransformer(np.clip, kw_args={"a_min": [0, 0, 0, 0], "a_max": 1}), "it calls 'clip'.*with numbers as"),
        (FunctionTransformer(np.clip, kw_args={"a_min": 0, "a_max": 1, "dtype": float}), "it calls 'clip'"),
    ],
    ids=["unknown", "splines", "function", "limits", "arguments"],
)
def test_steps_without_a_converter(tmp_path, step, match):
    assert_refused(tmp_path, fitted_after(step), match)


def test_a_step_that_its_converter_does_otherwise(tmp_path):
    """skl2onnx divides by the largest value, scikit-learn by the largest absolute one."""
    words = "cannot be exported to ONNX: of example, the graph does not make what it makes itself"
    assert_refused(tmp_path, fitted_after(Normalizer("max")), rf"Step 'normalizer' \(Normalizer\) {words}")


def test_a_step_that_needs_operators_of_others(tmp_path):
    frame = pd.DataFrame({"text": ["good bad", "good, food"] * 30})
    model = fitted_after(make_column_transformer((CountVectorizer(), "text")), frame)
    words = r"Step 'columntransformer__countvectorizer' .* not ONNX's own, of the domain 'com\.microsoft'"
    assert_refused(tmp_path, model, words, frame)


def test_networks_that_torch_cannot_export(tmp_path):
    model = make_pipeline(StandardScaler(), make_model("regressor", activation=Undecided))
    model.fit(make_features(), make_targets("regressor"))
    words = r"Step 'mmoeregressor' \(MMoERegressor\) .*torch cannot export its network, MMoE: .*data-dependent"
    assert_refused(tmp_path, model, words)


class Noisy(MMoE):
    """Never answers the same twice, also in the graph."""

    def forward(self, x, codes=None):
        outputs = super().forward(x, codes)
        return outputs + torch.rand_like(outputs)


class NoisyGates(MMoE):
    def gate_weights(self, x, codes=None):
        weights = super().gate_weights(x, codes)
        return weights + torch.rand_like(weights) - 0.5


def test_networks_that_answer_otherwise_in_a_graph(tmp_path):
    model = fitted("regressor", net_params={"module": Noisy})
    assert_refused(tmp_path, model, "MMoERegressor cannot .*does not answer example as predict does, in task 'y0'")
    model = fitted("regressor", net_params={"module": NoisyGates})
    assert_refused(tmp_path, model, "does not give the gate weights of example", gate_weights=True)


# --------------------------------------------------------------------------------------------------------------------
# Data


def test_a_sparse_example(tmp_path):
    words = r"example is sparse, but a graph takes dense rows: give some as example\.toarray\(\)"
    assert_refused(tmp_path, fitted("regressor"), words, csr_array(make_features()))


def test_an_example_that_predict_refuses(tmp_path):
    model = fitted("regressor")
    assert_refused(tmp_path, model, "3 features, but MMoERegressor is expecting 4", make_features()[:, :3])
    assert_refused(tmp_path, model, "Expected 2D array", make_features()[0])
    assert_refused(tmp_path, model, "0 sample", make_features()[:0])


def test_columns_of_other_types(tmp_path):
    frame = pd.DataFrame({"when": pd.to_datetime(["2026-01-01"] * 60), "value": make_features()[:, 0]})
    model = fitted_after(make_column_transformer((OrdinalEncoder(), ["when"]), ("passthrough", ["value"])), frame)
    words = "Column 'when' of example holds .*2026-01-01.*: a graph takes columns of numbers, of booleans or of strings"
    assert_refused(tmp_path, model, words, frame)


def test_categories_that_a_float32_cannot_tell_apart(tmp_path):
    X = make_features()
    X[:, 0] = 2.0**24 + np.arange(60) % 3
    model = make_model("regressor", categorical_features=[0]).fit(X, make_targets("regressor"))
    words = r"several categories of column 0 are one in a graph, 16777216\.0\. Let it hold integers.*'float64'"
    assert_refused(tmp_path, model, words, X)


def test_categories_of_another_type_than_those_of_the_example(tmp_path):
    frame = pd.DataFrame({"value": make_features()[:, 0], "town": ["Bonn", "Kiel", "Ulm"] * 20})
    model = make_model("regressor").fit(frame, make_targets("regressor"))
    words = "column 'town' are such as 'Bonn', but in example it holds numbers: give rows as fit has seen them"
    assert_refused(tmp_path, model, words, frame.assign(town=3.0))
    frame = frame.assign(town=pd.Categorical(np.arange(60) % 7))
    model = make_model("regressor").fit(frame, make_targets("regressor"))
    assert_refused(tmp_path, model, "such as 0, but in example it holds strings", frame.assign(town="Bonn"))


def test_labels_of_other_types(tmp_path):
    y = pd.DataFrame({"when": pd.Categorical(pd.to_datetime(["2026-01-01", "2026-01-02"] * 30))})
    model = MMoEClassifier(n_members=1, max_epochs=1).fit(make_features(), y)
    words = "classes of task 'when' are such as .*2026-01-01.*; in a graph, labels are numbers, booleans or strings"
    assert_refused(tmp_path, model, words)


# --------------------------------------------------------------------------------------------------------------------
# The call


def test_estimators_that_are_not_fitted_or_of_others(tmp_path):
    assert_refused(tmp_path, make_model("regressor"), "not fitted yet", error=NotFittedError)
    others = make_pipeline(StandardScaler()).fit(make_features())
    assert_refused(tmp_path, others, "estimator must be a fitted MMoERegressor.* got StandardScaler")


def test_without_a_package_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    words = r'to_onnx needs onnxscript and skl2onnx: pip install "sklearn_mmoe\[onnx\]"\.'
    assert_refused(tmp_path, fitted("regressor"), words, error=ImportError)


def test_labels_beyond_the_whole_numbers_of_a_graph():
    X = make_features()
    labels = np.where(X[:, 0] > 0, np.uint64(2**64 - 1), np.uint64(2**63 + 5))
    model = MMoEClassifier(**SMALL).fit(X, labels)
    with pytest.raises(ValueError, match=r"classes of task 'y0' are such as .*whole numbers end at 2\*\*63 - 1"):
        to_onnx(model, example=X[:2])


def test_arguments_are_checked_before_a_graph_is_made(monkeypatch):
    monkeypatch.setattr("sklearn_mmoe.export._onnx._exported", None)
    model, X = fitted("regressor"), make_features()
    for path in (3, b"model", ["model"], object(), "a\0b"):
        with pytest.raises((TypeError, ValueError), match="path "):
            to_onnx(model, path, example=X)
    for gate_weights in (None, 1, "yes", X):
        with pytest.raises(ValueError, match="gate_weights must be True or False"):
            to_onnx(model, example=X, gate_weights=gate_weights)


@pytest.mark.skipif(os.name != "posix", reason="devices as of POSIX")
def test_a_path_that_is_none_of_a_file_is_refused_before_there_is_a_graph():
    with pytest.raises(ValueError, match="path leads to a device"):
        to_onnx(None, "/dev/null", example=None)
    with pytest.raises(FileNotFoundError):
        to_onnx(None, "", example=None)
