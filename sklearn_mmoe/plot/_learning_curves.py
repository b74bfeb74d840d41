"""Losses of a fit, epoch by epoch, as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklearn_mmoe._common.arguments import checked_size
from sklearn_mmoe._common.extras import require
from sklearn_mmoe._common.names import short_names
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe.metrics._inside import fitted_model
from sklearn_mmoe.plot._arguments import drawn_by, numbers_by_name, plotted_numbers, style_of
from sklearn_mmoe.plot._common import LITERAL, enlarge, font_scale, legend_of_names, legend_that_fits, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL_SIZE = (2.5, 1.9)
TITLE_LENGTH = 28  # characters in a line above a panel, or beside one
N_COLOURS = 7  # lines that have a colour each, and whose names find room beside their panel
N_EXTREMES = 3  # of more lines than that, the highest and the lowest that are named

Style = dict[str, Any] | None
Curve = tuple[str, FloatArray | None, FloatArray | None]  # title, training and validation of a panel


class LearningCurveDisplay:
    """Losses by epoch: in total and of each task, in training and in validation.

    A panel each for the total and for every task; where task weights change in the course of the fit, they are drawn
    below. A dotted line marks each epoch whose weights were kept: members of an ensemble have one each, and the losses
    are means over all members. It is best made by :meth:`from_estimator`.

    (:class:`sklearn.model_selection.LearningCurveDisplay` shows something else, scores by number of rows.)

    Parameters
    ----------
    train_loss : array-like of shape (n_epochs,)
        The loss that is minimised, with task weights, if there are any.
    train_losses : mapping of task name to array-like of shape (n_epochs,)
        Training loss of each task; NaN in an epoch without a label of the task.
    best_epochs : array-like of int of shape (n_members,)
        The epoch, counted from 1, whose weights each member has.
    valid_loss : array-like of shape (n_epochs,), default=None
        Plain mean of the tasks' validation losses, NaN in epochs without validation.
    valid_losses : mapping of task name to array-like of shape (n_epochs,), default=None
        Validation loss of each task.
    valid_score : array-like of shape (n_epochs,), default=None
        What was watched to stop, greater is better, if that was not `valid_loss`: it gets a panel of its own.
    task_weights : mapping of task name to array-like of shape (n_epochs,), default=None
        Weights in force; with mean 1.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The total, the watched score if there is one, each task, the task weights if they are drawn.
    figure_ : matplotlib Figure
        Figure that holds them.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn_mmoe import MMoERegressor
    >>> from sklearn_mmoe.datasets import make_related_tasks
    >>> from sklearn_mmoe.plot import LearningCurveDisplay
    >>> X, y = make_related_tasks(200, 10, random_state=0)
    >>> model = MMoERegressor(max_epochs=5, random_state=0).fit(X, y)
    >>> display = LearningCurveDisplay.from_estimator(model)
    >>> [panel.get_title() for panel in display.axes_]
    ['total', 'y0', 'y1']
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        train_loss: ArrayLike,
        train_losses: Mapping[str, ArrayLike],
        best_epochs: ArrayLike,
        valid_loss: ArrayLike | None = None,
        valid_losses: Mapping[str, ArrayLike] | None = None,
        valid_score: ArrayLike | None = None,
        task_weights: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        self.train_loss = train_loss
        self.train_losses = train_losses
        self.best_epochs = best_epochs
        self.valid_loss = valid_loss
        self.valid_losses = valid_losses
        self.valid_score = valid_score
        self.task_weights = task_weights

    def plot(
        self,
        ax: Any = None,
        *,
        n_cols: int = 4,
        train_kw: Style = None,
        valid_kw: Style = None,
        best_kw: Style = None,
    ) -> Self:
        """Draw all panels.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes whose place is divided among the panels, or an Axes per panel, in the order of `axes_`. None: a figure
            of their own. Names and legends find their room in a figure with ``layout="constrained"``.
        n_cols : int, default=4
            Most panels side by side.
        train_kw, valid_kw : dict, default=None
            Passed to matplotlib's `plot` for the lines of training and of validation.
        best_kw : dict, default=None
            Passed to matplotlib's `axvline` for the marks of the epochs that were kept.

        Returns
        -------
        self : LearningCurveDisplay
            Itself.

        Examples
        --------
        >>> from sklearn_mmoe.plot import LearningCurveDisplay
        >>> losses = {"y0": [1.0, 0.7], "y1": [1.0, 0.3]}
        >>> display = LearningCurveDisplay(train_loss=[1.0, 0.5], train_losses=losses, best_epochs=[2])
        >>> [panel.get_title() for panel in display.plot().axes_]
        ['total', 'y0', 'y1']
        """
        require(f"{type(self).__name__}.plot", "matplotlib", extra="plot")
        checked_size(n_cols, "n_cols")
        train_kw = style_of(train_kw, "train_kw", {"color": "C0", "label": "training"})
        valid_kw = style_of(valid_kw, "valid_kw", {"color": "C1", "label": "validation"})
        epochs = np.unique(plotted_numbers(self.best_epochs, "best_epochs", (None,)))
        mark = {"color": "0.35", "linestyle": ":", "linewidth": 1.2, "label": "kept epoch" + "s" * (len(epochs) > 1)}
        best_kw = style_of(best_kw, "best_kw", mark)

        curves = self._curves()
        weights = self._changing_weights()
        figure, axes = _places(ax, len(curves), n_cols, below=bool(weights))
        for panel, (title, train, valid) in zip(axes, curves, strict=False):
            with drawn_by("train_kw"):
                _draw_curve(panel, train, train_kw)
            with drawn_by("valid_kw"):
                _draw_curve(panel, valid, valid_kw)
            with drawn_by("best_kw"):
                for i, epoch in enumerate(epochs):
                    panel.axvline(epoch, **{**best_kw, "label": best_kw["label"] if i == 0 else None})
            panel.set_title(textwrap.fill(title, TITLE_LENGTH), fontsize="medium", **LITERAL)
            _count_epochs(panel, n_ticks=4)
            panel.locator_params(axis="y", nbins=4)
        for panel in axes[(len(curves) - 1) // n_cols * n_cols : len(curves)]:  # the last row
            panel.set_xlabel("epoch")
        axes[0].set_ylabel("loss")
        if weights:
            _draw_weights(axes[-1], weights)
        if ax is None:
            _make_room(figure, *axes)
        else:
            axes[0].legend(fontsize="small")
        self.axes_ = np.array(axes, dtype=object)
        self.figure_ = figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Any = None,
        n_cols: int = 4,
        train_kw: Style = None,
        valid_kw: Style = None,
        best_kw: Style = None,
    ) -> Self:
        """Draw the history of a fitted estimator, of all its calls of `fit` with `warm_start` and of `partial_fit`.

        Parameters
        ----------
        estimator : estimator
            Fitted: one of the three of this package, or a pipeline or search that ends in one.
        ax : matplotlib Axes or array-like of Axes, default=None
            As in :meth:`plot`.
        n_cols : int, default=4
            Most panels side by side.
        train_kw, valid_kw, best_kw : dict, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : LearningCurveDisplay
            With the picture, which `plot` draws again.

        Examples
        --------
        >>> from sklearn_mmoe import MMoERegressor
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> from sklearn_mmoe.plot import LearningCurveDisplay
        >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
        >>> model = MMoERegressor(n_members=1, n_experts=3, max_epochs=3, random_state=0).fit(X, y)
        >>> display = LearningCurveDisplay.from_estimator(model)
        >>> [panel.get_title() for panel in display.axes_]
        ['total', 'y0', 'y1']
        """
        require(f"{cls.__name__}.from_estimator", "matplotlib", extra="plot")
        model, _ = fitted_model(estimator)
        history, names = model.history_, model.task_names_

        def column(key: str) -> FloatArray:
            return np.array([row.get(key, np.nan) for row in history], dtype=np.float64)

        def by_task(key: str) -> dict[str, FloatArray]:
            rows = [row.get(key, {}) for row in history]
            return {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names}

        validated = any("valid_loss" in row for row in history)
        # The mean over the tasks is in the picture already. Of a scorer the net knows no shares of the tasks
        shares = model.net_.monitor
        watched = validated and (shares is None or len(set(shares)) > 1)
        display = cls(
            train_loss=column("train_loss"),
            train_losses=by_task("train_losses"),
            best_epochs=model.best_epochs_,
            valid_loss=column("valid_loss") if validated else None,
            valid_losses=by_task("valid_losses") if validated else None,
            valid_score=column("valid_score") if watched else None,
            task_weights=by_task("task_weights"),
        )
        return display.plot(ax, n_cols=n_cols, train_kw=train_kw, valid_kw=valid_kw, best_kw=best_kw)

    def _curves(self) -> list[Curve]:
        """What each panel shows."""
        train_loss = plotted_numbers(self.train_loss, "train_loss", (None,))
        n_epochs = len(train_loss)
        # a loss with weights is not to be measured against one without
        weighted = any((weights != 1).any() for weights in self._by_task("task_weights", n_epochs).values())
        title = "total (training: weighted)" if weighted else "total"
        curves: list[Curve] = [(title, train_loss, self._by_epoch("valid_loss", n_epochs))]
        if self.valid_score is not None:
            curves.append(("watched score", None, self._by_epoch("valid_score", n_epochs)))
        train, valid = self._by_task("train_losses", n_epochs), self._by_task("valid_losses", n_epochs)
        tasks = [(own, valid.get(name)) for name, own in train.items()]
        titles = short_names([str(name) for name in train])
        return [*curves, *((title, *own) for title, own in zip(titles, tasks, strict=True))]

    def _changing_weights(self) -> dict[str, FloatArray]:
        """Task weights by task, if any of them changes; empty if none does."""
        weights = self._by_task("task_weights", len(plotted_numbers(self.train_loss, "train_loss", (None,))))
        changes = any(np.ptp(own) > 1e-6 for own in weights.values())
        return {str(name): own for name, own in weights.items()} if changes else {}

    def _by_epoch(self, name: str, n_epochs: int) -> FloatArray | None:
        values = getattr(self, name)
        return None if values is None else plotted_numbers(values, name, (n_epochs,))

    def _by_task(self, name: str, n_epochs: int) -> dict[Hashable, FloatArray]:
        values = getattr(self, name)
        return {} if values is None else numbers_by_name(values, name, n_epochs)


