"""The picture of a fit: what is in which panel."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import QUICK, SMALL, make_features, make_labels, make_targets
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoEClassifier, MMoERegressor
from sklearn_mmoe._common.names import short_names
from sklearn_mmoe.metrics import make_task_scorer
from sklearn_mmoe.plot import LearningCurveDisplay

X = make_features()
NAMES = ["up", "a level that takes many words to name"]
SHORT = ["up", "a level that…rds to name"]
Y = pd.DataFrame(make_targets("regressor"), columns=NAMES)
WATCHED = {"early_stopping": True, "validation_fraction": 0.3}


def fitted(y=Y, **parameters):
    return MMoERegressor(**{**SMALL, **parameters}).fit(X, y)


def line(panel, label):
    (found,) = (own for own in panel.get_lines() if own.get_label() == label)
    return found


def curve(panel, label):
    """Epochs and values of a line."""
    return np.transpose(line(panel, label).get_xydata())


def marks(panel):
    """Epochs that are marked."""
    return [own.get_xdata()[0] for own in panel.get_lines() if own.get_linestyle() == ":"]


def titles(display):
    return [panel.get_title() for panel in display.axes_]


def test_each_panel_shows_the_history_of_its_losses():
    model = fitted(**WATCHED)
    display = LearningCurveDisplay.from_estimator(model)
    assert titles(display) == ["total", *SHORT]
    assert display.figure_.axes == list(display.axes_)
    for part, label in (("train", "training"), ("valid", "validation")):
        epochs, values = curve(display.axes_[0], label)
        np.testing.assert_array_equal(epochs, [1, 2, 3])
        np.testing.assert_array_equal(values, [row[f"{part}_loss"] for row in model.history_])
        for panel, name in zip(display.axes_[1:], NAMES, strict=True):
            expected = [row[f"{part}_losses"][name] for row in model.history_]
            np.testing.assert_array_equal(curve(panel, label)[1], expected)
    assert [text.get_text() for text in display.figure_.legends[0].texts] == ["training", "validation", "kept epoch"]
    assert [panel.get_xlabel() for panel in display.axes_] == ["epoch"] * 3


def test_the_best_epoch_is_marked_where_a_validation_part_decides():
    noise = np.random.default_rng(0).normal(size=Y.shape)
    model = fitted(noise, max_epochs=15, learning_rate=0.05, learning_rate_schedule="constant", **WATCHED)
    best = np.argmax(model.validation_scores_) + 1
    assert best < model.n_iter_
    display = LearningCurveDisplay.from_estimator(model)
    assert all(marks(panel) == [best] for panel in display.axes_)


def test_each_member_has_a_mark_of_its_own():
    model = fitted(
        n_members=3, max_epochs=15, learning_rate=0.1, learning_rate_schedule="constant", numeric_embeddings=None
    )
    assert len(set(model.best_epochs_)) > 1
    display = LearningCurveDisplay.from_estimator(model)
    assert marks(display.axes_[1]) == sorted(set(model.best_epochs_))
    assert display.figure_.legends[0].texts[-1].get_text() == "kept epochs"
    assert len(display.figure_.legends[0].texts) == 3


def test_without_a_validation_part_the_last_epoch_is_marked():
    display = LearningCurveDisplay.from_estimator(fitted(early_stopping=False))
    assert display.valid_loss is display.valid_losses is display.valid_score is None
    assert [len(panel.get_lines()) for panel in display.axes_] == [2, 2, 2]  # training, and the mark
    assert marks(display.axes_[0]) == [3]


def test_epochs_of_partial_fit_go_on_without_validation():
    model = fitted(max_epochs=1, **WATCHED).partial_fit(X, Y)
    display = LearningCurveDisplay.from_estimator(model.partial_fit(X, Y))
    assert marks(display.axes_[0]) == [3]
    _, valid = curve(display.axes_[0], "validation")
    np.testing.assert_array_equal(np.isnan(valid), [False, True, True])
    alone = line(display.axes_[0], "validation")
    assert (alone.get_marker(), alone.get_markevery()) == (".", [0])  # a line would not show it
    assert line(display.axes_[0], "training").get_marker() == "None"


def test_a_fit_that_goes_on_marks_the_epoch_of_its_last_run():
    model = fitted(warm_start=True, **WATCHED)
    display = LearningCurveDisplay.from_estimator(model.fit(X, Y))
    assert len(curve(display.axes_[0], "validation")[1]) == model.n_iter_ == 6
    (best,) = marks(display.axes_[0])
    assert best == 4 + np.argmax(model.validation_scores_[3:])


def test_a_watched_score_has_a_panel_of_its_own():
    model = fitted(monitor=make_task_scorer("r2", task=0), **WATCHED)
    display = LearningCurveDisplay.from_estimator(model)
    assert titles(display)[:2] == ["total", "watched score"]
    assert len(display.axes_) == 4
    np.testing.assert_array_equal(curve(display.axes_[1], "validation")[1], model.validation_scores_)
    assert marks(display.axes_[1]) == [np.argmax(model.validation_scores_) + 1]


@pytest.mark.parametrize(("task_weights", "title"), [(None, "total"), ([1, 3], "total (training: weighted)")])
def test_weights_that_stay_have_no_panel(task_weights, title):
    display = LearningCurveDisplay.from_estimator(fitted(task_weights=task_weights))
    assert titles(display)[0] == title
    assert len(display.axes_) == 3


def test_weights_that_change_are_below():
    model = fitted(task_weights="uncertainty", **{**QUICK, "max_epochs": 5})
    display = LearningCurveDisplay.from_estimator(model)
    *upper, below = display.axes_
    assert below.get_title() == "task weights"
    assert titles(display)[0] == "total (training: weighted)"
    for name, label in zip(NAMES, SHORT, strict=True):
        np.testing.assert_array_equal(curve(below, label)[1], [row["task_weights"][name] for row in model.history_])
    display.figure_.draw_without_rendering()
    assert below.get_position().y1 < min(panel.get_position().y0 for panel in upper)


def test_of_many_weights_the_extremes_are_named():
    weights = {f"task {t}": [1.0, 0.1 * (t + 1)] for t in range(20)}
    losses = {name: [1.0, 0.5] for name in weights}
    display = LearningCurveDisplay(
        train_loss=[1, 0.5], train_losses=losses, best_epochs=[2], task_weights=weights
    ).plot()
    below = display.axes_[-1]
    assert len(below.get_lines()) == 20
    assert [text.get_text() for text in below.get_legend().texts] == [
        *("task 19", "task 18", "task 17"),
        "14 others",
        *("task 2", "task 1", "task 0"),
    ]


def test_a_task_without_labels_in_an_epoch_leaves_a_gap():
    model = fitted().partial_fit(X, Y.assign(**{NAMES[1]: np.nan}))
    display = LearningCurveDisplay.from_estimator(model)
    _, values = curve(display.axes_[2], "training")
    np.testing.assert_array_equal(np.isnan(values), [False, False, False, True])


@pytest.mark.parametrize(("n_tasks", "n_cols", "shape"), [(2, 4, (1, 3)), (7, 4, (2, 4)), (30, 6, (6, 6))])
def test_many_tasks_make_rows_of_panels(n_tasks, n_cols, shape):
    losses = {f"task {t}": [1.0, 0.5] for t in range(n_tasks)}
    display = LearningCurveDisplay(train_loss=[1, 0.5], train_losses=losses, best_epochs=[2]).plot(n_cols=n_cols)
    assert len(display.axes_) == n_tasks + 1
    assert display.axes_[0].get_subplotspec().get_gridspec().get_geometry() == shape
    labelled = [panel.get_xlabel() == "epoch" for panel in display.axes_]
    last_row = (n_tasks // n_cols) * n_cols
    assert labelled == [i >= last_row for i in range(n_tasks + 1)]


def test_it_draws_in_the_place_it_is_given_and_again():
    model = fitted(task_weights="uncertainty")
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    display = LearningCurveDisplay.from_estimator(model, ax=right, n_cols=2)
    assert display.figure_ is figure
    assert not figure.legends
    assert len(display.axes_[0].get_legend().texts) == len(display.axes_[0].get_legend_handles_labels()[1])
    figure.draw_without_rendering()
    assert min(panel.get_position().x0 for panel in display.axes_) > left.get_position().x1

    other, grid = plt.subplots(2, 2)
    display.plot(grid)
    assert display.figure_ is other
    assert list(display.axes_) == list(grid.ravel())
    with pytest.raises(ValueError, match="ax must be one Axes or 4 of them, one per panel; got 2"):
        display.plot(grid[0])


def test_names_that_stay_long_take_several_lines():
    apart = [("arrival", "first"), ("arrival", "second"), ("departure", "first")]
    names = [f"minutes of delay on {way} of all flights that go in the {half} half of a year" for way, half in apart]
    losses = {name: [1.0, 0.5] for name in names}
    display = LearningCurveDisplay(train_loss=[1, 0.5], train_losses=losses, best_epochs=[2]).plot()
    assert [title.replace("\n", " ") for title in titles(display)[1:]] == short_names(names)
    assert all(title.count("\n") == 1 for title in titles(display)[1:])


def test_styles_of_the_lines():
    display = LearningCurveDisplay.from_estimator(
        fitted(**WATCHED), train_kw={"c": "red"}, valid_kw={"ls": "--"}, best_kw={"color": "green", "label": "best"}
    )
    for panel in display.axes_:
        assert line(panel, "training").get_color() == "red"
        assert line(panel, "validation").get_linestyle() == "--"
        assert line(panel, "best").get_color() == "green"


def test_the_model_in_a_pipeline_and_a_single_target():
    model = make_pipeline(StandardScaler(), MMoEClassifier(**SMALL)).fit(X, make_labels())
    display = LearningCurveDisplay.from_estimator(model)
    assert titles(display) == ["total", "y0"]


def test_other_estimators_are_refused():
    with pytest.raises(ValueError, match=r"estimator must be a fitted MMoERegressor.*; got Ridge"):
        LearningCurveDisplay.from_estimator(Ridge().fit(X, Y))
    with pytest.raises(NotFittedError):
        LearningCurveDisplay.from_estimator(MMoERegressor())
