"""Names of tasks: a data frame's own, in what comes out; strings, in messages and histories; distinct, or an error."""

import html

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from helpers import SMALL, make_features

import sklearn_mmoe
from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe._common.names import by_index, index_of
from sklearn_mmoe._estimators.description import description_of
from sklearn_mmoe._estimators.html import as_html
from sklearn_mmoe.metrics import make_task_scorer, multi_task_scoring, task_scores, transfer_report
from sklearn_mmoe.plot import GateDisplay, LearningCurveDisplay, PredictionDisplay, TaskAffinityDisplay

NAMES = {
    "strings": ["up", "sum"],
    "numbers": [0, 1],
    "numbers that are no positions": [1, 0],
    "floats": [1.5, 2.0],
    "several levels": [("price", "up"), ("price", "sum")],
    "moments": [pd.Timestamp("2020-01-01"), pd.Timestamp("2021-01-01")],
    "numbers beside strings": [7, "sum"],
    "nothing": [np.nan, "sum"],
}
of_all_sorts = pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)


def make_frame(names):
    X = make_features()
    y = pd.DataFrame({0: X[:, 0] > 0, 1: X[:, 0] + X[:, 1]})
    y.columns = pd.Index(names)
    return X, y


def fitted(names, **parameters):
    X, y = make_frame(names)
    kinds = {y.columns[0]: "binary", y.columns[1]: "regression"}
    return X, y, MMoEMultiTask(**{"tasks": kinds, **SMALL, **parameters}).fit(X, y)


@of_all_sorts
def test_a_frame_of_predictions_has_the_names_of_y(names):
    X, y, model = fitted(names)
    frame = model.predict_frame(X)
    pd.testing.assert_index_equal(frame.columns, y.columns)
    assert (y.astype(float) - frame).notna().all(axis=None)


@of_all_sorts
def test_answers_by_task_have_the_names_of_y(names):
    X, y, model = fitted(names)
    (name,) = model.predict_proba(X)
    assert name is y.columns[0] or name == y.columns[0]
    assert list(model.classes_) == [name]
    assert list(map(str, task_scores(model, X, y))) == model.task_names_


@of_all_sorts
def test_histories_and_attributes_have_the_names_as_strings(names):
    _, y, model = fitted(names)
    assert model.task_names_ == [str(name) for name in y.columns]
    assert list(model.history_[-1]["train_losses"]) == model.task_names_
    assert all(name in model.describe() for name in model.task_names_)


@of_all_sorts
def test_parameters_take_the_names_of_y_and_the_same_as_strings(names):
    X, y = make_frame(names)
    by_position = MMoEMultiTask(tasks=["binary", "regression"], task_weights=[1, 3], **SMALL).fit(X, y)
    for up, total in (y.columns, map(str, y.columns)):
        model = MMoEMultiTask(
            tasks={up: "binary", total: "regression"}, task_weights={total: 3, up: 1}, monitor={total: 1.0}, **SMALL
        ).fit(X, y)
        np.testing.assert_array_equal(model.predict(X), by_position.predict(X))
        classes = {up: [False, True]}
        assert len(MMoEMultiTask(tasks=["binary", "regression"], **SMALL).partial_fit(X, y, classes).classes_) == 1


@of_all_sorts
def test_metrics_take_the_names_of_y_and_the_same_as_strings(names):
    X, y, model = fitted(names)
    expected = make_task_scorer("roc_auc", task=str(y.columns[0]))(model, X, y)
    if isinstance(names[0], str | int | tuple):
        assert make_task_scorer("roc_auc", task=names[0])(model, X, y) == expected
    assert make_task_scorer("roc_auc", average={y.columns[0]: 1.0})(model, X, y) == expected
    scorers = multi_task_scoring(model)
    assert list(scorers) == [*model.task_names_, "mean"]
    assert np.isfinite([scorer(model, X, y) for scorer in scorers.values()]).all()
    report = transfer_report(MMoEMultiTask(tasks=["binary", "regression"], **SMALL), X, y, cv=2)
    assert list(map(str, report["task"])) == model.task_names_


