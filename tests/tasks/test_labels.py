"""Labels and classes of types that do not go together: the error names the task, the values and what to do."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from helpers import SMALL, make_features

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask
from sklearn_mmoe._arrays.values import distinct
from sklearn_mmoe.tasks import Ordinal
from sklearn_mmoe.tasks._labels import class_codes, listed

X = make_features()
Y = pd.DataFrame({"u": np.where(X[:, 0] > 0, "x", "y"), "v": np.where(X[:, 1] > 0, "p", "q")})
MIXTURES = {
    "numbers": [1, "z"],
    "one number": [1],
    "bytes": [b"z", "z"],
    "booleans": [True, "z"],
    "dates": [date(2020, 1, 1), 3],
    "floats": [2.5, "z", 1],
}


def with_labels(labels):
    y = Y.astype(object)
    for row, label in enumerate(labels, start=3):
        y.at[row, "u"] = label
    return y


@pytest.mark.parametrize("kind", MIXTURES)
def test_labels_that_are_no_classes_are_named_whatever_their_types(kind):
    y = with_labels(MIXTURES[kind])
    words = rf"Task 'u' has labels that are not among its classes: .*{MIXTURES[kind][0]!r}.*; its classes are 'x', 'y'"
    words = words.replace("(", r"\(").replace(")", r"\)")
    for call in (
        lambda: MMoEClassifier(**SMALL).fit(X, Y, X_val=X, y_val=y),
        lambda: MMoEClassifier(**SMALL).partial_fit(X, Y).partial_fit(X, y),
    ):
        with pytest.raises(ValueError, match=words) as error:
            call()
        assert "'p'" not in str(error.value)


@pytest.mark.parametrize("kind", MIXTURES)
def test_labels_of_several_types_make_no_classes(kind):
    with pytest.raises(
        ValueError, match=r"Task 'u' mixes labels of types .*, which have no order, such as .*make them"
    ):
        MMoEClassifier(**SMALL).fit(X, with_labels(MIXTURES[kind]))


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (["x", 1], "classes of task 'u' mix types that have no order, int, str: 'x', 1. Make them one type"),
        ([b"x", "y"], "classes of task 'u' mix types that have no order, bytes, str"),
        ([1, None], "classes of task 'u' must be a list of two labels or more, none of them missing; got .1, None."),
        ([0.0, np.nan], "must be a list of two labels or more, none of them missing"),
        ([["x", "y"]], r"must be a list of two labels or more.*got \[\['x', 'y'\]\]"),
        ([["x"], ["y", "z"]], "must be a list of two labels or more"),
        (["x", "x"], "must be a list of two labels or more"),
        ({"x", "y"}, "must be a list of two labels or more"),
        ("xy", "must be a list of two labels or more, none of them missing; got 'xy'"),
        (7, "must be a list of two labels or more, none of them missing; got 7"),
        ((name for name in "xy"), "must be a list of two labels or more"),
        (["x" * 10**6, 1], r"mix types that have no order, int, str: 'x+\.\.\.x+', 1\. Make"),
    ],
)
def test_classes_that_are_no_classes(classes, words):
    single = MMoEClassifier(**SMALL)
    with pytest.raises(ValueError, match=words):
        single.partial_fit(X, Y["u"], classes=classes)
    with pytest.raises(ValueError, match=words):
        MMoEMultiTask(tasks="auto", **SMALL).partial_fit(X, Y, classes={"u": classes})
    with pytest.raises(ValueError, match=words):
        MMoEMultiTask(tasks=[Ordinal(["x", "y"]), "binary"], **SMALL).partial_fit(X, Y, classes={"u": classes})


@pytest.mark.parametrize("classes", [7, "xy", {"u": ["x", "y"]}, [["x", "y"]], [["x", "y"]] * 3])
def test_classes_of_several_tasks_that_are_no_list_of_them(classes):
    with pytest.raises(ValueError, match=r"classes must be a list of arrays, one per task \['u', 'v'\]; got "):
        MMoEClassifier(**SMALL).partial_fit(X, Y, classes=classes)


def test_numbers_beside_words_stay_numbers():
    """NumPy would make words of them, and then find the labels among the classes."""
    y = np.where(X[:, 0] > 0, "1", "2")
    with pytest.raises(ValueError, match="mix types"):
        MMoEClassifier(**SMALL).partial_fit(X, y, classes=["1", 2])
    with pytest.raises(ValueError, match="not among its classes: '1', '2'; its classes are 1, 2"):
        MMoEClassifier(**SMALL).partial_fit(X, y, classes=[1, 2])


def test_an_ordinal_task_of_labels_without_an_order_lists_them():
    y = pd.DataFrame({"u": Y["u"], "v": [[1], [2]] * 30})
    for column in ("u", "v"):
        tasks = {column: "ordinal"}
        with pytest.raises(
            ValueError, match=f"Task '{column}' is ordinal, but nothing says in which order its classes"
        ):
            MMoEMultiTask(tasks=tasks, **SMALL).fit(X, y[[column]])


def test_codes_of_labels_of_any_type():
    classes = np.array(["x", "y"], dtype=object)
    labels = np.empty(5, dtype=object)
    labels[:] = ["y", 1, None, "z", "x"]
    assert class_codes(labels, classes).tolist() == [1, -1, -1, -1, 0]
    labels[1], labels[2] = ["y"], (["y"],)  # neither can be looked up
    assert class_codes(labels, classes).tolist() == [1, -1, -1, -1, 0]


def test_lists_among_labels_are_told_apart():
    labels = np.empty(4, dtype=object)
    for i, label in enumerate(([1], [2], [1], "[1]")):
        labels[i] = label
    assert distinct(labels).tolist() in ([[1], [2]], ["[1]", [2]], [[1], [2], "[1]"])


def test_labels_in_words_are_short():
    assert listed(range(20), limit=2) == "0, 1, ..."
    assert len(listed(["x" * 10**7])) < 300
