"""The panels of gates: mean weights as heat maps, or how the weights are spread over the rows, as boxes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._training.gates import expert_usage
from sklearn_mmoe.plot._arguments import drawn_by, style_of
from sklearn_mmoe.plot._common import LITERAL, font_scale, panels
from sklearn_mmoe.plot._heat_map import heat_map, names_width, write_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELS = 40  # experts side by side that are still numbered one by one, half as many in several panels
TITLE_LENGTH = 28  # characters in a line above a panel
FIGURE_WIDTH = 13.0  # inches that panels may fill beside each other
TALLEST_BAR = 5.0  # inches of the colour bar
MEMBERS_HEIGHT = 0.45  # inches of the numbers of members above a panel
PERCENTILES = (5, 25, 50, 75, 95)


class Gates(NamedTuple):
    """Weights to draw, of shape (n_rows, n_tasks, n_members * n_experts)."""

    weights: FloatArray
    task_names: list[str]
    n_members: int

    @property
    def n_columns(self) -> int:
        """The experts of all members."""
        return int(self.weights.shape[2])


class Picture(NamedTuple):
    """What has been drawn, panel by panel."""

    figure: Figure
    axes: NDArray[Any]
    images: list[Any]
    texts: list[Any]
    boxes: list[Any]
    colorbar: Any


def draw_means(
    gates: Gates,
    groups: Mapping[str, NDArray[np.bool_]] | None,
    ax: Any,
    *,
    include_values: bool,
    colorbar: bool,
    im_kw: dict[str, Any] | None,
    text_kw: dict[str, Any] | None,
) -> Picture:
    """A heat map for each group of rows."""
    names, n_columns, has_titles = gates.task_names, gates.n_columns, groups is not None
    groups = {"": np.ones(len(gates.weights), dtype=bool)} if groups is None else groups
    means = [expert_usage(gates.weights[rows]) for rows in groups.values()]
    titles = [f"{title}\n{rows.sum():,} rows" if title else "" for title, rows in groups.items()]
    cell, row = (0.28, 0.4 if len(names) < 10 else 0.27) if len(groups) == 1 else (0.14, 0.22)
    width = max(cell * n_columns, 2.4, names_width(list(groups)))
    height = max(len(names) * row, 1.4) + 0.6 + MEMBERS_HEIGHT * (gates.n_members > 1) + 0.5 * has_titles
    figure, axes, n_beside = _panels(ax, len(groups), width, height, names_width(names) + 1.0 * colorbar)
    # An equal weight is never the darkest, unless a single expert cannot but have it all
    most = min(1 / gates.n_members, max(max(float(mean.max()) for mean in means), 2 / n_columns))
    style = style_of(im_kw, "im_kw", {"cmap": "Blues", "vmin": 0.0, "vmax": most, "aspect": "auto"})
    images = []
    for i, (own, title, mean) in enumerate(zip(axes, titles, means, strict=True)):
        images.append(heat_map(own, mean, names if i % n_beside == 0 else [""] * len(names), style))
        _number_experts(own, gates, len(axes), "white", top=i < n_beside, bottom=i + n_beside >= len(groups))
        own.set_title(title, fontsize="medium", **LITERAL)
    bar = _colorbar(figure, axes, images[0], n_columns) if colorbar else None
    figure.draw_without_rendering()  # settles the layout, which says how large the cells are
    texts = []
    for own, image, mean in zip(axes, images, means, strict=True):
        numbers = np.array([[f"{100 * value:.0f}" for value in row] for row in mean])
        texts.append(write_values(own, image, numbers, text_kw) if include_values else None)
    return Picture(figure, axes, images, texts, [], bar)


def draw_distributions(gates: Gates, ax: Any, box_kw: dict[str, Any] | None) -> Picture:
    """Boxes for each task, one per expert."""
    names, n_columns = gates.task_names, gates.n_columns
    width = max(0.11 * n_columns, 2.6)
    figure, axes, n_beside = _panels(ax, len(names), width, 2.0 + MEMBERS_HEIGHT * (gates.n_members > 1), 0.6)
    default = {"width": 0.7, "color": "lightsteelblue", "edgecolor": "black", "linewidth": 0.6}
    style = style_of(box_kw, "box_kw", default)
    # matplotlib's boxplot makes seven artists per box, which takes a minute for 30 tasks of an ensemble
    low, first, median, third, high = np.percentile(gates.weights, PERCENTILES, axis=0)
    experts = np.arange(n_columns)
    boxes = []
    for t, (own, name) in enumerate(zip(axes, names, strict=True)):
        own.axhline(1 / n_columns, color="tab:orange", linewidth=1, label="all equal", zorder=0)
        own.vlines(experts, low[t], high[t], color="black", linewidth=0.6, zorder=0.5)
        with drawn_by("box_kw"):
            boxes.append(own.bar(experts, third[t] - first[t], bottom=first[t], **style))
        own.hlines(median[t], experts - 0.35, experts + 0.35, color="black", linewidth=1.4)
        own.set_title(textwrap.fill(name, TITLE_LENGTH), fontsize="medium", **LITERAL)
        own.set_xlim(-0.6, n_columns - 0.4)
        _number_experts(own, gates, len(axes), "lightgrey", top=t < n_beside, bottom=t + n_beside >= len(names))
        if t % n_beside == 0:
            own.set_ylabel("gate weight")
        own.yaxis.set_major_formatter(_percent(n_columns))
    most = max(own.get_ylim()[1] for own in axes)
    for own in axes:
        own.set_ylim(0, 1.2 * most)  # with room for the legend
    axes[0].legend(fontsize="small", frameon=False)
    return Picture(figure, axes, [], [], boxes, None)


def _panels(ax: Any, n_panels: int, width: float, height: float, margin: float) -> tuple[Figure, NDArray[Any], int]:
    """A figure and its axes, as many side by side as fit; and how many that are."""
    n_beside = max(1, min(n_panels, int((FIGURE_WIDTH - margin) // width)))
    stands_alone = n_panels == 1 and not isinstance(ax, list | tuple | np.ndarray | None)
    own = [ax] if stands_alone else ax  # one panel takes the axes as they are
    size = width + margin / n_beside, height
    figure, axes = panels(own, n_panels, n_columns=n_beside, panel_size=size)
    return figure, np.array(axes, dtype=object), n_beside


def _colorbar(figure: Figure, axes: NDArray[Any], image: Any, n_columns: int) -> Any:
    bar = figure.colorbar(
        image,
        ax=list(axes),
        label="mean gate weight",
        format=_percent(n_columns),
        shrink=min(1.0, TALLEST_BAR / figure.get_figheight()),
    )
    bar.ax.axhline(1 / n_columns, color="tab:orange", linewidth=2)
    # From the bar to the right, where no panel is
    bar.ax.set_title("— all equal", color="tab:orange", fontsize="small", loc="left", pad=8 * font_scale())
    return bar


def _number_experts(ax: Axes, gates: Gates, n_panels: int, line_color: str, *, top: bool, bottom: bool) -> None:
    """Draw lines between members; name these above the top panels, and number the experts of each below the last.

    Labels at all panels would take the layout most of its time.
    """
    n_columns = gates.n_columns
    n_experts = n_columns // gates.n_members
    for start in range(n_experts, n_columns, n_experts):
        ax.axvline(start - 0.5, color=line_color, linewidth=3)
    step = -(-n_columns * min(n_panels, 2) // MOST_LABELS)
    ticks = [i for i in range(n_columns) if i % n_experts % step == 0] if bottom else []
    ax.set_xticks(ticks, [str(i % n_experts) for i in ticks], fontsize="small" if len(ticks) > 12 else "medium")
    if bottom:
        ax.set_xlabel("expert")
    if top and gates.n_members > 1:
        above = ax.secondary_xaxis("top")
        step = -(-gates.n_members * min(n_panels, 2) // MOST_LABELS)
        members = range(0, gates.n_members, step)
        centres = [n_experts * (member + 0.5) - 0.5 for member in members]
        above.set_xticks(centres, [str(member) for member in members], fontsize="small")
        above.tick_params(length=0)
        above.set_xlabel("member")
        above.spines[:].set_visible(False)


def _percent(n_columns: int) -> Any:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0, decimals=0 if n_columns < 20 else 1)