@of_all_sorts
def test_pictures_and_files_take_all_names(names, tmp_path):
    X, y, model = fitted(names)
    PredictionDisplay.from_estimator(model, X, y)
    GateDisplay.from_estimator(model, X)
    TaskAffinityDisplay.from_estimator(model, X)
    display = LearningCurveDisplay.from_estimator(model)
    matplotlib.pyplot.close("all")
    assert list(display.train_losses) == model.task_names_
    shown = as_html(description_of(model))  # the page around it shows the parameters, which have the names, too
    assert all(html.escape(name) in shown for name in model.task_names_)
    if next(sort for sort, own in NAMES.items() if own is names) != "moments":  # moments are objects of pandas
        model.save(tmp_path / "model")
        again = sklearn_mmoe.load(tmp_path / "model")
        pd.testing.assert_frame_equal(again.predict_frame(X), model.predict_frame(X))


def test_new_labels_are_compared_by_name():
    X, y, model = fitted([0, 1])
    with pytest.raises(ValueError, match=r"fitted on the tasks \[0, 1\], got y with \[0, 2\]"):
        model.score(X, y.rename(columns={1: 2}))


def test_an_array_has_the_names_that_tasks_declares():
    X, y = make_frame(["up", "sum"])
    model = MMoEMultiTask(tasks={0: "binary", 1: "regression"}, **SMALL).fit(X, y.to_numpy(dtype=float))
    assert list(model.predict_frame(X).columns) == [0, 1]
    assert np.isfinite(model.score(X, y.to_numpy(dtype=float)))


ALIKE = {
    "a number and a string": pd.DataFrame([[0.0, 1.0]] * 60, columns=[1, "1"]),
    "twice the same": pd.DataFrame([[0.0, 1.0]] * 60, columns=["1", "1"]),
    "twice the same number": pd.DataFrame([[0.0, 1.0]] * 60, columns=[1, 1]),
    "twice NaN": pd.DataFrame([[0.0, 1.0]] * 60, columns=[np.nan, np.nan]),
    "of pyarrow": pa.table([[0.0] * 60, [1.0] * 60], names=["1", "1"]),
}


@pytest.mark.parametrize("y", ALIKE.values(), ids=ALIKE)
@pytest.mark.parametrize("model", [MMoERegressor(**SMALL), MMoEClassifier(**SMALL), MMoEMultiTask(**SMALL)])
def test_names_that_are_equal_as_strings_are_refused(model, y):
    with pytest.raises(ValueError, match=r"The columns of y must have names that differ, also as strings.*rename"):
        model.fit(make_features(), y)


def test_names_that_tasks_declares_twice_are_refused():
    X, y = make_frame(["up", "sum"])
    with pytest.raises(ValueError, match=r"tasks must have names that differ, also as strings; got 1, '1'"):
        MMoEMultiTask(tasks={1: "binary", "1": "regression"}, **SMALL).fit(X, y.to_numpy(dtype=float))


def test_a_name_said_twice_in_a_parameter_is_refused():
    X, y = make_frame([0, 1])
    with pytest.raises(ValueError, match=r"task_weights must name each task once\. Unknown: \['0'\]"):
        MMoEMultiTask(tasks=["binary", "regression"], task_weights={0: 1, "0": 2, 1: 1}, **SMALL).fit(X, y)


def test_a_task_is_found_by_its_name_before_a_string_like_it():
    assert [index_of(asked, [1, "x", ("a", "b")]) for asked in (1, "1", "x", ("a", "b"), "('a', 'b')", "y")] == [
        *(0, 0, 1, 2, 2),
        None,
    ]
    assert by_index({"1": "one", "z": "none"}, [1, "x"]) == ({0: "one"}, ["z"])


def test_names_of_polars_are_strings_and_stay():
    X, y = make_frame(["up", "sum"])
    frame = MMoEMultiTask(**SMALL).fit(X, pl.from_pandas(y)).predict_frame(X)
    assert frame.columns == ["up", "sum"]
