"""All tasks together, against plain loops and numbers: cells of y, scales that move, answers side by side."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fitted_tasks import binary, multiclass, ordinal, ordinal_probabilities, regression, sigmoid

from sklearn_mmoe._arrays.frame_dtypes import described
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe.tasks import Count, Multiclass, Positive, Regression
from sklearn_mmoe.tasks._encoding import (
    as_frame,
    beside,
    decode,
    encode_targets,
    fit_tasks,
    labelled_cells,
    output_slices,
    rescaling,
    task_probabilities,
    update_tasks,
)
from sklearn_mmoe.tasks._fitted import FittedClassification, FittedRegression
from sklearn_mmoe.tasks._running_stats import RunningStats
from sklearn_mmoe.tasks._validation import Column, Targets


def targets_of(*columns):
    """Labels by column, None where there is none."""
    found = []
    for t, labels in enumerate(columns):
        there = np.array([label for label in labels if label is not None])
        found.append(Column(f"y{t}", there, np.array([label is not None for label in labels])))
    return Targets(tuple(found), is_1d=False)


def seen(labels, weights=None):
    return RunningStats.of(np.asarray(labels, dtype=float), weights)


WORDS = FittedClassification("word", "cross_entropy", np.array(["a", "b", "c"]))
LEVEL = FittedRegression("level", "squared_error", 2.0, 4.0)
TARGETS = targets_of(["b", None, "c", "a"], [10.0, 2.0, None, -6.0])


# --------------------------------------------------------------------------------------------------------------------
# Cells


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cells_are_encoded_labels_and_0_where_there_is_none(dtype):
    cells = encode_targets((WORDS, LEVEL), TARGETS, None, dtype)
    assert cells.dtype == dtype
    assert cells.tolist() == [[1, 2], [0, 0], [2, 0], [0, -2]]
    assert labelled_cells(cells, 2).tolist() == [[True, True]] * 4


def test_weights_stand_behind_the_labels():
    weights = np.array([[0.5, 1.0], [0.0, 2.0], [1.0, 0.0], [0.0, 0.25]])
    cells = encode_targets((WORDS, LEVEL), TARGETS, weights, "float64")
    assert cells.tolist() == [[1, 2, 0.5, 1], [0, 0, 0, 2], [2, 0, 1, 0], [0, -2, 0, 0.25]]
    assert labelled_cells(cells, 2).tolist() == [[True, True], [False, True], [True, False], [False, True]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_label_may_be_so_far_that_a_hundred_squares_of_it_are_finite(dtype, sign):
    farthest = sign * float(0.1 * np.sqrt(np.finfo(dtype).max))
    task = FittedRegression("level", "squared_error", 0.0, 1.0, seen=seen([1.0, 3.0]))
    targets = targets_of([farthest, 1.0])
    assert np.isfinite(np.square(encode_targets((task,), targets, None, dtype))).all()
    too_far = farthest * (1 + 1e-5)
    targets = targets_of([1.0, too_far])
    words = f"'level' has a label of {too_far:.6g} in y_val, too far from .*, of mean 2 and standard deviation 1."
    with pytest.raises(ValueError, match=words.replace("+", r"\+")):
        encode_targets((task,), targets, None, dtype, name="y_val")
    with pytest.raises(ValueError, match=" in y, too far"):
        encode_targets((task,), targets, None, dtype)
    assert encode_targets((task,), targets, np.array([[1.0], [0.0]]), dtype).tolist() == [[1, 1], [0, 0]]


def test_there_may_be_no_label_of_a_task_at_all():
    targets = targets_of([None, None], [1.0, 2.0])
    assert encode_targets((LEVEL, LEVEL), targets, None, "float64").tolist() == [[0, -0.25], [0, 0]]


# --------------------------------------------------------------------------------------------------------------------
# Scales


def test_tasks_learn_from_their_own_labels_and_weights():
    targets = targets_of([1.0, None, 4.0, 5.0], [3, 1, 1, 2], [2.0, 2.0, None, 8.0], [0, 2, None, 4])
    weights = np.array([[1.0, 1, 1, 1], [0, 3, 1, 2], [2, 0, 0, 0], [1, 1, 2, 1]])
    numbers, classes, amounts, counts = fit_tasks(
        [Regression(), Multiclass(), Positive(), Count()], targets, weights, None, ALONE
    )
    labels = np.array([1.0, 4, 4, 5])
    assert [numbers.location, numbers.scale] == pytest.approx([labels.mean(), labels.std()])
    assert classes.classes.tolist() == [1, 2, 3]
    assert (amounts.location, amounts.scale) == (0, pytest.approx((2 + 2 + 8 + 8) / 4))
    assert (counts.location, counts.scale) == (0, pytest.approx((0 + 2 + 2 + 4) / 4))
    more = fit_tasks([Regression(), Multiclass()], targets_of([1.0, 3.0], [3, 1]), None, [None, [1, 2, 3, 4]])
    assert more[0].location == 2
    with pytest.raises(ValueError, match="'y0', which is no classification"):
        fit_tasks([Regression()], targets_of([1.0, 3.0]), None, [[1, 3]])
    assert more[1].classes.tolist() == [1, 2, 3, 4]


class SameTwice(Group):
    """Two ranks with the same labels."""

    size = 2

    def gather(self, value):
        return [value, value]


def test_scales_are_those_of_all_ranks():
    (task,) = fit_tasks([Regression()], targets_of([1.0, 3.0]), None, None, SameTwice())
    assert task.seen.weight == 4
    (task,) = update_tasks((task,), targets_of([9.0]), None, SameTwice())
    assert (task.location, task.scale) == pytest.approx((26 / 6, np.std([1, 3, 1, 3, 9, 9])))


KNOWN = (
    replace(LEVEL, location=2.0, scale=1.0, seen=seen([1.0, 3.0])),
    replace(LEVEL, location=7.0, scale=0.0, seen=seen([7.0, 7.0])),  # all the same so far
    replace(LEVEL, location=0.0, scale=1.0),  # no label so far
    WORDS,
)
LATER = targets_of([7.0, 9.0], [1.0, 3.0], [4.0, 8.0], ["a", "b"])


@pytest.mark.parametrize(
    ("known_scales", "expected"),
    [(True, [[1, 3, 7, 9], [7, 7, 1, 3], [4, 8]]), (False, [[1, 3], [1, 3], [4, 8]])],
)
def test_scales_after_more_labels(known_scales, expected):
    found = update_tasks(KNOWN, LATER, None, known_scales=known_scales)
    for task, labels in zip(found[:3], expected, strict=True):
        assert (task.location, task.scale) == pytest.approx((np.mean(labels), np.std(labels)))
    assert (found[0] is KNOWN[0]) is not known_scales
    assert found[3] is WORDS


def test_by_default_scales_are_those_of_all_labels():
    assert update_tasks(KNOWN[:1], targets_of([7.0, 9.0]), None)[0].location == 5


def test_later_labels_have_their_own_weights():
    weights = np.array([[1.0, 1.0, 1.0, 0.0], [0.0, 3.0, 3.0, 1.0]])
    found = update_tasks(KNOWN, LATER, weights, known_scales=True)
    for task, labels in zip(found[:3], [[1, 3, 7], [7, 7, 1, 3, 3, 3], [4, 8, 8, 8]], strict=True):
        assert (task.location, task.scale) == pytest.approx((np.mean(labels), np.std(labels)))


def test_labels_none_of_which_weighs_anything_leave_the_scale():
    (found,) = update_tasks(KNOWN[1:2], targets_of([1.0, 3.0]), np.zeros((2, 1)), known_scales=False)
    assert (found.location, found.scale) == (7, 0)


def moved(loss, before, now):
    """A task of labels `before`, and the same after the labels `now` alone."""
    tasks = []
    for labels in (before, now):
        (task,) = fit_tasks([Regression(loss)], targets_of(labels), None)
        tasks.append(task)
    return tasks


@pytest.mark.parametrize("loss", ["squared_error", "quantile", "poisson", "gamma"])
def test_rescaled_outputs_are_decoded_to_what_they_were(loss):
    pairs = [moved(loss, [1.0, 4.0], [3.0, 9.0]), (WORDS, WORDS), moved(loss, [5.0, 5.0], [3.0, 9.0])]
    known, tasks = zip(*pairs, strict=True)
    outputs = np.random.default_rng(0).normal(size=(6, 5))
    factor, shift = rescaling(known, tasks)
    for old, new in zip(decode(known, outputs), decode(tasks, outputs * factor + shift), strict=True):
        if old.dtype.kind == "f":
            np.testing.assert_allclose(new, old)
        else:
            assert new.tolist() == old.tolist()
    assert [factor[1:4].tolist(), shift[1:4].tolist()] == [[1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_outputs_stay_where_there_is_no_scale_to_go_from_or_to(loss):
    varied, constant = moved(loss, [1.0, 4.0], [5.0, 5.0])
    assert rescaling((varied,), (constant,)).tolist() == [[1], [0]]
    unseen = FittedRegression("y0", loss, 0.0, 1.0)
    assert rescaling((unseen,), (varied,)).tolist() == [[1], [0]]


def test_counts_that_were_all_0_become_the_mean():
    before, now = moved("poisson", [0.0, 0.0], [1.0, 5.0])
    factor, shift = rescaling((before,), (now,))
    assert now.decode(np.array([[-7.0], [7.0]]) * factor + shift).tolist() == [3, 3]


# --------------------------------------------------------------------------------------------------------------------
# Answers

MIXED = (regression("squared_error"), multiclass(3), binary(), ordinal(4), regression("poisson"))


def test_each_task_reads_its_own_outputs():
    assert output_slices(MIXED) == [slice(0, 1), slice(1, 4), slice(4, 5), slice(5, 8), slice(8, 9)]
    outputs = np.random.default_rng(0).normal(size=(7, 9))
    number, three, two, four, count = decode(MIXED, outputs)
    chances = task_probabilities(MIXED, outputs)
    assert list(chances) == ["m", "b", "o"]
    for i, row in enumerate(outputs):
        assert number[i] == row[0]
        assert chances["m"][i] == pytest.approx(np.exp(row[1:4]) / np.exp(row[1:4]).sum())
        assert chances["b"][i] == pytest.approx([1 - sigmoid(row[4]), sigmoid(row[4])])
        assert chances["o"][i] == pytest.approx(ordinal_probabilities(row[5:8]))
        assert count[i] == pytest.approx(np.exp(row[8]))
        assert (three[i], two[i], four[i]) == tuple(chances[name][i].argmax() for name in "mbo")


def of_classes(*classes):
    return FittedClassification("c", "cross_entropy" if len(classes) > 2 else "log_loss", np.array(classes))


def of_type(dtype):
    return FittedClassification("c", "log_loss", np.array([1, 2], dtype=dtype))


LARGE = 2**53 + 1  # which float64 does not hold


@pytest.mark.parametrize(
    ("tasks", "columns", "kind"),
    [
        ((LEVEL, LEVEL), [[0.5], [1.5]], "f"),
        ((of_classes(1, 2), LEVEL), [[1], [0.5]], "f"),
        ((of_classes(1, LARGE), LEVEL), [[1], [0.5]], "O"),
        ((of_classes(1, LARGE), of_classes(1, 2)), [[LARGE], [2]], "i"),
        ((of_classes(1, LARGE), of_classes(False, True)), [[LARGE], [True]], "i"),
        ((of_classes("a", "b"), of_classes("long", "longer")), [["a"], ["longer"]], "U"),
        ((of_classes(b"a", b"b"), of_classes(b"long", b"longer")), [[b"a"], [b"longer"]], "S"),
        ((of_classes("a", "b"), of_classes(b"a", b"b")), [["a"], [b"b"]], "O"),
        ((of_classes("a", "b"), LEVEL), [["a"], [0.5]], "O"),
    ],
)
def test_one_array_has_every_label_as_it_is(tasks, columns, kind):
    table = beside(tasks, [np.array(own) for own in columns])
    assert table.dtype.kind == kind
    assert table.tolist() == [[own[0] for own in columns]]
    if kind == "O":
        assert [type(label) for label in table[0]] == [type(own[0]) for own in columns]


@pytest.mark.parametrize(
    ("dtypes", "kind"),
    [
        (["int8", "uint8"], "i"),
        (["int64", "uint64"], "f"),
        (["bool", "int8", "uint8", "float32"], "f"),
        (["longdouble", "longdouble"], "f"),
        (["longdouble", "int8"], "O" if np.dtype(np.longdouble).itemsize > 8 else "f"),
    ],
)
def test_types_of_numbers_beside_each_other(dtypes, kind):
    tasks = [of_type(dtype) for dtype in dtypes]
    table = beside(tasks, [task.classes for task in tasks])
    assert table.dtype.kind == kind
    assert table.tolist() == [list(row) for row in zip(*(task.classes.tolist() for task in tasks), strict=True)]


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_moments_beside_numbers_are_moments(unit):
    days = np.array(["2024-01-01", "2024-02-02"], dtype=f"datetime64[{unit}]")
    table = beside((FittedClassification("day", "log_loss", days), LEVEL), [days, np.array([0.5, 1.5])])
    assert table[:, 0].astype(days.dtype).tolist() == days.tolist()
    assert all(isinstance(moment, type(table[0, 0])) and not isinstance(moment, int) for moment in table[:, 0])
    same = beside((FittedClassification("day", "log_loss", days),) * 2, [days, days])
    assert same.dtype == days.dtype


FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.Table}


@pytest.mark.parametrize("library", FRAMES)
def test_predictions_as_a_frame_of_each_library(library):
    tasks = (replace(WORDS, name=("first", 1)), replace(LEVEL, name=2))
    frame = as_frame(tasks, [np.array(["a", "c"]), np.array([0.5, 1.5])], library)
    assert type(frame) is FRAMES[library]
    if library == "pandas":
        assert frame.columns.tolist() == [("first", 1), 2]
        assert frame.to_numpy().tolist() == [["a", 0.5], ["c", 1.5]]
        indexed = as_frame(tasks, [np.array(["a"]), np.array([0.5])], library, index=pd.Index([7]))
        assert indexed.index.tolist() == [7]
    else:
        names = frame.columns if library == "polars" else frame.column_names
        assert names == ["('first', 1)", "2"]
        table = frame.to_dicts() if library == "polars" else frame.to_pylist()
        assert [list(row.values()) for row in table] == [["a", 0.5], ["c", 1.5]]


def test_numbers_and_moments_in_a_table_of_pyarrow_have_the_types_that_they_have():
    columns = [np.array([1], dtype="int8"), np.array(["2024-01-01"], dtype="datetime64[ns]"), np.array(["a"])]
    table = as_frame((of_type("int8"),) * 3, columns, "pyarrow")
    assert table.schema.types == [pa.int8(), pa.timestamp("ns"), pa.string()]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_classifications_have_the_type_that_their_labels_had(library):
    dtype = pl.Enum(["b", "a"]) if library == "polars" else pd.CategoricalDtype(["b", "a"], ordered=True)
    tasks = (replace(WORDS, dtype=described(dtype)), LEVEL)
    frame = as_frame(tasks, [np.array(["a", "b"]), np.array([0.5, 1.5])], library)
    assert frame["word"].dtype == dtype
    assert frame["word"].to_list() == ["a", "b"]


def test_frames_of_other_libraries_are_refused_before_anything_is_imported():
    with pytest.raises(ValueError, match="data frames of pandas, polars or pyarrow; y was one of 'antigravity'"):
        as_frame((LEVEL,), [np.array([0.5])], "antigravity")
