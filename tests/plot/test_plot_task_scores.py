"""The picture of scores by task: what is where."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import SMALL, TWO_FOLDS, make_features, make_targets
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_validate

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.metrics import multi_task_scoring, transfer_report
from sklearn_mmoe.plot import TaskScoresDisplay

RESULTS = {
    "MMoE": {"fit_time": [1, 1], "test_a": np.array([0.5, 0.7]), "test_b": np.array([0.0, 0.2])},
    "trees": {"fit_time": [1, 1], "test_a": np.array([0.4, 0.4]), "test_b": np.array([0.6, 0.2])},
}
REPORT = {
    "task": ["a", "b"],
    "n_labels": [10, 20],
    "shared": [0.5, 0.3],
    "single": [0.4, 0.5],
    "gain": [0.1, -0.2],
    "gain_std_error": [0.02, np.nan],
}


def dots(container):
    """Scores and rows of an estimator."""
    return np.transpose(container.lines[0].get_xydata())


def whiskers(container):
    """Half the length of each whisker, NaN where there is none."""
    (lines,) = container.lines[2]
    ends = [segment[:, 0] if len(segment) else [np.nan, np.nan] for segment in lines.get_segments()]
    return [(right - left) / 2 for left, right in ends]


def texts(legend):
    return [text.get_text() for text in legend.texts]


def test_means_and_standard_errors_over_the_folds():
    display = TaskScoresDisplay.from_cv_results(RESULTS, score_name="R2")
    np.testing.assert_allclose(display.scores, [[0.6, 0.1], [0.4, 0.4]])
    # of two folds that are d apart, the standard deviation is d / sqrt(2), the standard error d / 2
    np.testing.assert_allclose(display.errors, [[0.1, 0.1], [0, 0.2]], atol=1e-12)
    for container, scores, errors in zip(display.errorbar_, display.scores, display.errors, strict=True):
        np.testing.assert_array_equal(dots(container)[0], scores)
        np.testing.assert_allclose(whiskers(container), errors, atol=1e-12)
    ax = display.ax_
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_ylim() == (1.5, -0.5)  # the first task on top
    assert ax.get_xlabel() == "R2\nmean ± standard error over the folds"
    assert texts(ax.get_legend()) == ["MMoE", "trees"]
    assert display.figure_ is ax.figure


def test_standard_deviations_on_request():
    display = TaskScoresDisplay.from_cv_results(RESULTS, error="std")
    np.testing.assert_allclose(display.errors, np.array([[0.2, 0.2], [0, 0.4]]) / np.sqrt(2), atol=1e-12)
    assert display.ax_.get_xlabel() == "score\nmean ± standard deviation over the folds"


@pytest.mark.parametrize("n_estimators", [1, 2, 5])
def test_estimators_share_the_row_of_a_task_in_their_order(n_estimators):
    results = {f"model {e}": RESULTS["MMoE"] for e in range(n_estimators)}
    display = TaskScoresDisplay.from_cv_results(results)
    rows = np.array([dots(container)[1] for container in display.errorbar_])
    assert (np.diff(rows, axis=0) > 0.1).all()
    np.testing.assert_allclose(rows.mean(axis=0), [0, 1], atol=1e-12)
    assert (abs(rows - [0, 1]) < 0.5).all()
    assert (display.ax_.get_legend() is None) == (n_estimators == 1)


def test_what_is_not_there_is_not_drawn():
    failed = {"test_a": np.array([0.5, np.nan]), "test_c": np.array([0.3])}
    display = TaskScoresDisplay.from_cv_results({"MMoE": RESULTS["MMoE"], "other": failed})
    assert display.task_names == ["a", "b", "c"]
    np.testing.assert_allclose(display.scores, [[0.6, 0.1, np.nan], [np.nan, np.nan, 0.3]])
    np.testing.assert_allclose(display.errors, [[0.1, 0.1, np.nan], [np.nan, np.nan, np.nan]])
    np.testing.assert_allclose(dots(display.errorbar_[1])[0], [np.nan, np.nan, 0.3])


def test_results_of_cross_validate():
    X, y = make_features(), pd.DataFrame(make_targets("regressor"), columns=["near", "far"])
    results = {
        name: cross_validate(model, X, y, cv=TWO_FOLDS, scoring=multi_task_scoring(list(y)))
        for name, model in {"MMoE": MMoERegressor(**SMALL), "ridge": Ridge()}.items()
    }
    display = TaskScoresDisplay.from_cv_results(results)
    assert display.task_names == ["near", "far", "mean"]
    np.testing.assert_allclose(display.scores[1, 2], results["ridge"]["test_mean"].mean())


def test_scores_of_a_report_have_no_whiskers():
    display = TaskScoresDisplay.from_report(REPORT, score_name="R2")
    assert texts(display.ax_.get_legend()) == ["shared", "single"]
    np.testing.assert_array_equal([dots(container)[0] for container in display.errorbar_], display.scores)
    np.testing.assert_array_equal(display.scores, [REPORT["shared"], REPORT["single"]])
    assert np.isnan([whiskers(container) for container in display.errorbar_]).all()
    assert display.ax_.get_xlabel() == "R2"


def test_gain_of_a_report_has_its_standard_error_and_a_line_at_nothing():
    display = TaskScoresDisplay.from_report(REPORT, show="gain", score_name="R2")
    (container,) = display.errorbar_
    np.testing.assert_array_equal(dots(container)[0], REPORT["gain"])
    np.testing.assert_allclose(whiskers(container), REPORT["gain_std_error"])
    assert any(np.array_equal(line.get_xdata(), [0, 0]) for line in display.ax_.get_lines())
    assert display.ax_.get_xlabel() == "gain in R2, shared minus single\nmean ± standard error over the folds"
    assert display.ax_.get_legend() is None


def test_a_report_as_a_sorted_frame():
    X, y = make_features(), make_targets("regressor")
    report = transfer_report(MMoERegressor(**SMALL), X, y, cv=TWO_FOLDS)
    frame = pd.DataFrame(report).sort_values("gain")
    display = TaskScoresDisplay.from_report(frame, show="gain")
    assert display.task_names == list(frame["task"])
    np.testing.assert_array_equal(display.scores, [sorted(report["gain"])])


@pytest.mark.parametrize("n_tasks", [2, 7, 30])
def test_long_names_are_cut_and_the_figure_grows_with_the_tasks(n_tasks):
    names = [f"minutes of delay of flight number {t:02}" for t in range(n_tasks)]
    display = TaskScoresDisplay(scores=np.zeros((2, n_tasks)), task_names=names, estimator_names=["one", "two"]).plot()
    labels = display.ax_.get_yticklabels()
    assert [label.get_text() for label in labels] == [f"minutes of d…t number {t:02}" for t in range(n_tasks)]
    display.figure_.draw_without_rendering()
    boxes = [label.get_window_extent() for label in labels]
    assert all(upper.y0 >= lower.y1 for upper, lower in pairwise(boxes))
    legend = display.ax_.get_legend().get_window_extent()
    assert legend.y0 >= display.ax_.get_window_extent().y1  # over no dot


def test_it_draws_in_the_axes_it_is_given_and_again():
    figure, (left, right) = plt.subplots(1, 2)
    display = TaskScoresDisplay.from_cv_results(RESULTS, ax=left, errorbar_kw={"marker": "s", "ms": 9})
    assert display.ax_ is left
    assert display.figure_ is figure
    assert {(own.lines[0].get_marker(), own.lines[0].get_markersize()) for own in display.errorbar_} == {("s", 9)}
    display.plot(right)
    assert display.ax_ is right
    assert len(right.containers) == len(left.containers) == 2


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"error must be one of \['std_error', 'std'\], got 'sem'"):
        TaskScoresDisplay.from_cv_results(RESULTS, error="sem")
    with pytest.raises(ValueError, match=r"show must be one of \['scores', 'gain'\], got 'shared'"):
        TaskScoresDisplay.from_report(REPORT, show="shared")
    with pytest.raises(ValueError, match=r"cv_results\['MMoE'\] has no entry 'test_<task>': give what cross_validate"):
        TaskScoresDisplay.from_cv_results({"MMoE": {"fit_time": [1]}})
