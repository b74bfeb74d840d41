"""Estimators with categories as ONNX graphs, which look categories up in columns of all types."""

import numpy as np
import pandas as pd
import pytest
from category_tables import TOWNS, as_polars, make_frame
from helpers import make_model, make_targets
from onnx_graphs import answers_of_graph, assert_answers_alike, session_of

from sklearn_mmoe.export import to_onnx


def fitted_to(X, name="regressor", **parameters):
    return make_model(name, **parameters).fit(X, make_targets(name))


def more_rows(n_rows):
    """Rows with categories that are missing or that no fit has seen."""
    frame = make_frame(n_rows)
    frame["town"] = frame["town"].where(frame["age"] < 1, "Mainz").mask(frame["height"] > 1)
    frame["shop"] = frame["shop"].astype(int).where(frame["height"] < 1, 7)
    frame[["age", "height"]] = frame[["age", "height"]].astype(np.float32).astype(float)
    return frame


def test_each_column_is_an_input_of_its_own_type():
    """Strings, ids that a float32 cannot tell apart, a number named as a task."""
    frame, later = (own.rename(columns={"height": "y1"}) for own in (make_frame(), more_rows(10_000)))
    model = fitted_to(frame, n_members=3)
    graph = to_onnx(model, example=frame, gate_weights=True)
    assert {own.name: own.type for own in session_of(graph).get_inputs()} == {
        "age": "tensor(float)",
        "town": "tensor(string)",
        "y1": "tensor(float)",
        "shop": "tensor(int64)",
        "member": "tensor(bool)",
    }
    found, predicted = answers_of_graph(graph, later), model.predict(later)
    assert list(found) == ["y0", "y1_2", "gate_weights"]
    np.testing.assert_allclose(found["y0"], predicted[:, 0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["y1_2"], predicted[:, 1], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found["gate_weights"], model.gate_weights(later), rtol=0, atol=1e-5)
    one = later[later["town"] == "Mainz"][:1]
    np.testing.assert_allclose(answers_of_graph(graph, one)["y0"], model.predict(one)[:, 0], rtol=0, atol=1e-5)


def test_unknown_and_missing_strings_are_alike():
    frame = make_frame()[["age", "town"]]
    graph = to_onnx(fitted_to(frame), example=frame)
    session = session_of(graph)
    feeds = {"age": np.zeros((5, 1), np.float32), "town": np.array([[*TOWNS, "", "Mainz"]], dtype=object).T}
    answers = session.run(["y0"], feeds)[0]
    assert abs(answers[3] - answers[4]) < 1e-5
    assert len(np.unique(answers.round(5))) == 4


@pytest.mark.parametrize("town", [None, "Bonn"])
def test_no_known_string_and_one(town):
    """onnxruntime 1.25 and 1.26 load no node with a tensor of a single string."""
    frame = make_frame()[["age", "town"]]
    frame["town"] = pd.Series([town] * len(frame), frame.index, dtype=object).astype("category")
    graph, later = to_onnx(model := fitted_to(frame), example=frame), more_rows(50)[["age", "town"]]
    assert_answers_alike(graph, model, later, gate_weights=False)


def test_a_polars_frame():
    later = more_rows(50)
    model = fitted_to(as_polars(make_frame()), "multitask")
    graph = to_onnx(model, example=as_polars(make_frame()))
    assert_answers_alike(graph, model, as_polars(later.astype(object).where(later.notna(), None)), gate_weights=False)


@pytest.mark.parametrize("dtype", [np.int64, np.float64], ids=["integers", "floats"])
def test_codes_in_an_array_and_nothing_else(dtype):
    """Fitted on floats in any case; the example decides what the graph takes."""
    codes = np.random.default_rng(0).integers(0, 6, (60, 3))
    codes[:, 1] += 100
    fitted_on = codes.astype(float)
    fitted_on[0, 0] = 2.5
    model = fitted_to(fitted_on, categorical_features=[0, 1, 2])
    graph = to_onnx(model, example=codes.astype(dtype))
    others = codes + np.random.default_rng(1).integers(-1, 2, codes.shape)
    assert_answers_alike(graph, model, others.astype(dtype), gate_weights=False)
