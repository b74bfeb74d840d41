"""A picture of what the gates of each task do with the experts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_mmoe._common.arguments import check_flag, check_option
from sklearn_mmoe._common.extras import require
from sklearn_mmoe._common.names import short_names
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._common.words import shown
from sklearn_mmoe.metrics._inside import fitted_model
from sklearn_mmoe.plot._arguments import check_styles, checked_gates, plotted_names
from sklearn_mmoe.plot._gate_panels import Gates, draw_distributions, draw_means
from sklearn_mmoe.plot._row_groups import row_groups

KINDS = ("mean", "distribution")


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
        kind, include_values, colorbar, im_kw, text_kw, box_kw, ax : optional
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
        check_styles(im_kw=im_kw, text_kw=text_kw, box_kw=box_kw)
        gates = self._gates()
        if kind == "mean":
            drawn = draw_means(
                gates, self.groups, ax, include_values=include_values, colorbar=colorbar, im_kw=im_kw, text_kw=text_kw
            )
        elif self.groups is None:
            drawn = draw_distributions(gates, ax, box_kw)
        else:
            raise ValueError("kind='distribution' has a panel per task and draws no groups: leave group out.")
        self.figure_, self.axes_, self.images_, self.texts_, self.boxes_, self.colorbar_ = drawn
        self.ax_ = self.axes_[0]
        return self

    def _gates(self) -> Gates:
        """What the constructor was given, if it can be drawn."""
        names = plotted_names(self.task_names, "task_names")
        gates, names = checked_gates(self.gate_weights, names, self.n_members)
        if self.groups is not None:
            _check_groups(self.groups, len(gates))
        return Gates(gates, short_names(names), self.n_members)


def _check_groups(groups: Any, n_rows: int) -> None:
    if not isinstance(groups, Mapping) or not groups:
        raise ValueError(f"groups must be a mapping of titles to masks of rows, got {shown(groups)}.")
    for title, rows in groups.items():
        if np.shape(rows) != (n_rows,) or np.asarray(rows).dtype != bool or not np.any(rows):
            raise ValueError(f"groups[{title!r}] must be a mask of {n_rows} rows, some of them true.")
