"""GateDisplay: what is in the pictures, and which rows go together."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import SMALL, all_three, fitted, make_features
from scipy.sparse import csr_array
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.plot import GateDisplay
from sklearn_mmoe.plot._row_groups import row_groups

LONG = [f"a task with a name that is far too long for a picture, number {t}" for t in range(30)]


def make_gates(n_tasks=2, n_experts=4, n_members=1, n_rows=40):
    gates = np.random.default_rng(0).dirichlet([0.7] * n_experts, size=(n_rows, n_tasks, n_members))
    return gates.reshape(n_rows, n_tasks, -1) / n_members


def labels(ticks):
    return [tick.get_text() for tick in ticks]


# --------------------------------------------------------------------------------------------------------------------
# Means


@all_three
def test_means_of_an_estimator(name):
    model = fitted(name)
    display = GateDisplay.from_estimator(model, make_features())
    (image,) = display.images_
    np.testing.assert_allclose(image.get_array(), model.gate_weights(make_features()).mean(axis=0), rtol=1e-5)
    assert labels(display.ax_.get_yticklabels()) == model.task_names_
    assert labels(display.ax_.get_xticklabels()) == ["0", "1"]
    assert display.ax_.get_xlabel() == "expert"
    assert display.figure_ is display.ax_.figure
    assert display.boxes_ == []


def test_numbers_are_percents_that_can_be_read_on_their_cells():
    gates = np.array([[[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]]])
    display = GateDisplay.from_predictions(gates)
    assert [text.get_text() for text in display.texts_[0].ravel()] == ["90", "10", "0", "20", "30", "50"]
    assert display.texts_[0][0, 0].get_color() == "white"
    assert display.texts_[0][0, 2].get_color() == "black"
    assert labels(display.ax_.get_yticklabels()) == ["y0", "y1"]


@pytest.mark.parametrize("n_tasks", [2, 7, 30])
@pytest.mark.parametrize("n_members", [1, 4])
def test_numbers_fit_for_few_and_for_many_tasks(n_tasks, n_members):
    gates = make_gates(n_tasks, 8, n_members, n_rows=3)
    display = GateDisplay.from_predictions(gates, task_names=LONG[:n_tasks], n_members=n_members)
    assert display.texts_[0].shape == (n_tasks, 8 * n_members)
    cell = display.ax_.get_window_extent()
    width, height = cell.width / (8 * n_members), cell.height / n_tasks
    boxes = [text.get_window_extent() for text in display.texts_[0][:3].ravel()]
    assert max(box.width for box in boxes) <= width
    assert max(box.height for box in boxes) <= height
    names = [tick.label1.get_window_extent() for tick in display.ax_.yaxis.get_major_ticks()]
    assert all(above.y0 >= below.y1 for above, below in pairwise(names))


def test_numbers_that_do_not_fit_or_are_not_wanted_are_left_out():
    _, ax = plt.subplots(figsize=(1, 1))
    assert GateDisplay.from_predictions(make_gates(30, 32), ax=ax).texts_ == [None]
    assert GateDisplay.from_predictions(make_gates(), include_values=False).texts_ == [None]


def test_experts_of_an_ensemble_are_numbered_member_by_member():
    model = fitted("regressor", n_members=3)
    display = GateDisplay.from_estimator(model, make_features())
    assert display.n_members == 3
    assert display.images_[0].get_array().shape == (2, 6)
    assert labels(display.ax_.get_xticklabels()) == ["0", "1"] * 3
    (above,) = display.ax_.child_axes
    assert labels(above.get_xticklabels()) == ["0", "1", "2"]
    assert above.get_xlabel() == "member"
    assert [line.get_xdata()[0] for line in display.ax_.lines] == [1.5, 3.5]


def test_of_many_experts_some_are_numbered():
    display = GateDisplay.from_predictions(make_gates(2, 50, 2, n_rows=3), n_members=2)
    assert labels(display.ax_.get_xticklabels()) == [str(k) for k in range(0, 50, 3)] * 2


@pytest.mark.parametrize(
    ("gates", "n_members", "most"),
    [
        ([[[0.9, 0.1, 0.0]]], 1, 0.9),
        ([[[0.25] * 4]], 1, 0.5),  # twice an equal weight
        ([[[0.5, 0.5]]], 2, 0.5),  # one expert a member has all that there is
    ],
)
def test_colours_start_at_zero_and_mark_an_equal_weight(gates, n_members, most):
    display = GateDisplay.from_predictions(gates, n_members=n_members)
    assert display.images_[0].get_clim() == (0, most)
    equal = 1 / len(gates[0][0])
    assert any(list(np.unique(line.get_ydata())) == [equal] for line in display.colorbar_.ax.lines)


def test_axes_colour_bar_and_styles_of_the_user():
    figure, (left, right) = plt.subplots(1, 2)
    display = GateDisplay.from_predictions(
        make_gates(), ax=right, colorbar=False, im_kw={"cmap": "Greens", "vmax": 1}, text_kw={"color": "red", "size": 6}
    )
    assert display.ax_ is right
    assert display.figure_ is figure
    assert figure.axes == [left, right]
    assert display.colorbar_ is None
    assert display.images_[0].get_cmap().name == "Greens"
    assert display.images_[0].get_clim() == (0, 1)
    assert display.texts_[0][0, 0].get_color() == "red"
    assert display.texts_[0][0, 0].get_size() == 6


def test_features_go_through_the_steps_of_a_pipeline_but_groups_come_from_the_features_given():
    X = pd.DataFrame(make_features(), columns=list("abcd"))
    X["d"] = np.arange(len(X)) % 2
    pipeline = make_pipeline(StandardScaler(), MMoERegressor(**SMALL)).fit(X, X[["a", "b"]])
    display = GateDisplay.from_estimator(pipeline, X, group="d")
    gates = pipeline[-1].gate_weights(pipeline[0].transform(X))
    np.testing.assert_array_equal(display.gate_weights, gates)
    assert [ax.get_title() for ax in display.axes_] == ["d = 0\n30 rows", "d = 1\n30 rows"]
    for image, value in zip(display.images_, (0, 1), strict=True):
        np.testing.assert_allclose(image.get_array(), gates[X["d"] == value].mean(axis=0), rtol=1e-5)


def test_panels_of_groups_share_names_and_colours():
    display = GateDisplay.from_predictions(make_gates(3), group=np.arange(40) % 3, task_names=["a", "b", "c"])
    assert [labels(ax.get_yticklabels()) for ax in display.axes_] == [["a", "b", "c"], [""] * 3, [""] * 3]
    assert len({image.get_clim() for image in display.images_}) == 1
    assert len(display.figure_.axes) == 4  # and one colour bar for all


# --------------------------------------------------------------------------------------------------------------------
# Distributions


def test_boxes_are_quartiles_and_whiskers_percentiles():
    gates = make_gates()
    display = GateDisplay.from_predictions(gates, kind="distribution", task_names=["a", "b"])
    assert [ax.get_title() for ax in display.axes_] == ["a", "b"]
    assert display.images_ == display.texts_ == []
    for t, (ax, boxes) in enumerate(zip(display.axes_, display.boxes_, strict=True)):
        low, first, median, third, high = np.percentile(gates[:, t], (5, 25, 50, 75, 95), axis=0)
        np.testing.assert_allclose([box.get_y() for box in boxes], first)
        np.testing.assert_allclose([box.get_y() + box.get_height() for box in boxes], third)
        whiskers, medians = (np.array(lines.get_segments()) for lines in ax.collections)
        np.testing.assert_allclose(whiskers[:, :, 1], np.column_stack([low, high]))
        np.testing.assert_allclose(medians[:, :, 1], np.column_stack([median, median]))
    assert len({ax.get_ylim() for ax in display.axes_}) == 1


def test_panels_of_many_tasks_of_an_ensemble_stand_in_rows():
    display = GateDisplay.from_predictions(
        make_gates(30, 8, 4, n_rows=5), n_members=4, task_names=LONG, kind="distribution"
    )
    assert len(display.axes_) == 30
    assert display.axes_[0].get_subplotspec().get_gridspec().get_geometry() == (10, 3)
    assert [len(ax.child_axes) for ax in display.axes_] == [1] * 3 + [0] * 27
    assert [ax.get_xlabel() for ax in display.axes_] == [""] * 27 + ["expert"] * 3


def test_a_display_is_drawn_again_in_another_way():
    display = GateDisplay.from_predictions(make_gates())
    first = display.figure_
    assert display.plot(kind="distribution") is display
    assert display.figure_ is not first
    assert len(display.axes_) == 2


# --------------------------------------------------------------------------------------------------------------------
# Groups


def rows_of(groups):
    return {title: np.flatnonzero(rows).tolist() for title, rows in groups.items()}


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (["b", "a", "b"], {"group = a": [1], "group = b": [0, 2]}),
        ([True, False, True], {"group = False": [1], "group = True": [0, 2]}),
        ([2.0, np.nan, 1.0], {"group = 1.0": [2], "group = 2.0": [0], "group missing": [1]}),
        (pd.Series(["x", None, "y"], name="kind"), {"kind = x": [0], "kind = y": [2], "kind missing": [1]}),
        (pl.Series("kind", [1, 1, 3]), {"kind = 1": [0, 1], "kind = 3": [2]}),
        (
            pd.Series(pd.Categorical(["low", "high", "low"], categories=["low", "middle", "high"], ordered=True)),
            {"group = low": [0, 2], "group = high": [1]},
        ),
    ],
)
def test_groups_of_values(group, expected):
    found = rows_of(row_groups(group, None, 3))
    assert found == expected
    assert list(found) == list(expected)


def test_numbers_of_many_values_are_cut_at_their_quartiles():
    found = rows_of(row_groups(np.arange(20.0)[::-1], None, 20))
    assert list(found) == ["group ≤ 4.75", "4.75 < group ≤ 9.5", "9.5 < group ≤ 14.2", "group > 14.2"]
    assert list(found.values()) == [list(range(15, 20)), list(range(10, 15)), list(range(5, 10)), list(range(5))]


def test_a_quarter_without_a_row_is_no_group():
    mostly_zero = np.r_[np.zeros(60), np.arange(1.0, 21)]
    groups = row_groups(mostly_zero, None, 80)
    assert {title: rows.sum() for title, rows in groups.items()} == {"group ≤ 0": 60, "group > 0.25": 20}


@pytest.mark.parametrize("container", [np.asarray, list, csr_array])
def test_a_column_of_an_array(container):
    X = container([[5, 0], [5, 1], [5, 0]])
    assert rows_of(row_groups(1, X, 3)) == {"x1 = 0": [0, 2], "x1 = 1": [1]}


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize("group", ["b", 1])
def test_a_column_of_a_frame(library, group):
    X = library.DataFrame({"a": [5, 5], "b": ["u", "v"]})
    assert rows_of(row_groups(group, X, 2)) == {"b = u": [0], "b = v": [1]}


ARRAY, FRAME = np.zeros((2, 3)), pd.DataFrame({"a": [1, 2]})


@pytest.mark.parametrize(
    ("group", "X", "words"),
    [
        ([1, 2, 3], None, "a value for each of 2 rows, or name a column of X; got 3 values"),
        (ARRAY, ARRAY, r"group must be 1-D, a value for each row, or name a column of X; got shape \(2, 3\)"),
        ("b", FRAME, r"group='b' is no column of X, which has \['a'\]"),
        ("b", ARRAY, "X is an array and has none: give the index of a column"),
        (3, ARRAY, "group=3 is no column of X: indices go from 0 to 2"),
        (-1, FRAME, "group=-1 is no column of X: indices go from 0 to 0"),
        ("b", None, "group='b' names a column of X, which is not known here: give a value for each row"),
    ],
)
def test_groups_that_are_refused(group, X, words):
    with pytest.raises(ValueError, match=words):
        row_groups(group, X, 2)


def test_too_many_words_are_refused():
    with pytest.raises(ValueError, match="20 different values, 'a' to 't': more than 12 are too many to look at"):
        row_groups(list("abcdefghijklmnopqrst"), None, 20)


# --------------------------------------------------------------------------------------------------------------------
# Errors


@pytest.mark.parametrize(
    ("gates", "options", "words"),
    [
        (np.ones((3, 2)), {}, r"must be of shape \(n_samples, n_tasks, n_members \* n_experts\).*got shape \(3, 2\)"),
        (make_gates(), {"n_members": 3}, r"got shape \(40, 2, 4\) with n_members=3"),
        (2 * make_gates(), {}, "must be 0 or more and sum to 1 over the experts of each row and task"),
        (make_gates(), {"task_names": ["a"]}, "task_names must hold 2 names, got 1"),
        (make_gates(), {"kind": "median"}, r"kind must be one of \['mean', 'distribution'\], got 'median'"),
        (make_gates(), {"kind": "distribution", "group": np.arange(40) % 2}, "draws no groups: leave group out"),
    ],
)
def test_words_of_errors(gates, options, words):
    with pytest.raises(ValueError, match=words):
        GateDisplay.from_predictions(gates, **options)
