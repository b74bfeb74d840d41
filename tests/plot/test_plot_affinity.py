"""TaskAffinityDisplay: the matrix that is drawn, its order, its labels."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers import SMALL, fitted, make_features, make_targets
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.metrics._affinity import gate_overlap, gradient_cosine
from sklearn_mmoe.plot import TaskAffinityDisplay

X, y = make_features(), make_targets("multitask")


def families(n_tasks):
    """Even tasks beside odd ones."""
    places = np.arange(n_tasks) % 2
    affinity = np.where(places[:, None] == places, 0.8, 0.2)
    np.fill_diagonal(affinity, 1.0)
    return affinity


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def test_overlap_of_the_gates_of_an_estimator():
    model = fitted("multitask")
    display = TaskAffinityDisplay.from_estimator(model, X, order="given")
    np.testing.assert_array_equal(display.affinity, gate_overlap(model.gate_weights(X)))
    np.testing.assert_array_equal(display.im_.get_array(), display.affinity)
    assert display.im_.get_clim() == (0, 1)
    assert display.colorbar_.ax.get_ylabel() == "overlap of gates"
    assert labels(display.ax_.get_yticklabels()) == labels(display.ax_.get_xticklabels()) == model.task_names_
    same = TaskAffinityDisplay.from_predictions(model.gate_weights(X), task_names=model.task_names_)
    np.testing.assert_array_equal(same.affinity, display.affinity)


def test_gradients_of_an_estimator_behind_a_scaler():
    targets = make_targets("regressor")
    pipeline = make_pipeline(StandardScaler(), MMoERegressor(**SMALL)).fit(X, targets)
    display = TaskAffinityDisplay.from_estimator(pipeline, X, targets, kind="gradients", subsample=20, random_state=0)
    scaled = pipeline[0].transform(X)
    np.testing.assert_array_equal(
        display.affinity, gradient_cosine(pipeline[-1], scaled, targets, subsample=20, random_state=0)
    )
    assert display.im_.get_clim() == (-1, 1)
    assert display.colorbar_.ax.get_ylabel() == "cosine of gradients"


def test_alike_tasks_stand_beside_each_other():
    display = TaskAffinityDisplay(families(6), task_names=list("abcdef")).plot()
    assert set(display.order_[:3]) == {0, 2, 4}
    drawn = [list("abcdef")[t] for t in display.order_]
    assert labels(display.ax_.get_xticklabels()) == labels(display.ax_.get_yticklabels()) == drawn
    np.testing.assert_array_equal(display.im_.get_array()[:3, 3:], 0.2)
    display.plot(order="given")
    assert display.order_.tolist() == list(range(6))


@pytest.mark.parametrize("n_tasks", [1, 2, 7, 30])
def test_numbers_fit_their_cells(n_tasks):
    names = [f"a task with a name that is far too long, number {t}" for t in range(n_tasks)]
    display = TaskAffinityDisplay(-families(n_tasks), task_names=names, kind="gradients").plot()
    assert display.text_.shape == (n_tasks, n_tasks)
    assert display.text_[0, 0].get_text() == "-1.00"
    width = display.ax_.get_window_extent().width / n_tasks
    assert max(text.get_window_extent().width for text in display.text_[:3].ravel()) <= width


def test_numbers_that_do_not_fit_or_are_not_wanted_are_left_out():
    names = [f"y{t}" for t in range(30)]
    _, ax = plt.subplots(figsize=(2, 2))
    assert TaskAffinityDisplay(families(30), task_names=names).plot(ax).text_ is None
    assert TaskAffinityDisplay(families(30), task_names=names).plot(include_values=False).text_ is None


def test_what_is_not_known_is_blank():
    affinity = np.array([[1.0, np.nan], [np.nan, np.nan]])
    display = TaskAffinityDisplay(affinity, task_names=["a", "b"], kind="gradients").plot()
    assert [text.get_text() for text in display.text_.ravel()] == ["1.00", "", "", ""]


def test_axes_colour_bar_and_styles_of_the_user():
    figure, (left, right) = plt.subplots(1, 2)
    display = TaskAffinityDisplay(families(3), task_names=list("abc")).plot(
        right, colorbar=False, im_kw={"vmin": 0.1}, text_kw={"color": "red"}
    )
    assert display.ax_ is right
    assert display.figure_ is figure
    assert figure.axes == [left, right]
    assert display.colorbar_ is None
    assert display.im_.get_clim() == (0.1, 1)
    assert display.text_[0, 0].get_color() == "red"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "labels"}, r"kind must be one of \['gates', 'gradients'\], got 'labels'"),
        ({"kind": "gradients"}, "kind='gradients': gradients need the labels: give y"),
        ({"y": y}, "kind='gates': gates need no labels: leave y out"),
        ({"order": "best"}, r"order must be one of \['clustered', 'given'\], got 'best'"),
        ({"y": y[:, :2], "kind": "gradients"}, "fitted on a 2-D y of 3 tasks, got a 2-D y of 2"),
    ],
)
def test_words_of_errors(options, words):
    with pytest.raises(ValueError, match=words):
        TaskAffinityDisplay.from_estimator(fitted("multitask"), X, **options)
