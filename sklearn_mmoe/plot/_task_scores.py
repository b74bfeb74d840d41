"""Scores of several estimators on each task, side by side, as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval

from sklearn_mmoe._common.arguments import check_option
from sklearn_mmoe._common.constraints import check_parameters
from sklearn_mmoe._common.extras import require
from sklearn_mmoe._common.names import short_names
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import shown
from sklearn_mmoe.plot._arguments import drawn_by, plotted_names, plotted_numbers, style_of
from sklearn_mmoe.plot._common import LITERAL, enlarge, legend_of_names, legend_that_fits, panels

ERRORS = {"std_error": "standard error", "std": "standard deviation"}
SHOWN = ("scores", "gain")
WIDTH = 6.4  # inches
LABEL_LENGTH = 28  # characters in a line of a label
SCORE_LENGTH = 44  # and below the axes

_CONSTRAINTS = {"score_name": [str], "baseline": [Interval(Real, None, None, closed="neither"), None]}


class TaskScoresDisplay:
    """A dot per task and estimator, with a whisker for what the folds differ by.

    It is best made by :meth:`from_cv_results` or :meth:`from_report`.

    Whiskers reach one standard error of the mean over the folds (or one standard deviation, on request) to each side.
    Folds are not independent, as they share rows to train on: a standard error tends to be too small. Estimators that
    were scored on the same folds may differ less from each other, fold by fold, than their whiskers suggest;
    :func:`~sklearn_mmoe.metrics.transfer_report` takes such differences.

    Parameters
    ----------
    scores : array-like of shape (n_estimators, n_tasks)
        Where there is none (NaN), nothing is drawn.
    task_names : sequence of str of length n_tasks
        Names of the tasks, from top to bottom.
    estimator_names : sequence of str of length n_estimators
        Names of the estimators, for the legend.
    errors : array-like of shape (n_estimators, n_tasks), default=None
        Half the length of each whisker; none where NaN.
    score_name : str, default="score"
        What is drawn, and what the whiskers are: the label of the axis.
    baseline : float, default=None
        A score to draw a line at.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the scores.
    figure_ : matplotlib Figure
        Figure that holds them.
    errorbar_ : list of matplotlib ErrorbarContainer
        One per estimator.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_linnerud
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn.model_selection import cross_validate
    >>> from sklearn_mmoe.metrics import make_task_scorer
    >>> from sklearn_mmoe.plot import TaskScoresDisplay
    >>> X, y = load_linnerud(return_X_y=True, as_frame=True)
    >>> scoring = {name: make_task_scorer("neg_mean_absolute_error", task=name) for name in y}
    >>> models = {"mean": DummyRegressor(), "ridge": Ridge()}
    >>> results = {name: cross_validate(model, X, y, scoring=scoring) for name, model in models.items()}
    >>> display = TaskScoresDisplay.from_cv_results(results, score_name="minus the absolute error")
    >>> display.task_names
    ['Weight', 'Waist', 'Pulse']
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        scores: ArrayLike,
        task_names: Sequence[str],
        estimator_names: Sequence[str],
        errors: ArrayLike | None = None,
        score_name: str = "score",
        baseline: float | None = None,
    ) -> None:
        self.scores = scores
        self.task_names = task_names
        self.estimator_names = estimator_names
        self.errors = errors
        self.score_name = score_name
        self.baseline = baseline

    def plot(self, ax: Any = None, *, errorbar_kw: dict[str, Any] | None = None) -> Self:
        """Draw a row per task, from top to bottom.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. None: a figure of its own, as high as the tasks need.
        errorbar_kw : dict, default=None
            Passed to matplotlib's `errorbar`, for all estimators.

        Returns
        -------
        self : TaskScoresDisplay
            Itself.

        Examples
        --------
        >>> from sklearn_mmoe.plot import TaskScoresDisplay
        >>> scores = [[0.9, 0.4], [0.8, 0.5]]
        >>> display = TaskScoresDisplay(scores=scores, task_names=["a", "b"], estimator_names=["one", "other"])
        >>> len(display.plot().errorbar_)
        2
        """
        require(f"{type(self).__name__}.plot", "matplotlib", extra="plot")
        names = _labels(plotted_names(self.task_names, "task_names"))
        estimators = _labels(plotted_names(self.estimator_names, "estimator_names"))
        n_estimators, n_tasks = len(estimators), len(names)
        scores = plotted_numbers(self.scores, "scores", (n_estimators, n_tasks))
        errors = np.full_like(scores, np.nan)
        if self.errors is not None:
            errors = plotted_numbers(self.errors, "errors", scores.shape)
        check_parameters(type(self).__name__, _CONSTRAINTS, vars(self))
        style = {"linestyle": "none", "marker": "o", "markersize": 4.5, "elinewidth": 1.2}
        style = style_of(errorbar_kw, "errorbar_kw", style)
        score_name = "\n".join(textwrap.fill(line, SCORE_LENGTH) for line in self.score_name.split("\n"))
        n_lines = max(name.count("\n") for name in names) + 1
        height = 0.6 + 0.2 * (score_name.count("\n") + 1) + n_tasks * max(0.26, 0.11 * n_estimators, 0.18 * n_lines)
        own = None if ax is None else [ax]
        figure, (ax,) = panels(own, 1, n_columns=1, panel_size=(WIDTH, height))
        rows = np.arange(n_tasks)
        for row in rows[1::2]:
            ax.axhspan(row - 0.5, row + 0.5, color="0.95", zorder=0)
        if self.baseline is not None:
            ax.axvline(self.baseline, color="0.35", linewidth=1, zorder=1)
        self.errorbar_ = []
        for i in range(n_estimators):
            places = rows + 0.7 * ((i + 0.5) / n_estimators - 0.5)  # the first estimator on top
            with drawn_by("errorbar_kw"):
                self.errorbar_.append(ax.errorbar(scores[i], places, xerr=errors[i], **style))
        ax.set_yticks(rows, names, **LITERAL)
        ax.set_ylim(n_tasks - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(score_name)
        if n_estimators > 1:
            figure.draw_without_rendering()  # settles the layout, which says how much room the names leave
            room = ax.get_window_extent().width
            above = partial(legend_of_names, ax, self.errorbar_, estimators, loc="lower left", bbox_to_anchor=(0, 1))
            box = legend_that_fits(room, 3, lambda n: above(ncols=n)).get_window_extent()  # where no dot can be
            if own is None:
                enlarge(figure, box.width - room, box.height)
        self.ax_, self.figure_ = ax, figure
        return self

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Mapping[str, Mapping[str, Any]],
        *,
        error: str = "std_error",
        score_name: str = "score",
        ax: Any = None,
        errorbar_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the mean scores of several estimators over the folds.

        Parameters
        ----------
        cv_results : mapping of estimator name to dict
            What :func:`~sklearn.model_selection.cross_validate` returned for each of them, with a mapping of task
            names to scorers as `scoring` (see :func:`~sklearn_mmoe.metrics.multi_task_scoring`). Each entry
            ``"test_<task>"`` makes a row. An estimator without the entry of another has no dot there, nor has one with
            a fold that failed (NaN).
        error : {"std_error", "std"}, default="std_error"
            What the whiskers are: the standard deviation of the scores of the folds, divided by the square root of
            their number or not.
        score_name : str, default="score"
            Name of the score, for the label of the axis.
        ax : matplotlib Axes, default=None
            As in :meth:`plot`.
        errorbar_kw : dict, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : TaskScoresDisplay
            With the picture, which `plot` draws again.

        Examples
        --------
        >>> from sklearn.datasets import load_linnerud
        >>> from sklearn.linear_model import Ridge
        >>> from sklearn.model_selection import cross_validate
        >>> from sklearn_mmoe.metrics import multi_task_scoring
        >>> from sklearn_mmoe.plot import TaskScoresDisplay
        >>> X, y = load_linnerud(return_X_y=True, as_frame=True)
        >>> results = {"ridge": cross_validate(Ridge(), X, y, scoring=multi_task_scoring(list(y)))}
        >>> TaskScoresDisplay.from_cv_results(results, score_name="R2").estimator_names
        ['ridge']
        """
        require(f"{cls.__name__}.from_cv_results", "matplotlib", extra="plot")
        check_option(error, "error", list(ERRORS))
        if not isinstance(cv_results, Mapping) or not cv_results:
            raise ValueError(f"cv_results must be a mapping of estimator names to results, got {shown(cv_results)}.")
        by_estimator = {name: _scores_by_task(name, results) for name, results in cv_results.items()}
        tasks = list(dict.fromkeys(task for own in by_estimator.values() for task in own))
        folds = [[own.get(task, np.array([np.nan])) for task in tasks] for own in by_estimator.values()]
        display = cls(
            scores=np.array([[scores.mean() for scores in own] for own in folds]),
            errors=np.array([[_error(scores, error) for scores in own] for own in folds]),
            task_names=tasks,
            estimator_names=list(by_estimator),
            score_name=f"{score_name}\nmean ± {ERRORS[error]} over the folds",
        )
        return display.plot(ax, errorbar_kw=errorbar_kw)

    @classmethod
    def from_report(
        cls,
        report: Any,
        *,
        show: str = "scores",
        score_name: str = "score",
        ax: Any = None,
        errorbar_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw what :func:`~sklearn_mmoe.metrics.transfer_report` found.

        Parameters
        ----------
        report : mapping of column name to sequence, or data frame
            The report, in whatever order of tasks.
        show : {"scores", "gain"}, default="scores"
            The scores of the shared model and of the single ones, side by side, without whiskers, as the report knows
            only what their difference varies by; or that difference, the gain, with its standard error: right of the
            line at 0 the other tasks help, left of it they hurt.
        score_name : str, default="score"
            Name of the score, for the label of the axis.
        ax : matplotlib Axes, default=None
            As in :meth:`plot`.
        errorbar_kw : dict, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : TaskScoresDisplay
            With the picture, which `plot` draws again.

        Examples
        --------
        >>> from sklearn_mmoe.plot import TaskScoresDisplay
        >>> report = {"task": ["a", "b"], "n_labels": [90, 40], "shared": [0.8, 0.6], "single": [0.8, 0.4]}
        >>> report |= {"gain": [0.0, 0.2], "gain_std_error": [0.05, 0.06]}  # as `transfer_report` makes it
        >>> TaskScoresDisplay.from_report(report, show="gain").scores
        array([[0. , 0.2]])
        """
        require(f"{cls.__name__}.from_report", "matplotlib", extra="plot")
        check_option(show, "show", SHOWN)
        gain = show == "gain"
        columns = ("gain",) if gain else ("shared", "single")
        tasks, *numbers = _columns_of(report, "task", *columns, *["gain_std_error"] * gain)
        whiskers = "shared minus single\nmean ± standard error over the folds"
        display = cls(
            scores=np.array(numbers[: len(columns)]),
            errors=np.array(numbers[-1:]) if gain else None,
            task_names=tasks,
            estimator_names=columns,
            score_name=f"gain in {score_name}, {whiskers}" if gain else score_name,
            baseline=0.0 if gain else None,
        )
        return display.plot(ax, errorbar_kw=errorbar_kw)


def _columns_of(report: Any, tasks: str, *names: str) -> list[Any]:
    """The names of the tasks of a report, and some of its columns of numbers."""
    columns: list[Any] = []
    for name in (tasks, *names):
        try:
            columns.append(list(report[name]))
        except Exception as error:  # of a report that is none, or of another kind of data frame
            raise ValueError(
                f"report must be what transfer_report returns, with a column {name!r}; got {shown(report)}."
            ) from error
    first, *rest = columns
    return [first, *(plotted_numbers(own, "report", (len(first),)) for own in rest)]


def _scores_by_task(name: str, results: Any) -> dict[str, FloatArray]:
    """Scores of all folds, by task."""
    start = "test_"
    keys = [key for key in results if str(key).startswith(start)] if isinstance(results, Mapping) else []
    found = {
        key.removeprefix(start): plotted_numbers(results[key], f"cv_results[{name!r}][{key!r}]", (None,))
        for key in keys
    }
    if not found:
        raise ValueError(
            f"cv_results[{name!r}] has no entry 'test_<task>': give what cross_validate returns with a mapping of task "
            f"names to scorers as scoring; got {shown(results)}."
        )
    return found


def _labels(names: Sequence[str]) -> list[str]:
    return [textwrap.fill(name, LABEL_LENGTH) for name in short_names(names)]


def _error(scores: FloatArray, error: str) -> float:
    if len(scores) < 2:
        return np.nan
    return float(scores.std(ddof=1) / (np.sqrt(len(scores)) if error == "std_error" else 1))
