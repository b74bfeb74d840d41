"""What an estimator predicts for all its tasks, each in a panel that suits its kind."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Self, get_args

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_mmoe._arrays.foreign import detached
from sklearn_mmoe._common.arguments import check_option
from sklearn_mmoe._common.constraints import check_parameters
from sklearn_mmoe._common.extras import require
from sklearn_mmoe._common.names import by_index, short_names
from sklearn_mmoe._common.random import random_generator
from sklearn_mmoe._common.words import errors_of, shown
from sklearn_mmoe.metrics._responses import AnsweredTask, answered_tasks, answers_by_task
from sklearn_mmoe.plot._arguments import plotted_names
from sklearn_mmoe.plot._common import LITERAL, panels
from sklearn_mmoe.plot._one_task import (
    Binary,
    TaskDisplay,
    declared_task,
    draw,
    keep_outer_labels,
    task_display,
    usual_scores,
)
from sklearn_mmoe.tasks._fitted import Kind
from sklearn_mmoe.tasks._validation import check_targets

PANEL_SIZE = (3.0, 3.1)  # inches
TITLE_WIDTH = 32  # characters that fit above a panel

_CONSTRAINTS = {
    "binary": [StrOptions(set(get_args(Binary)))],
    "subsample": [Interval(Integral, 1, None, closed="left"), None],
    "random_state": ["random_state"],
    "n_cols": [Interval(Integral, 1, None, closed="left")],
}


class PredictionDisplay:
    """Predictions of all tasks beside their labels: a panel per task, drawn by scikit-learn's display for its kind.

    - Regressions, counts, positive amounts: :class:`~sklearn.metrics.PredictionErrorDisplay`, labels against
      predictions. Of a task that predicts a quantile, the title says which share of the labels is no greater.
    - Two classes: :class:`~sklearn.metrics.RocCurveDisplay` or :class:`~sklearn.calibration.CalibrationDisplay`, of the
      second class. The dashed or dotted diagonal is chance, or perfect calibration.
    - More classes, in an order or not, and classes without probabilities:
      :class:`~sklearn.metrics.ConfusionMatrixDisplay`. Each row, the labels of one class, sums to 1: the darker a
      cell, the larger its share, with numbers up to six classes.

    The title of a panel is the task's name and its score. Missing labels are left out, task by task.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    displays : list of scikit-learn display or str
        What is drawn of each task, or words that say why there is nothing to draw.
    task_names : sequence of str
        Names of the tasks.
    scores : list of dict of str to float
        Scores of each task by their names, as the titles show them.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_tasks,)
        The panels.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    sklearn_mmoe.metrics.task_scores : All usual scores of all tasks, as numbers.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sklearn_mmoe import MMoEMultiTask
    >>> from sklearn_mmoe.plot import PredictionDisplay
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> y = np.column_stack([X[:, 0] > 0, X[:, 0] + X[:, 1]])
    >>> tasks = {"up": "binary", "sum": "regression"}
    >>> model = MMoEMultiTask(tasks=tasks, max_epochs=5, random_state=0).fit(X, y)
    >>> display = PredictionDisplay.from_estimator(model, X, y)
    >>> [type(own).__name__ for own in display.displays]
    ['RocCurveDisplay', 'PredictionErrorDisplay']
    >>> plt.show()
    """

    def __init__(
        self,
        displays: Sequence[TaskDisplay | str],
        *,
        task_names: Sequence[str],
        scores: Sequence[Mapping[str, float]],
    ) -> None:
        self.displays = displays
        self.task_names = task_names
        self.scores = scores

    def plot(self, ax: Any = None, *, n_cols: int = 4) -> Self:
        """Draw all panels.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes whose place is divided among the panels, or an Axes per panel. None: a figure of their own.
        n_cols : int, default=4
            Most panels side by side.

        Returns
        -------
        self : PredictionDisplay
            Itself.

        Examples
        --------
        >>> from sklearn_mmoe import MMoERegressor
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> from sklearn_mmoe.plot import PredictionDisplay
        >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
        >>> model = MMoERegressor(n_members=1, n_experts=3, max_epochs=3, random_state=0).fit(X, y)
        >>> display = PredictionDisplay.from_estimator(model, X, y)
        >>> display.plot(n_cols=1).axes_.shape
        (2,)
        """
        require(f"{type(self).__name__}.plot", "matplotlib", extra="plot")
        _check_parameters(f"{type(self).__name__}.plot", n_cols=n_cols)
        names = short_names(plotted_names(self.task_names, "task_names"))
        self._check_stored(len(names))
        figure, axes = panels(ax, len(names), n_columns=n_cols, panel_size=PANEL_SIZE, square=True)
        for own, display, name, scores in zip(axes, self.displays, names, self.scores, strict=True):
            draw(display, own)
            written = ", ".join(f"{score} = {value:.2f}" for score, value in scores.items())
            lines = textwrap.wrap(name, TITLE_WIDTH) + textwrap.wrap(written, TITLE_WIDTH)
            own.set_title("\n".join(lines), fontsize="medium", **LITERAL)
        keep_outer_labels(axes)
        self.figure_ = figure
        self.axes_ = np.array(axes, dtype=object)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        binary: Binary = "roc_curve",
        subsample: int | None = 1_000,
        random_state: int | np.random.RandomState | None = 0,
        ax: Any = None,
        n_cols: int = 4,
    ) -> Self:
        """Draw what a fitted estimator predicts.

        Parameters
        ----------
        estimator : estimator
            Fitted: one of the three of this package or a multi-output estimator of scikit-learn, alone or at the end of
            a pipeline or a search.
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, of rows that the estimator was not trained on.
        y : array-like, data frame or series of shape (n_samples,) or (n_samples, n_tasks)
            Labels. Those that are missing are left out of their task's panel.
        binary : {"roc_curve", "calibration"}, default="roc_curve"
            The panel of tasks with two classes: how well they are told apart, or whether the probabilities are right.
        subsample : int or None, default=1000
            Most points in the panel of a regression, drawn without replacement; None draws all. Scores, curves and
            confusion matrices always take all labels.
        random_state : int, RandomState instance or None, default=0
            Seeds the choice of the points.
        ax : matplotlib Axes or array-like of Axes, default=None
            As in :meth:`plot`.
        n_cols : int, default=4
            Most panels side by side.

        Returns
        -------
        display : PredictionDisplay

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.datasets import load_linnerud
        >>> from sklearn.linear_model import Ridge
        >>> from sklearn_mmoe.plot import PredictionDisplay
        >>> X, y = load_linnerud(return_X_y=True, as_frame=True)
        >>> display = PredictionDisplay.from_estimator(Ridge().fit(X, y), X, y)
        >>> display.task_names
        ['Weight', 'Waist', 'Pulse']
        >>> plt.show()
        """
        method = f"{cls.__name__}.from_estimator"
        require(method, "matplotlib", extra="plot")
        _check_parameters(method, binary=binary, subsample=subsample, random_state=random_state, n_cols=n_cols)
        return cls._of(answered_tasks(estimator, X, y), binary, subsample, random_state).plot(ax, n_cols=n_cols)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        kinds: Mapping[Any, Kind] | None = None,
        classes: Mapping[Any, Any] | None = None,
        binary: Binary = "roc_curve",
        subsample: int | None = 1_000,
        random_state: int | np.random.RandomState | None = 0,
        ax: Any = None,
        n_cols: int = 4,
    ) -> Self:
        """Draw predictions, such as :func:`~sklearn.model_selection.cross_val_predict` makes.

        Parameters
        ----------
        y_true : array-like, data frame or series of shape (n_samples,) or (n_samples, n_tasks)
            Labels. Those that are missing are left out of their task's panel.
        y_pred : array-like of shape (n_samples,) or (n_samples, n_tasks), or list or mapping of arrays
            Predictions of all tasks, or an array per task, by its name in a mapping: predictions of shape (n_samples,)
            or probabilities of shape (n_samples, n_classes).
        kinds : mapping of task name to str, default=None
            "regression", "count", "positive", "binary", "multiclass" or "ordinal". A task that is not named is a
            regression if its predictions are floats, and a classification if they are probabilities or of another type.
            A "binary" task may bring its probabilities as an array of shape (n_samples,), of the second class.
        classes : mapping of task name to array-like of shape (n_classes,), default=None
            Classes in the order of the columns of the probabilities, an ordinal task's from low to high. A task that is
            not named has those of its labels and predictions, sorted.
        binary : {"roc_curve", "calibration"}, default="roc_curve"
            The panel of tasks with two classes: how well they are told apart, or whether the probabilities are right.
        subsample : int or None, default=1000
            Most points in the panel of a regression, drawn without replacement; None draws all. Scores, curves and
            confusion matrices always take all labels.
        random_state : int, RandomState instance or None, default=0
            Seeds the choice of the points.
        ax : matplotlib Axes or array-like of Axes, default=None
            As in :meth:`plot`.
        n_cols : int, default=4
            Most panels side by side.

        Returns
        -------
        display : PredictionDisplay

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.model_selection import cross_val_predict
        >>> from sklearn_mmoe import MMoERegressor
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> from sklearn_mmoe.plot import PredictionDisplay
        >>> X, y = make_related_tasks(200, 10, random_state=0)
        >>> y_pred = cross_val_predict(MMoERegressor(max_epochs=5, random_state=0), X, y, cv=3)
        >>> display = PredictionDisplay.from_predictions(y, y_pred)
        >>> plt.show()
        """
        method = f"{cls.__name__}.from_predictions"
        require(method, "matplotlib", extra="plot")
        _check_parameters(method, binary=binary, subsample=subsample, random_state=random_state, n_cols=n_cols)
        columns = check_targets(y_true, None, estimator_name=cls.__name__, name="y_true", require_labels=False).columns
        names = [column.name for column in columns]
        kind_of, classes_of = _by_index("kinds", kinds, names), _by_index("classes", classes, names)
        for name, declared in (kinds or {}).items():
            check_option(declared, f"kinds[{name!r}]", get_args(Kind))
        with errors_of("y_pred"):
            parts = answers_by_task(detached(y_pred, "y_pred"), names, "y_pred")
        if len(parts) != len(names):
            raise ValueError(f"y_true has {len(names)} tasks {names}, but y_pred has arrays for {len(parts)}.")
        answered: list[AnsweredTask] = []
        for t, (column, own) in enumerate(zip(columns, parts, strict=True)):
            n_rows = len(column.labelled)
            if own is None or own.ndim not in (1, 2) or len(own) != n_rows:
                raise ValueError(
                    f"y_pred of task {column.name!r} must be of shape ({n_rows},) or ({n_rows}, n_classes); got "
                    f"{'nothing' if own is None else own.shape}."
                )
            answered.append(declared_task(t, column, own, kind_of.get(t), classes_of.get(t)))
        return cls._of(answered, binary, subsample, random_state).plot(ax, n_cols=n_cols)

    def _check_stored(self, n_tasks: int) -> None:
        """Whether what the constructor was given can be drawn."""
        kinds = str, *get_args(TaskDisplay)
        for name, allowed in {"displays": kinds, "scores": (Mapping,)}.items():
            values = getattr(self, name)
            if not (isinstance(values, list | tuple) and all(isinstance(value, allowed) for value in values)):
                what = " or ".join(kind.__name__ for kind in allowed)
                raise ValueError(f"{name} must be a list of {what}, one for each task; got {shown(values)}.")
            if len(values) != n_tasks:
                raise ValueError(f"{name} must hold {n_tasks} entries, one for each task; got {len(values)}.")
        for scores in self.scores:
            if not all(isinstance(value, Real) for value in scores.values()):
                raise ValueError(f"scores must hold numbers by the names of scores; got {shown(scores)}.")

    @classmethod
    def _of(
        cls,
        answered: Sequence[AnsweredTask],
        binary: Binary,
        subsample: int | None,
        random_state: int | np.random.RandomState | None,
    ) -> Self:
        rng = random_generator(random_state)
        return cls(
            [task_display(*own, binary=binary, subsample=subsample, rng=rng) for own in answered],
            task_names=[str(task.name) for task, *_ in answered],
            scores=[usual_scores(*own) for own in answered],
        )


def _check_parameters(method: str, **values: Any) -> None:
    check_parameters(method, _CONSTRAINTS, values)


def _by_index(parameter: str, given: Mapping[Any, Any] | None, names: Sequence[Hashable]) -> dict[int, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"{parameter} must be a mapping of names of tasks, got {shown(given)}.")
    found, unknown = by_index(given or {}, names)
    if unknown:
        raise ValueError(f"{parameter} names tasks that y_true lacks: {unknown}; the tasks are {list(names)}.")
    return found
