"""Weights of classes: each label's weight times that of its class, in its own task, against one plain loop."""

import re

import numpy as np
import pytest
from together import Together

from sklearn_mmoe._ranks.group import ALONE
from sklearn_mmoe.tasks._encoding import weigh_classes
from sklearn_mmoe.tasks._fitted import FittedClassification, FittedOrdinal, FittedRegression
from sklearn_mmoe.tasks._validation import Column, Targets

DAYS = np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[D]")
TASKS = (
    FittedClassification("word", "cross_entropy", np.array(["a", "b", "never"])),
    FittedRegression("number", "squared_error", 0.0, 1.0),
    FittedOrdinal("grade", "ordinal", np.array([3, 1, 2])),
    FittedClassification("day", "log_loss", DAYS),
    FittedClassification("none", "log_loss", np.array([False, True])),
)
LABELS = [  # None where there is none
    ["a", "a", None, "b", "a", "a"],
    [0.5, None, 2.0, 2.0, 2.0, 7.0],
    [1, 3, 2, 1, None, 2],
    [DAYS[1], DAYS[1], DAYS[0], DAYS[1], None, None],
    [None] * 6,
]
BY_CLASS = [{"a": 0.5, "b": 4.0, "never": 9.0}, None, {1: 0.0, 3: 2.5}, {DAYS[0]: 3.0, DAYS[1]: 0.25}, {True: 2.0}]


def column(task, labels):
    there = [label for label in labels if label is not None]
    kind = task.classes.dtype if isinstance(task, FittedClassification) else np.float64
    return Column(task.name, np.array(there, dtype=kind), np.array([label is not None for label in labels]))


TARGETS = Targets(tuple(column(task, labels) for task, labels in zip(TASKS, LABELS, strict=True)), is_1d=False)


def factor(class_weight, t, label, n_ranks):
    """What the weight of a label is multiplied by, written as on paper; all ranks have the same labels."""
    if not isinstance(TASKS[t], FittedClassification):
        return 1.0
    if class_weight == "balanced":
        there = [own for own in LABELS[t] if own is not None] * n_ranks
        return len(there) / (len(set(there)) * there.count(label))
    return (class_weight[t] or {}).get(label, 1.0)


@pytest.mark.parametrize("class_weight", ["balanced", BY_CLASS, [None] * 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_weights_of_labels_are_multiplied_by_those_of_their_classes(class_weight, weighted):
    weights = np.arange(1.0, 31.0).reshape(6, 5) * TARGETS.labelled if weighted else None
    before = None if weights is None else weights.copy()
    found = weigh_classes(class_weight, TASKS, TARGETS, weights, ALONE)
    for t, labels in enumerate(LABELS):
        for row, label in enumerate(labels):
            own = before[row, t] if weighted else 1.0
            expected = 0.0 if label is None else own * factor(class_weight, t, label, 1)
            assert found[row, t] == pytest.approx(expected)
    if weighted:
        np.testing.assert_array_equal(weights, before)  # the user's own


def test_balanced_classes_count_the_labels_of_all_ranks():
    """The other rank has three labels of the class that this one has none of."""
    task, own = TASKS[0], Targets((TARGETS.columns[0],), is_1d=True)
    found = weigh_classes("balanced", (task,), own, None, Together(np.array([0, 1, 3])))
    expected = [9 / (3 * 4), 9 / (3 * 4), 0, 9 / (3 * 2), 9 / (3 * 4), 9 / (3 * 4)]
    np.testing.assert_allclose(found[:, 0], expected)


def test_without_weights_of_classes_weights_stay_what_they_are():
    weights = np.ones((6, 5))
    assert weigh_classes(None, TASKS, TARGETS, weights) is weights
    assert weigh_classes(None, TASKS, TARGETS, None) is None


@pytest.mark.parametrize(
    ("class_weight", "words"),
    [
        ({"a": -1.0, "b": 1.0}, "must be finite and 0 or more, got {'a': -1.0, 'b': 1.0}"),
        ({"a": 1.0, "b": np.nan}, "must be finite and 0 or more"),
        ({"a": np.inf, "b": 1.0}, "must be finite and 0 or more"),
        ({"a": 0.0, "b": 0.0, "never": 3.0}, "is 0 for every class, got {'a': 0.0, 'b': 0.0, 'never': 3.0}"),
        ({"a": 1.0, "z": 1.0}, "'b'"),
        ("balancd", "must be a dict, 'balanced' or None, got 'balancd'"),
        (2.0, "must be a dict, 'balanced' or None, got 2.0"),
    ],
)
def test_weights_that_are_none_are_refused_in_the_name_of_their_task(class_weight, words):
    own = Targets(TARGETS.columns[:1], is_1d=False)
    with pytest.raises(ValueError, match=f"^class_weight of task 'word'.*{re.escape(words)}"):
        weigh_classes([class_weight], TASKS[:1], own, None)
