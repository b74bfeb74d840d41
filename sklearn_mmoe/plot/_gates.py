"""A picture of what the gates of each task do with the experts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_mmoe._common.arguments import check_flag, check_option, checked_size
from sklearn_mmoe._common.extras import require
from sklearn_mmoe._common.names import short_names
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import shown
from sklearn_mmoe._training.gates import expert_usage
from sklearn_mmoe.metrics._inside import fitted_model
from sklearn_mmoe.plot._arguments import drawn_by, plotted_names, plotted_numbers, style_of
from sklearn_mmoe.plot._common import LITERAL, font_scale, panels
from sklearn_mmoe.plot._heat_map import names_width, write_values
from sklearn_mmoe.plot._row_groups import row_groups

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("mean", "distribution")
MOST_LABELS = 40  # experts side by side that are still numbered one by one, half as many in several panels
TITLE_LENGTH = 28  # characters in a line above a panel
FIGURE_WIDTH = 13.0  # inches that panels may fill beside each other
TALLEST_BAR = 5.0  # inches of the colour bar
MEMBERS_HEIGHT = 0.45  # inches of the numbers of members above a panel
PERCENTILES = (5, 25, 50, 75, 95)


class GateDisplay:
    """How much each task listens to each expert.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`. All parameters are stored as
    attributes, so that the same weights can be drawn again.

    Parameters
    ----------
    gate_weights : ndarray of shape (n_samples, n_tasks, n_members * n_experts)
        Weight that each task gives to each expert, row by row, as `gate_weights` of the estimators returns it.
    task_names : sequence of str
        Names of the tasks.
    n_members : int, default=1
        Number of networks of the ensemble; the experts of each are numbered on their own.
    groups : mapping of str to ndarray of bool of shape (n_samples,), default=None
        Rows to be drawn apart, by the title of their panel.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first panel.
    axes_ : ndarray of matplotlib Axes
        All panels: one per group, or of a distribution one per task.
    figure_ : matplotlib Figure
        Figure that holds them.
    images_ : list of matplotlib AxesImage
        Heat map of each panel; empty for a distribution.
    texts_ : list of ndarray of matplotlib Text, or None
        Numbers in the cells of each panel; None where they do not fit.
    boxes_ : list of matplotlib BarContainer
        Boxes of each panel, from quartile to quartile; empty for means.
    colorbar_ : matplotlib Colorbar or None

    See Also
    --------
    TaskAffinityDisplay : How alike the gates of each two tasks are.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn_mmoe import MMoERegressor
    >>> from sklearn_mmoe.datasets import make_related_tasks
    >>> from sklearn_mmoe.plot import GateDisplay
    >>> X, y = make_related_tasks(100, 5, random_state=0)
    >>> model = MMoERegressor(n_members=1, n_experts=4, max_epochs=2, random_state=0).fit(X, y)
    >>> display = GateDisplay.from_estimator(model, X)
    >>> display.images_[0].get_array().shape
    (2, 4)
    >>> _ = display.plot(kind="distribution")
    >>> plt.show()
    """

    ax_: Any
    axes_: Any
    figure_: Any
    images_: list[Any]
    texts_: list[Any]
    boxes_: list[Any]
    colorbar_: Any

    def __init__(
        self,
        gate_weights: FloatArray,
        *,
        task_names: Sequence[str],
        n_members: int = 1,
        groups: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> None:
        self.gate_weights = gate_weights
        self.task_names = task_names
        self.n_members = n_members
        self.groups = groups

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        group: Any = None,
        kind: str = "mean",
        include_values: bool = True,
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
        box_kw: dict[str, Any] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the gates of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted: one of the three of this package, or a pipeline or search that ends in one.
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows whose gates are drawn.
        group : str, int or array-like of shape (n_samples,), default=None
            What the rows are told apart by: a column of `X` (its name or index) or a value for each row, such as a
            column of `y`; a panel is drawn for each value. Numbers with more than 12 values are cut at their
            quartiles; rows without a value have a panel of their own.
        kind : {"mean", "distribution"}, default="mean"
            Mean weights as a heat map, or how the weights are spread over the rows, as boxes in a panel per task.
        include_values, colorbar, im_kw, text_kw, box_kw, ax : optional
            As in :meth:`plot`.

        Returns
        -------
        display : GateDisplay
            With the picture, which `plot` draws again.

        Examples
        --------
        >>> from sklearn_mmoe import MMoERegressor
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> from sklearn_mmoe.plot import GateDisplay
        >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
        >>> model = MMoERegressor(n_members=1, n_experts=3, max_epochs=3, random_state=0).fit(X, y)
        >>> display = GateDisplay.from_estimator(model, X, group=0)  # by the quarters of the first feature
        >>> len(display.axes_)
        4
        """
        require(f"{cls.__name__}.from_estimator", "matplotlib", extra="plot")
        model, features = fitted_model(estimator, X)
        gates = model.gate_weights(features)
        groups = None if group is None else row_groups(group, X, len(gates))
        display = cls(gates, task_names=model.task_names_, n_members=model.module_.n_members, groups=groups)
        return display.plot(
            ax,
            kind=kind,
            include_values=include_values,
            colorbar=colorbar,
            im_kw=im_kw,
            text_kw=text_kw,
            box_kw=box_kw,
        )

    @classmethod
    def from_predictions(
        cls,
        gate_weights: ArrayLike,
        *,
        task_names: Sequence[str] | None = None,
        n_members: int = 1,
        group: Any = None,
        kind: str = "mean",
        include_values: bool = True,
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
        box_kw: dict[str, Any] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw gates that are known already.

        Parameters
        ----------
        gate_weights : array-like of shape (n_samples, n_tasks, n_members * n_experts)
            What `gate_weights` of the estimators returns.
        task_names : sequence of str, default=None
            Names of the tasks. None: y0, y1 and so on.
        n_members : int, default=1
            Number of networks of the ensemble.
        group : array-like of shape (n_samples,), default=None
            A value for each row, as in :meth:`from_estimator`.
        kind, include_values, colorbar, im_kw, text_kw, box_kw, ax : optional
            As in :meth:`plot`.

        Returns
        -------
        display : GateDisplay
            With the picture, which `plot` draws again.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_mmoe.plot import GateDisplay
        >>> gates = np.random.default_rng(0).dirichlet(np.ones(4), size=(100, 2))  # of 100 rows and 2 tasks
        >>> display = GateDisplay.from_predictions(gates, task_names=["price", "sold"])
        >>> [label.get_text() for label in display.ax_.get_yticklabels()]
        ['price', 'sold']
        """
        require(f"{cls.__name__}.from_predictions", "matplotlib", extra="plot")
        gates, names = checked_gates(gate_weights, task_names, n_members)
        groups = None if group is None else row_groups(group, None, len(gates))
        display = cls(gates, task_names=names, n_members=n_members, groups=groups)
        return display.plot(
            ax,
            kind=kind,
            include_values=include_values,
            colorbar=colorbar,
            im_kw=im_kw,
            text_kw=text_kw,
            box_kw=box_kw,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "mean",
        include_values: bool = True,
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
        box_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to draw in, whose place is divided if there are several panels, or one for each panel. None: a figure
            of its own.
        kind : {"mean", "distribution"}, default="mean"
            Mean weights as a heat map, or how the weights are spread over the rows, as boxes in a panel per task: the
            quartiles, and whiskers from the 5th to the 95th percentile.
        include_values : bool, default=True
            Whether to write the means into the cells, in percent, where they fit.
        colorbar : bool, default=True
            Whether to draw a colour bar beside means; a line marks the weight that all experts would have if they
            were all the same.
        im_kw, text_kw, box_kw : dict, default=None
            Passed to matplotlib's `imshow`, `text` and `bar`.

        Returns
        -------
        self : GateDisplay
            Itself.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_mmoe.plot import GateDisplay
        >>> gates = np.random.default_rng(0).dirichlet(np.ones(4), size=(100, 2))  # of 100 rows and 2 tasks
        >>> display = GateDisplay.from_predictions(gates)
        >>> len(display.plot(kind="distribution").axes_)
        2
        """
        require(f"{type(self).__name__}.plot", "matplotlib", extra="plot")
        check_option(kind, "kind", KINDS)
        check_flag(include_values, "include_values")
        check_flag(colorbar, "colorbar")
        self._check_stored()
        self.images_, self.texts_, self.boxes_, self.colorbar_ = [], [], [], None
        if kind == "mean":
            self._plot_means(ax, include_values, colorbar, im_kw, text_kw)
        else:
            self._plot_distributions(ax, box_kw)
        self.ax_ = self.axes_[0]
        return self

    # ----------------------------------------------------------------------------------------------------------------

    def _check_stored(self) -> None:
        """Whether what the constructor was given can be drawn."""
        n_rows = len(checked_gates(self.gate_weights, self.task_names, self.n_members)[0])
        if self.groups is None:
            return
        if not isinstance(self.groups, Mapping) or not self.groups:
            raise ValueError(f"groups must be a mapping of titles to masks of rows, got {shown(self.groups)}.")
        for title, rows in self.groups.items():
            if np.shape(rows) != (n_rows,) or np.asarray(rows).dtype != bool or not np.any(rows):
                raise ValueError(f"groups[{title!r}] must be a mask of {n_rows} rows, some of them true.")

    @property
    def _gates(self) -> FloatArray:
        return np.asarray(self.gate_weights)

    @property
    def _n_columns(self) -> int:
        return int(self._gates.shape[2])

    def _panels(self, ax: Any, n_panels: int, width: float, height: float, margin: float) -> int:
        """Make the axes, as many side by side as fit; how many that are."""
        n_beside = max(1, min(n_panels, int((FIGURE_WIDTH - margin) // width)))
        stands_alone = n_panels == 1 and not isinstance(ax, list | tuple | np.ndarray | None)
        own = [ax] if stands_alone else ax  # one panel takes the axes as they are
        size = width + margin / n_beside, height
        self.figure_, axes = panels(own, n_panels, n_columns=n_beside, panel_size=size)
        self.axes_ = np.array(axes, dtype=object)
        return n_beside

    def _plot_means(
        self,
        ax: Any,
        include_values: bool,
        colorbar: bool,
        im_kw: dict[str, Any] | None,
        text_kw: dict[str, Any] | None,
    ) -> None:
        names, n_columns = short_names(plotted_names(self.task_names, "task_names")), self._n_columns
        groups = {"": np.ones(len(self._gates), dtype=bool)} if self.groups is None else self.groups
        means = [expert_usage(self._gates[rows]) for rows in groups.values()]
        titles = [f"{title}\n{rows.sum():,} rows" if title else "" for title, rows in groups.items()]
        cell, row = (0.28, 0.4 if len(names) < 10 else 0.27) if len(groups) == 1 else (0.14, 0.22)
        width = max(cell * n_columns, 2.4, names_width(list(groups)))
        height = (
            max(len(names) * row, 1.4) + 0.6 + MEMBERS_HEIGHT * (self.n_members > 1) + 0.5 * (self.groups is not None)
        )
        n_beside = self._panels(ax, len(groups), width, height, names_width(names) + 1.0 * colorbar)
        # An equal weight is never the darkest, unless a single expert cannot but have it all
        most = min(1 / self.n_members, max(max(float(mean.max()) for mean in means), 2 / n_columns))
        style = style_of(im_kw, "im_kw", {"cmap": "Blues", "vmin": 0.0, "vmax": most, "aspect": "auto"})
        for i, (own, title, mean) in enumerate(zip(self.axes_, titles, means, strict=True)):
            with drawn_by("im_kw"):
                self.images_.append(own.imshow(mean, **style))
            own.set_yticks(range(len(names)), names if i % n_beside == 0 else [""] * len(names), **LITERAL)
            own.tick_params(length=0)
            self._number_experts(own, "white", top=i < n_beside, bottom=i + n_beside >= len(groups))
            own.set_title(title, fontsize="medium", **LITERAL)
        if colorbar:
            self.colorbar_ = self.figure_.colorbar(
                self.images_[0],
                ax=list(self.axes_),
                label="mean gate weight",
                format=_percent(n_columns),
                shrink=min(1.0, TALLEST_BAR / self.figure_.get_figheight()),
            )
            self.colorbar_.ax.axhline(1 / n_columns, color="tab:orange", linewidth=2)
            # From the bar to the right, where no panel is
            self.colorbar_.ax.set_title(
                "— all equal", color="tab:orange", fontsize="small", loc="left", pad=8 * font_scale()
            )
        self.figure_.draw_without_rendering()  # settles the layout, which says how large the cells are
        for own, image, mean in zip(self.axes_, self.images_, means, strict=True):
            numbers = np.array([[f"{100 * value:.0f}" for value in row] for row in mean])
            self.texts_.append(write_values(own, image, numbers, text_kw) if include_values else None)

    def _plot_distributions(self, ax: Any, box_kw: dict[str, Any] | None) -> None:
        if self.groups is not None:
            raise ValueError("kind='distribution' has a panel per task and draws no groups: leave group out.")
        names, n_columns = short_names(plotted_names(self.task_names, "task_names")), self._n_columns
        width = max(0.11 * n_columns, 2.6)
        n_beside = self._panels(ax, len(names), width, 2.0 + MEMBERS_HEIGHT * (self.n_members > 1), 0.6)
        default = {"width": 0.7, "color": "lightsteelblue", "edgecolor": "black", "linewidth": 0.6}
        style = style_of(box_kw, "box_kw", default)
        # matplotlib's boxplot makes seven artists per box, which takes a minute for 30 tasks of an ensemble
        low, first, median, third, high = np.percentile(self._gates, PERCENTILES, axis=0)
        experts = np.arange(n_columns)
        for t, (own, name) in enumerate(zip(self.axes_, names, strict=True)):
            own.axhline(1 / n_columns, color="tab:orange", linewidth=1, label="all equal", zorder=0)
            own.vlines(experts, low[t], high[t], color="black", linewidth=0.6, zorder=0.5)
            with drawn_by("box_kw"):
                self.boxes_.append(own.bar(experts, third[t] - first[t], bottom=first[t], **style))
            own.hlines(median[t], experts - 0.35, experts + 0.35, color="black", linewidth=1.4)
            own.set_title(textwrap.fill(name, TITLE_LENGTH), fontsize="medium", **LITERAL)
            own.set_xlim(-0.6, n_columns - 0.4)
            self._number_experts(own, "lightgrey", top=t < n_beside, bottom=t + n_beside >= len(names))
            if t % n_beside == 0:
                own.set_ylabel("gate weight")
            own.yaxis.set_major_formatter(_percent(n_columns))
        most = max(own.get_ylim()[1] for own in self.axes_)
        for own in self.axes_:
            own.set_ylim(0, 1.2 * most)  # with room for the legend
        self.axes_[0].legend(fontsize="small", frameon=False)

    def _number_experts(self, ax: Axes, line_color: str, *, top: bool, bottom: bool) -> None:
        """Draw lines between members; name these above the top panels, and number the experts of each below the last.

        Labels at all panels would take the layout most of its time.
        """
        n_columns = self._n_columns
        n_experts = n_columns // self.n_members
        for start in range(n_experts, n_columns, n_experts):
            ax.axvline(start - 0.5, color=line_color, linewidth=3)
        step = -(-n_columns * min(len(self.axes_), 2) // MOST_LABELS)
        ticks = [i for i in range(n_columns) if i % n_experts % step == 0] if bottom else []
        ax.set_xticks(ticks, [str(i % n_experts) for i in ticks], fontsize="small" if len(ticks) > 12 else "medium")
        if bottom:
            ax.set_xlabel("expert")
        if top and self.n_members > 1:
            above = ax.secondary_xaxis("top")
            step = -(-self.n_members * min(len(self.axes_), 2) // MOST_LABELS)
            members = range(0, self.n_members, step)
            centres = [n_experts * (member + 0.5) - 0.5 for member in members]
            above.set_xticks(centres, [str(member) for member in members], fontsize="small")
            above.tick_params(length=0)
            above.set_xlabel("member")
            above.spines[:].set_visible(False)


def checked_gates(
    gate_weights: ArrayLike, task_names: Sequence[str] | None, n_members: int = 1
) -> tuple[FloatArray, list[str]]:
    """Gate weights as an array of three dimensions, and a name for each task."""
    checked_size(n_members, "n_members")
    gates = plotted_numbers(gate_weights, "gate_weights")
    if gates.ndim != 3 or not gates.size or gates.shape[2] % n_members:
        raise ValueError(
            "gate_weights must be of shape (n_samples, n_tasks, n_members * n_experts), as gate_weights(X) returns "
            f"them; got shape {gates.shape} with n_members={n_members}."
        )
    if (gates < 0).any() or not np.allclose(gates.sum(axis=2), 1, atol=1e-3):
        raise ValueError("gate_weights must be 0 or more and sum to 1 over the experts of each row and task.")
    names = [f"y{t}" for t in range(gates.shape[1])]
    return gates, names if task_names is None else plotted_names(task_names, "task_names", len(names))


def _percent(n_columns: int) -> Any:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0, decimals=0 if n_columns < 20 else 1)
