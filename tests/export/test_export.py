"""Estimators of all kinds as ONNX graphs: in onnxruntime they answer as `predict` and its like do."""

import subprocess
import sys
import warnings
from functools import cache

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from helpers import SMALL, fitted, make_features, make_labels, with_missing
from onnx_graphs import answers_of_graph, assert_answers_alike, session_of, tasks_of

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe.export import to_onnx
from sklearn_mmoe.tasks import Ordinal, Regression

N_TRAIN = 200
LOSSES = ["squared_error", "absolute_error", "huber", "poisson", "gamma", "quantile"]
ENSEMBLE = {"n_members": 4, "gating": "shared", "gate_layer_sizes": (3,), "dropout": 0.1, "gate_dropout": 0.2}
KINDS = {
    "value": "regression",
    "since": "regression",
    "upper": Regression(loss="quantile", quantile=0.9),
    "visits": "count",
    "price": "positive",
    "up": "binary",
    "town": "multiclass",
    "grade": Ordinal(["low", "middle", "high"]),
    "stars": "ordinal",
}


def numbers():
    X = make_features(N_TRAIN)
    signal = X[:, 0] + X[:, 1]
    counts = np.floor(np.exp(X[:, 2]))
    y = np.column_stack([signal, 100 * X[:, 2], signal - 50, counts, np.exp(signal) * 1e4, X[:, 3]])
    return X, with_missing(y)


def labels():
    """A task for each type of labels, with some of them missing."""
    X = make_features(N_TRAIN)
    words = np.array(["Kiel", "Köln", "Ulm"])[np.digitize(X[:, 0], [-0.5, 0.5])]
    y = pd.DataFrame(
        {
            "word": pd.Series(words, dtype=object).mask(X[:, 3] > 1),
            "flag": pd.Series(X[:, 1] > 0, dtype="boolean").mask(X[:, 3] < -1),
            "whole": pd.Series(np.array([-7, 2**40, 3])[np.digitize(X[:, 2], [-0.5, 0.5])], dtype="int64"),
            "half": pd.Categorical(np.where(X[:, 0] + X[:, 2] > 0, 0.5, np.where(X[:, 3] > 1, np.nan, -1.5))),
        }
    )
    return X, y


def all_kinds():
    X = make_features(N_TRAIN)
    y = pd.DataFrame(
        {
            "value": X[:, 0] + X[:, 1],
            "since": 1.7e9 + 100 * X[:, 1],  # seconds, of which a float32 tells none from the next
            "upper": X[:, 2],
            "visits": np.floor(np.exp(X[:, 2])),
            "price": np.exp(X[:, 3]),
            "up": pd.Series(X[:, 0] > 0, dtype="boolean").mask(X[:, 3] > 1),
            "town": np.array(["Bonn", "Kiel", "Ulm"])[np.digitize(X[:, 1], [-0.5, 0.5])],
            "grade": np.array(["low", "middle", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])],
            "stars": np.digitize(X[:, 2], [-1, -0.3, 0.3, 1]),
        }
    )
    y.loc[::5, "value"] = np.nan
    return X, y


CASES = {
    "regressor": lambda: (MMoERegressor(loss=LOSSES, **SMALL), *numbers()),
    "regressor, ensemble": lambda: (MMoERegressor(loss=LOSSES, **{**SMALL, **ENSEMBLE}), *numbers()),
    "regressor, 1-D y": lambda: (MMoERegressor(**SMALL), make_features(), make_features()[:, 0]),
    "classifier": lambda: (MMoEClassifier(**SMALL), *labels()),
    "classifier, ensemble": lambda: (MMoEClassifier(**{**SMALL, **ENSEMBLE}), *labels()),
    "classifier, 1-D y": lambda: (MMoEClassifier(**SMALL), make_features(), make_labels()),
    "multi-task": lambda: (MMoEMultiTask(tasks=KINDS, **SMALL), *all_kinds()),
    "multi-task, ensemble": lambda: (MMoEMultiTask(tasks=KINDS, **{**SMALL, **ENSEMBLE}), *all_kinds()),
    "multi-task, float64": lambda: (MMoEMultiTask(tasks=KINDS, **SMALL, dtype="float64"), *all_kinds()),
}
# Of the others, the lines of ours that make their graphs are the same
WITH_LINES_OF_THEIR_OWN = ("regressor", "classifier", "multi-task", "multi-task, ensemble")
all_cases = pytest.mark.parametrize(
    "case", [pytest.param(own, marks=() if own in WITH_LINES_OF_THEIR_OWN else pytest.mark.no_cover) for own in CASES]
)


@cache
def exported(case):
    """A fitted model, the rows it was fitted on, and its graph."""
    model, X, y = CASES[case]()
    model.fit(X, y)
    return model, X, to_onnx(model, example=X[:5], gate_weights=True)