def _places(ax: Any, n_panels: int, n_cols: int, *, below: bool) -> tuple[Any, list[Axes]]:
    """Panels in a grid, and one as wide as all of them below, if that is wanted."""
    n_rows = -(-n_panels // n_cols)
    width, height = PANEL_SIZE
    if not below or (ax is not None and not hasattr(ax, "get_subplotspec")):
        return panels(ax, n_panels + below, n_columns=n_cols, panel_size=PANEL_SIZE)
    size = width * min(n_cols, n_panels), height * (n_rows + 1) / 2
    figure, (upper, lower) = panels(ax, 2, n_columns=1, panel_size=size, height_ratios=(n_rows, 1))
    _, axes = panels(upper, n_panels, n_columns=n_cols, panel_size=PANEL_SIZE)
    return figure, [*axes, *panels(lower, 1, n_columns=1, panel_size=PANEL_SIZE)[1]]


def _make_room(figure: Any, first: Axes, *others: Axes) -> None:
    """Put the legend of all panels above them, and make their figure as large as the legends want it."""
    if beside := others[-1].get_legend():
        beside_it = font_scale() * PANEL_SIZE[0] * figure.dpi
        enlarge(figure, beside.get_window_extent().width + beside_it - figure.bbox.width, 0)
    lines, room = first.get_legend_handles_labels(), 0.95 * figure.bbox.width
    how = {"loc": "outside upper left", "frameon": False}
    above = legend_that_fits(room, 3, lambda n: figure.legend(*lines, ncols=n, **how)).get_window_extent()
    enlarge(figure, above.width - room, above.height)


def _draw_curve(panel: Axes, values: FloatArray | None, style: dict[str, Any]) -> None:
    if values is None:
        return
    there = np.pad(np.isfinite(values), 1)
    alone = np.flatnonzero(there[1:-1] & ~there[:-2] & ~there[2:])  # no line leads to or from these
    points = {"marker": ".", "markevery": alone.tolist()} if len(alone) else {}
    panel.plot(np.arange(1, len(values) + 1), values, **{**points, **style})


def _draw_weights(panel: Axes, weights: dict[str, FloatArray]) -> None:
    """A line per task; of many tasks, only those whose weights end highest and lowest have colours and names."""
    labels = dict(zip(weights, short_names(list(weights)), strict=True))
    epochs = np.arange(1, len(next(iter(weights.values()))) + 1)
    names = sorted(weights, key=lambda name: -weights[name][-1])
    first_other, last_other = N_EXTREMES, len(names) - N_EXTREMES - 1
    shown: dict[str, Any] = {}
    style: dict[str, Any]
    for i, name in enumerate(names):  # from the highest to the lowest, in the legend, too
        if len(names) <= N_COLOURS or not first_other <= i <= last_other:
            label, style = textwrap.fill(labels[name], TITLE_LENGTH), {}
        else:
            label, style = f"{last_other - first_other + 1} others", {"color": "0.8", "linewidth": 0.8, "zorder": 1.5}
        (shown[label],) = panel.plot(epochs, weights[name], label=label, **style)
    panel.set_title("task weights", fontsize="medium")
    panel.set(xlabel="epoch", ylabel="weight")
    _count_epochs(panel, n_ticks=10)
    beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "fontsize": "small"}
    legend_of_names(panel, [*shown.values()], [*shown], **beside)


def _count_epochs(panel: Axes, n_ticks: int) -> None:
    from matplotlib.ticker import MaxNLocator

    panel.xaxis.set_major_locator(MaxNLocator(n_ticks, integer=True, min_n_ticks=1))
