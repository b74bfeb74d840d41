"""What the displays share: the estimator inside others, panels to draw in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_mmoe._base import BaseMMoE
from sklearn_mmoe._responses import as_of_now, last_step_and_features
from sklearn_mmoe._words import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpecBase


def fitted_model(estimator: Any, X: Any = None) -> tuple[BaseMMoE, Any]:
    """The fitted model inside searches and pipelines, and the features as the steps before it hand them on.

    Parameters
    ----------
    estimator : estimator
        One of the three of this package, a pipeline that ends in one, or a search over either.
    X : array-like or data frame of shape (n_samples, n_features), default=None
        Features as the estimator takes them.

    Returns
    -------
    model : BaseMMoE
    X : array-like or data frame, or None
    """
    model, X = last_step_and_features(as_of_now(estimator), X)
    if not isinstance(model, BaseMMoE):
        raise ValueError(
            "estimator must be a fitted MMoERegressor, MMoEClassifier or MMoEMultiTask, or a pipeline or search that "
            f"ends in one; got {type(model).__name__}."
        )
    check_is_fitted(model)
    return model, X


def _parts(ax: Any) -> list[Any]:
    """What stands in a sequence, or the one that stands alone."""
    if isinstance(ax, np.ndarray):
        return list(ax.ravel())
    return list(ax) if isinstance(ax, list | tuple) else [ax]


def panels(
    ax: Any,
    n_panels: int,
    *,
    n_columns: int,
    panel_size: tuple[float, float],
    height_ratios: Sequence[float] | None = None,
) -> tuple[Figure, list[Axes]]:
    """Axes for each of several pictures in a grid, row by row.

    Parameters
    ----------
    ax : matplotlib Axes, array-like of Axes or None
        Axes whose place is divided among the panels, the panels themselves, or None for a figure of their own.
    n_panels : int
    n_columns : int
        Most panels side by side.
    panel_size : tuple of float
        Width and (mean) height of a panel, in inches, in a figure of its own.
    height_ratios : sequence of float, default=None
        Heights of the rows of panels in proportion. None: all are alike.

    Returns
    -------
    figure : matplotlib Figure
    axes : list of matplotlib Axes
    """
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    if ax is not None and not isinstance(ax, Axes):
        axes = [own for part in _parts(ax) for own in _parts(part)]
        if not all(isinstance(own, Axes) for own in axes):
            raise ValueError(
                f"ax must be one Axes of matplotlib or {n_panels} of them, one per panel; got {shown(ax)}."
            )
        if len(axes) != n_panels:
            raise ValueError(f"ax must be one Axes or {n_panels} of them, one per panel; got {len(axes)}.")
        return axes[0].figure, axes
    n_columns = min(n_columns, n_panels)
    n_rows = -(-n_panels // n_columns)
    figure: Any
    if ax is None:
        width, height = panel_size
        figure = plt.figure(figsize=(width * n_columns, height * n_rows), layout="constrained")
        grid: GridSpecBase = figure.add_gridspec(n_rows, n_columns, height_ratios=height_ratios)
    else:
        place = ax.get_subplotspec()
        if place is None:
            raise ValueError(
                f"ax must stand in a grid of its figure, as those of plt.subplots do, to be divided among {n_panels} "
                "panels: give such Axes, or one for each panel."
            )
        figure = ax.figure
        ax.set_axis_off()
        grid = GridSpecFromSubplotSpec(n_rows, n_columns, subplot_spec=place, height_ratios=height_ratios)
    places = [divmod(i, n_columns) for i in range(n_panels)]
    return figure, [figure.add_subplot(grid[row, column]) for row, column in places]