@all_cases
@pytest.mark.parametrize("n_rows", [1, 10_000])
def test_graphs_answer_as_estimators_do(case, n_rows):
    model, _, graph = exported(case)
    X = np.random.default_rng(1).normal(size=(n_rows, 4)).astype(np.float32)  # exact in both types
    assert_answers_alike(graph, model, X)


def test_targets_far_from_zero_keep_their_digits():
    model, X, graph = exported("multi-task")
    X = X.astype(np.float32)
    seconds = answers_of_graph(graph, X)["since"]
    assert np.ptp(seconds) > 1
    np.testing.assert_allclose(seconds, model.predict_frame(X)["since"], rtol=0, atol=100 * 1e-5)


# --------------------------------------------------------------------------------------------------------------------
# What a graph says of itself


def signature(values):
    return {own.name: (own.type, own.shape) for own in values}


def test_inputs_and_outputs_have_names_types_and_shapes():
    session = session_of(exported("classifier")[2])
    assert signature(session.get_inputs()) == {"X": ("tensor(float)", ["n_rows", 4])}
    assert signature(session.get_outputs()) == {
        "word": ("tensor(string)", ["n_rows"]),
        "word_probabilities": ("tensor(double)", ["n_rows", 3]),
        "flag": ("tensor(bool)", ["n_rows"]),
        "flag_probabilities": ("tensor(double)", ["n_rows", 2]),
        "whole": ("tensor(int64)", ["n_rows"]),
        "whole_probabilities": ("tensor(double)", ["n_rows", 3]),
        "half": ("tensor(double)", ["n_rows"]),
        "half_probabilities": ("tensor(double)", ["n_rows", 2]),
        "gate_weights": ("tensor(float)", ["n_rows", 4, 2]),
    }


def test_float64_estimators_take_float64():
    session = session_of(exported("multi-task, float64")[2])
    assert signature(session.get_inputs()) == {"X": ("tensor(double)", ["n_rows", 4])}
    assert signature(session.get_outputs())["gate_weights"][0] == "tensor(double)"


def test_metadata_names_kinds_outputs_and_classes():
    tasks = tasks_of(exported("multi-task")[2])
    kinds = ["regression"] * 3 + ["count", "positive", "binary", "multiclass", "ordinal", "ordinal"]
    assert {name: task["kind"] for name, task in tasks.items()} == dict(zip(KINDS, kinds, strict=True))
    assert tasks["price"] == {"kind": "positive", "prediction": "price"}
    assert tasks["grade"] == {
        "kind": "ordinal",
        "prediction": "grade",
        "probabilities": "grade_probabilities",
        "classes": ["low", "middle", "high"],
    }
    assert tasks["up"]["classes"] == [False, True]
    assert tasks["stars"]["classes"] == [0, 1, 2, 3, 4]


def test_the_graph_is_valid_and_says_who_made_it():
    graph = exported("multi-task, ensemble")[2]
    onnx.checker.check_model(graph, full_check=True)
    assert graph.producer_name == "sklearn_mmoe"


def test_nothing_of_the_machine_is_in_the_graph():
    content = exported("multi-task, ensemble")[2].SerializeToString()
    assert b"site-packages" not in content
    assert b".py" not in content


# --------------------------------------------------------------------------------------------------------------------
# The call


def test_the_file_is_the_graph_that_is_returned(tmp_path):
    model, X = fitted("regressor"), make_features()
    (tmp_path / "latest.onnx").symlink_to("model.onnx")
    graph = to_onnx(model, tmp_path / "latest.onnx", example=X)
    content = (tmp_path / "model.onnx").read_bytes()
    assert content == graph.SerializeToString()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["latest.onnx", "model.onnx"]
    assert (tmp_path / "latest.onnx").is_symlink()
    assert set(answers_of_graph(content, X)) == {"y0", "y1"}  # no gate weights unless asked for
    assert_answers_alike(content, model, X, gate_weights=False)


def test_the_file_is_served_by_onnxruntime_alone(tmp_path):
    _, X, graph = exported("multi-task, ensemble")
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    code = (
        "import sys; sys.modules |= dict.fromkeys(['sklearn_mmoe', 'torch', 'sklearn', 'skl2onnx', 'onnx'])\n"
        "import numpy, onnxruntime\n"
        "rows = numpy.load('X.npy')\n"
        "price, town = onnxruntime.InferenceSession('model.onnx').run(['price', 'town'], {'X': rows})\n"
        "print(price.shape, sorted(set(town)))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = answers_of_graph(graph, X)
    assert run.stdout.strip() == f"{found['price'].shape} {sorted(set(found['town']))}"


def test_the_call_is_silent_and_leaves_all_as_it_was(capfd):
    model, X = fitted("regressor"), make_features()

    def state():
        return torch.get_rng_state().tolist(), str(np.random.get_state()), torch.get_num_threads(), warnings.filters[:]

    before, predicted = state(), model.predict(X)
    to_onnx(model, example=X.tolist())
    assert state() == before
    assert capfd.readouterr() == ("", "")
    np.testing.assert_array_equal(model.predict(X), predicted)
