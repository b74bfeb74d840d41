"""A picture of the accuracy benchmark: mean rank against CPU seconds, of all contenders that have a rank."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from _accuracy_contenders import OURS, VARIANTS
from _accuracy_sets import FOLDED, HELD_OUT
from _accuracy_tables import standing
from _bench import RESULTS, parser
from accuracy import read

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "accuracy.png"
AWAY = 9  # points from the middle of a mark to its label
SIDES = [(1, 0), (-1, 0), *product((0, 1, -1), (1, -1))]  # of a mark: right, left, above, below, then the corners


def draw(table: pd.DataFrame, n_sets: int, path: Path) -> Any:
    """Marks with their names beside them; what is better and faster stands above and to the left."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4.8), dpi=150, layout="constrained")
    ours = table.index == OURS
    axes.scatter(table["fit"][~ours], table["rank"][~ours], s=55, color="#7b8794")
    axes.scatter(table["fit"][ours], table["rank"][ours], s=110, color="#c44e52")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.invert_yaxis()
    axes.margins(x=0.14, y=0.1)
    axes.set_xlabel(f"CPU seconds to fit on {n_sets} data sets, one thread", fontsize=12)
    axes.set_ylabel(f"mean rank of {len(table)}, 1 is best", fontsize=12)
    axes.tick_params(labelsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # from here on the axes stay where they are
    _label(axes, table.sort_values("rank"))
    path.parent.mkdir(exist_ok=True, parents=True)
    figure.savefig(path)
    plt.close(figure)
    return figure


def _label(axes: Any, table: pd.DataFrame) -> None:
    """Names where the least else stands, of several such places the first."""
    points = table[["fit", "rank"]].to_numpy()
    taken = [_around(x, y, axes) for x, y in axes.transData.transform(points)]
    for name, point in zip(table.index, points, strict=True):
        own = {"weight": "bold", "color": "#c44e52"} if name == OURS else {"color": "#323f4b"}
        text = axes.annotate(name, point, (0, 0), textcoords="offset points", fontsize=12, **own)

        def crowded(side: tuple[int, int], text: Any = text) -> int:
            box = _put(text, side)
            beyond = box.x0 < axes.bbox.x0 or box.x1 > axes.bbox.x1
            return sum(box.overlaps(other) for other in taken) + beyond

        taken.append(_put(text, min(SIDES, key=crowded)))


def _put(text: Any, side: tuple[int, int]) -> Any:
    """A name on one side of its mark, and the room that it takes there."""
    x, y = side
    ha, va = {1: "left", 0: "center", -1: "right"}[x], {1: "bottom", 0: "center", -1: "top"}[y]
    text.set(position=(AWAY * x, AWAY * y), ha=ha, va=va)
    return text.get_window_extent()


def _around(x: float, y: float, axes: Any) -> Any:
    """The room that a mark takes."""
    from matplotlib.transforms import Bbox

    half = 5 * axes.figure.dpi / 72
    return Bbox([[x - half, y - half], [x + half, y + half]])


def main(arguments: list[str] | None = None) -> None:
    command = parser(__doc__)
    command.add_argument(
        "--runs", type=Path, default=RESULTS / "accuracy-5000-rows.csv", help="what accuracy.py has written"
    )
    command.add_argument("--picture", type=Path, default=PICTURE)
    options = command.parse_args(arguments)
    lines = read(options.runs)
    table = standing(lines, OURS, VARIANTS, FOLDED, HELD_OUT).dropna(subset=["rank", "fit"])
    if table.empty:
        raise SystemExit(f"{options.runs} has no CPU seconds of all sets by anyone: run accuracy.py --fresh.")
    draw(table, table.attrs["n_sets"], options.picture)


if __name__ == "__main__":
    main()
