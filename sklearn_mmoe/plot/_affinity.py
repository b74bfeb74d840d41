"""A picture of how alike the tasks are inside a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval

from sklearn_mmoe._common.arguments import check_flag, check_option
from sklearn_mmoe._common.constraints import check_parameters
from sklearn_mmoe._common.extras import require
from sklearn_mmoe._common.names import short_names
from sklearn_mmoe.metrics._affinity import Matrix, clustered_order, gate_overlap, gradient_cosine
from sklearn_mmoe.metrics._inside import fitted_model
from sklearn_mmoe.plot._arguments import (
    check_styles,
    checked_gates,
    plotted_names,
    plotted_numbers,
    style_of,
)
from sklearn_mmoe.plot._common import LITERAL, panels
from sklearn_mmoe.plot._heat_map import heat_map, names_width, write_values

# What is drawn: its name beside the colour bar, and its colours
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "gates": ("overlap of gates", {"cmap": "Blues", "vmin": 0.0, "vmax": 1.0}),
    "gradients": ("cosine of gradients", {"cmap": "RdBu", "vmin": -1.0, "vmax": 1.0}),
}
ORDERS = ("clustered", "given")
_CONSTRAINTS = {"subsample": [Interval(Integral, 1, None, closed="left"), None], "random_state": ["random_state"]}


class TaskAffinityDisplay:
    r"""How alike the tasks are: by the experts that their gates choose, or by where their gradients point.

    The overlap of the gates :math:`w_s, w_t` of two tasks is the weight that both give to the same experts, mean over
    rows :math:`x`; 1 less the total variation distance, also known as overlapping coefficient [1]_:

    .. math:: \frac1n \sum_x \sum_k \min(w_s(x)_k, w_t(x)_k)
              = 1 - \frac1n \sum_x \tfrac12 \sum_k |w_s(x)_k - w_t(x)_k|

    It is 1 for tasks that always choose alike and 0 for tasks that have no expert in common. The cosine of the
    gradients :math:`g_s, g_t` of their losses on the experts,

    .. math:: \frac{g_s \cdot g_t}{\|g_s\| \, \|g_t\|},

    mean over batches as large as those of the fit and over the members of an ensemble, is above 0 where a step for one
    task is a step for the other, too, and below 0 where they are in conflict [2]_. Take a model after few epochs: at
    the end of a fit the gradients of all tasks sum to about 0, so that those of tasks on the same units must cancel.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions`. All parameters are stored as
    attributes, so that the same matrix can be drawn again.

    Parameters
    ----------
    affinity : ndarray of shape (n_tasks, n_tasks)
        How alike each two tasks are.
    task_names : sequence of str
        Names of the tasks.
    kind : {"gates", "gradients"}, default="gates"
        What the numbers are.

    Attributes
    ----------
    order_ : ndarray of int of shape (n_tasks,)
        The tasks in the order in which they are drawn.
    ax_ : matplotlib Axes
        Axes with the matrix.
    figure_ : matplotlib Figure
        Figure that holds them.
    im_ : matplotlib AxesImage
        The matrix.
    text_ : ndarray of matplotlib Text, or None
        Numbers in its cells; None where they do not fit.
    colorbar_ : matplotlib Colorbar or None

    See Also
    --------
    GateDisplay : The weights that each task gives to each expert.

    References
    ----------
    .. [1] Inman, H. F., & Bradley, E. L. (1989). The overlapping coefficient as a measure of agreement between
       probability distributions and point estimation of the overlap of two normal densities. Communications in
       Statistics - Theory and Methods, 18(10).
    .. [2] Yu, T., Kumar, S., Gupta, A., Levine, S., Hausman, K., & Finn, C. (2020). Gradient Surgery for Multi-Task
       Learning. NeurIPS.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn_mmoe import MMoERegressor
    >>> from sklearn_mmoe.datasets import make_related_tasks
    >>> from sklearn_mmoe.plot import TaskAffinityDisplay
    >>> X, y = make_related_tasks(100, 5, random_state=0)
    >>> model = MMoERegressor(n_members=1, n_experts=4, max_epochs=2, random_state=0).fit(X, y)
    >>> display = TaskAffinityDisplay.from_estimator(model, X)
    >>> display.affinity.shape
    (2, 2)
    >>> _ = TaskAffinityDisplay.from_estimator(model, X, y, kind="gradients", random_state=0)
    >>> plt.show()
    """

    order_: NDArray[np.intp]
    ax_: Any
    figure_: Any
    im_: Any
    text_: Any
    colorbar_: Any

    def __init__(self, affinity: Matrix, *, task_names: Sequence[str], kind: str = "gates") -> None:
        self.affinity = affinity
        self.task_names = task_names
        self.kind = kind

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        kind: str = "gates",
        subsample: int | None = 1_000,
        random_state: int | np.random.RandomState | None = None,
        order: str = "clustered",
        include_values: bool = True,
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw how alike the tasks of a fitted estimator are.

        Parameters
        ----------
        estimator : estimator
            Fitted: one of the three of this package, or a pipeline or search that ends in one.
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows whose gates are compared, or whose losses have the gradients.
        y : array-like or data frame of shape (n_samples, n_tasks), default=None
            Targets, for gradients only; missing labels have none. A task without a label is left blank.
        kind : {"gates", "gradients"}, default="gates"
            What is compared.
        subsample : int or None, default=1000
            Number of rows, drawn at random, that the gradients are computed on; None takes all.
        random_state : int, RandomState instance or None, default=None
            Which rows these are, and how they are put into batches.
        order, include_values, colorbar, im_kw, text_kw, ax : optional
            As in :meth:`plot`.

        Returns
        -------
        display : TaskAffinityDisplay
            With the picture, which `plot` draws again.

        Examples
        --------
        >>> from sklearn_mmoe import MMoERegressor
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> from sklearn_mmoe.plot import TaskAffinityDisplay
        >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
        >>> model = MMoERegressor(n_members=1, n_experts=3, max_epochs=3, random_state=0).fit(X, y)
        >>> display = TaskAffinityDisplay.from_estimator(model, X, y, kind="gradients")
        >>> display.affinity.shape
        (2, 2)
        """
        require(f"{cls.__name__}.from_estimator", "matplotlib", extra="plot")
        check_option(kind, "kind", tuple(KINDS))
        sample = {"subsample": subsample, "random_state": random_state}
        check_parameters(f"{cls.__name__}.from_estimator", _CONSTRAINTS, sample)
        if (y is None) != (kind == "gates"):
            what = "gradients need the labels: give y" if y is None else "gates need no labels: leave y out"
            raise ValueError(f"kind={kind!r}: {what}.")
        model, features = fitted_model(estimator, X)
        if kind == "gates":
            affinity = gate_overlap(model.gate_weights(features))
        else:
            affinity = gradient_cosine(model, features, y, subsample=subsample, random_state=random_state)
        display = cls(affinity, task_names=model.task_names_, kind=kind)
        return display.plot(
            ax, order=order, include_values=include_values, colorbar=colorbar, im_kw=im_kw, text_kw=text_kw
        )

    @classmethod
    def from_predictions(
        cls,
        gate_weights: ArrayLike,
        *,
        task_names: Sequence[str] | None = None,
        order: str = "clustered",
        include_values: bool = True,
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the overlap of gates that are known already.

        Parameters
        ----------
        gate_weights : array-like of shape (n_samples, n_tasks, n_members * n_experts)
            What `gate_weights` of the estimators returns.
        task_names : sequence of str, default=None
            Names of the tasks. None: y0, y1 and so on.
        order, include_values, colorbar, im_kw, text_kw, ax : optional
            As in :meth:`plot`.

        Returns
        -------
        display : TaskAffinityDisplay
            With the picture, which `plot` draws again.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_mmoe.plot import TaskAffinityDisplay
        >>> gates = np.random.default_rng(0).dirichlet(np.ones(4), size=(100, 2))  # of 100 rows and 2 tasks
        >>> twice = np.repeat(gates[:, :1], 2, axis=1)  # two tasks that are one
        >>> display = TaskAffinityDisplay.from_predictions(twice)
        >>> display.affinity.round(2).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
        """
        require(f"{cls.__name__}.from_predictions", "matplotlib", extra="plot")
        gates, names = checked_gates(gate_weights, task_names)
        display = cls(gate_overlap(gates), task_names=names)
        return display.plot(
            ax, order=order, include_values=include_values, colorbar=colorbar, im_kw=im_kw, text_kw=text_kw
        )

    def plot(
        self,
        ax: Any = None,
        *,
        order: str = "clustered",
        include_values: bool = True,
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in. None: a figure of its own.
        order : {"clustered", "given"}, default="clustered"
            Whether alike tasks stand beside each other, by hierarchical clustering (average linkage, optimal order of
            the leaves), or all in the order of the columns of `y`.
        include_values : bool, default=True
            Whether to write the numbers into the cells, where they fit.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        im_kw, text_kw : dict, default=None
            Passed to matplotlib's `imshow` and `text`.

        Returns
        -------
        self : TaskAffinityDisplay
            Itself.

        Examples
        --------
        >>> from sklearn_mmoe.plot import TaskAffinityDisplay
        >>> affinity = [[1.0, 0.5, 0.9], [0.5, 1.0, 0.6], [0.9, 0.6, 1.0]]
        >>> display = TaskAffinityDisplay(affinity, task_names=["a", "b", "c"]).plot(order="given")
        >>> [label.get_text() for label in display.ax_.get_yticklabels()]
        ['a', 'b', 'c']
        """
        require(f"{type(self).__name__}.plot", "matplotlib", extra="plot")
        check_option(order, "order", ORDERS)
        check_option(self.kind, "kind", tuple(KINDS))
        check_flag(include_values, "include_values")
        check_flag(colorbar, "colorbar")
        check_styles(im_kw=im_kw, text_kw=text_kw)
        names = plotted_names(self.task_names, "task_names")
        n_tasks = len(names)
        affinity = plotted_numbers(self.affinity, "affinity", (n_tasks, n_tasks))
        self.order_ = clustered_order(affinity) if order == "clustered" else np.arange(n_tasks)
        matrix = affinity[np.ix_(self.order_, self.order_)]
        names = [short_names(names)[t] for t in self.order_]
        side = n_tasks * (0.55 if n_tasks < 10 else 0.34)
        size = max(side, 1.6) + names_width(names) + 1.0 * colorbar, max(side, 1.6) + names_width(names)
        self.figure_, (self.ax_,) = panels(None if ax is None else [ax], 1, n_columns=1, panel_size=size, square=True)
        label, style = KINDS[self.kind]
        self.im_ = heat_map(self.ax_, matrix, names, style_of(im_kw, "im_kw", style))
        self.ax_.set_xticks(range(n_tasks), names, rotation=90, **LITERAL)
        self.colorbar_ = self.figure_.colorbar(self.im_, ax=self.ax_, label=label) if colorbar else None
        self.text_ = None
        if include_values:
            self.figure_.draw_without_rendering()  # settles the layout, which says how large the cells are
            numbers = np.array([["" if np.isnan(v) else f"{v:.2f}" for v in row] for row in matrix])
            self.text_ = write_values(self.ax_, self.im_, numbers, text_kw)
        return self
