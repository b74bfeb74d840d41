"""What the displays share: the estimator inside others, panels to draw in, legends that fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_mmoe._common.words import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpecBase
    from matplotlib.legend import Legend

LITERAL: dict[str, Any] = {"parse_math": False}  # of a name: what stands between two dollars is no formula


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
    square: bool = False,
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
        Width and (mean) height of a panel, in inches, in a figure of its own whose font is as large as matplotlib's
        own; larger fonts make larger panels.
    height_ratios : sequence of float, default=None
        Heights of the rows of panels in proportion. None: all are alike.
    square : bool, default=False
        Whether what is drawn has a shape of its own. Only the layout "compressed" reckons with such axes: the other one
        leaves too little room above and below those that are lower than their place.

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
        size = font_scale() * width * n_columns, font_scale() * height * n_rows
        figure = plt.figure(figsize=size, layout="compressed" if square else "constrained")
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


def font_scale() -> float:
    """How large the font is, as a multiple of matplotlib's own: what is drawn around it is to grow with it."""
    import matplotlib as mpl

    return float(mpl.rcParams["font.size"]) / 10


def legend_of_names(place: Figure | Axes, handles: list[Any], names: list[str], **how: Any) -> Legend:
    """A legend that shows names as they are; of its own accord matplotlib leaves out those that begin with _."""
    legend = place.legend(handles, [f" {name}" for name in names], frameon=False, **how)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, **LITERAL)
    return legend


def legend_that_fits(room: float, most_columns: int, make: Callable[[int], Legend]) -> Legend:
    """A legend in as many columns as the room, in pixels, is wide enough for; in a single one whatever the room.

    Parameters
    ----------
    room : float
    most_columns : int
    make : callable
        Of a number of columns it makes the legend.
    """
    for n_columns in range(most_columns, 1, -1):
        legend = make(n_columns)
        if legend.get_window_extent().width <= room:
            return legend
        legend.remove()
    return make(1)


def enlarge(figure: Figure, width: float, height: float) -> None:
    """Make a figure larger by so many pixels."""
    old = figure.get_size_inches()
    figure.set_size_inches(old[0] + max(width, 0) / figure.dpi, old[1] + max(height, 0) / figure.dpi)
