"""Graphs in onnxruntime, fed and read by what they say of themselves, for the tests of the export."""

import json

import numpy as np
import onnxruntime
import pandas as pd

from sklearn_mmoe.metrics._inside import last_step

NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}


def session_of(graph):
    return onnxruntime.InferenceSession(graph if isinstance(graph, bytes) else graph.SerializeToString())


def feeds_for(session, X):
    """Rows as the inputs of a graph take them: a matrix, or a column each, with missing strings empty."""
    columns = {f"x{i}": column for i, column in enumerate(X.T)} if isinstance(X, np.ndarray) else X
    feeds = {}
    for own in session.get_inputs():
        values = pd.DataFrame(X if own.name == "X" else np.asarray(columns[own.name])[:, None])
        missing = "" if own.type == "tensor(string)" else np.nan
        values = values.astype(object).where(values.notna(), missing)
        feeds[own.name] = values.to_numpy().astype(NUMPY_TYPES[own.type])
    return feeds


def answers_of_graph(graph, X):
    """All outputs, by name."""
    session = session_of(graph)
    values = session.run(None, feeds_for(session, X))
    return {own.name: found for own, found in zip(session.get_outputs(), values, strict=True)}


def answers_of_estimator(model, X, gate_weights=True):
    """What the outputs of a graph should be, by name, from what the estimator's methods say."""
    last, features = last_step(model), X
    names = last.task_names_
    predicted = model.predict(X)
    columns = predicted.reshape(len(predicted), len(names)).T
    answers = dict(zip(names, columns, strict=True))
    if hasattr(model, "predict_proba"):
        probabilities = model.predict_proba(X)
        if isinstance(probabilities, np.ndarray):
            probabilities = [probabilities]
        if isinstance(probabilities, list):
            probabilities = dict(zip(names, probabilities, strict=True))
        answers |= {f"{name}_probabilities": own for name, own in probabilities.items()}
    if gate_weights:
        features = X if last is model else model[:-1].transform(X)
        answers["gate_weights"] = last.gate_weights(features)
    return answers


def tasks_of(graph):
    """What the metadata of a graph says of its tasks."""
    return json.loads(session_of(graph).get_modelmeta().custom_metadata_map["tasks"])


def assert_answers_alike(graph, model, X, gate_weights=True, atol=1e-5):
    """The graph answers as the estimator does: numbers to 1e-5 of their scale, labels wherever one is most probable."""
    found, expected = answers_of_graph(graph, X), answers_of_estimator(model, X, gate_weights)
    assert set(found) == set(expected)
    for name, own in expected.items():
        values = found[name]
        assert values.shape == own.shape, name
        if f"{name}_probabilities" in expected:
            two = np.sort(expected[f"{name}_probabilities"], axis=1)[:, -2:]
            sure = two[:, 1] - two[:, 0] > atol
            assert sure.mean() > 0.9
            assert values[sure].tolist() == own[sure].tolist(), name
        else:
            own = own.astype(float)
            scale = max(1.0, np.abs(own).max())
            np.testing.assert_allclose(values, own, rtol=0, atol=atol * scale, err_msg=name)
