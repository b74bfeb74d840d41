"""Heat maps with names at their sides, and numbers in the cells where these are large enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

import numpy as np
from numpy.typing import NDArray

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe.plot._arguments import drawn_by, style_of
from sklearn_mmoe.plot._common import LITERAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

LARGEST_FONT, SMALLEST_FONT = 9.0, 5.0  # points
CHARACTER_WIDTH = 0.62  # of a digit, as a share of the size of its font
NAME_WIDTH = 0.085  # inches of a character of a tick label


def heat_map(ax: Axes, matrix: FloatArray, names: list[str], style: dict[str, Any]) -> AxesImage:
    """Draw a matrix, with a name beside each of its rows."""
    with drawn_by("im_kw"):
        image = ax.imshow(matrix, **style)
    ax.set_yticks(range(len(names)), names, **LITERAL)
    ax.tick_params(length=0)
    return image


def write_values(ax: Axes, image: AxesImage, texts: NDArray[Any], text_kw: dict[str, Any] | None) -> Any:
    """Write a text into each cell of an image if all fit, dark on light and light on dark.

    The layout of the figure has to be settled: only then it is known how large the cells are.

    Parameters
    ----------
    texts : ndarray of str, of the shape of the image

    Returns
    -------
    ndarray of matplotlib Text, or None if the cells are too small
    """
    style = style_of(text_kw, "text_kw", {})
    n_rows, n_columns = texts.shape
    extent = ax.get_window_extent()
    points = 72 / ax.figure.dpi
    width, height = extent.width * points / n_columns, extent.height * points / n_rows
    longest = max(1, *(len(text) for text in texts.flat))  # of numbers that are all NaN, there is nothing to write
    size = min(LARGEST_FONT, 0.88 * width / (CHARACTER_WIDTH * longest), 0.75 * height)
    if size < SMALLEST_FONT:
        return None
    luminance = np.asarray(image.to_rgba(np.ma.asarray(image.get_array())))[..., :3] @ [0.299, 0.587, 0.114]
    written = np.empty(texts.shape, dtype=object)
    for (i, j), text in np.ndenumerate(texts):
        color = "black" if luminance[i, j] > 0.5 else "white"
        default = {"horizontalalignment": "center", "verticalalignment": "center", "fontsize": size, "color": color}
        with drawn_by("text_kw"):
            written[i, j] = own = ax.text(j, i, text, **{**default, **style})
        own.set_in_layout(False)  # it is inside the axes, and the layout would measure it again and again
    return written


def names_width(names: list[str]) -> float:
    """Inches that the longest of some tick labels takes, in a font as large as matplotlib's own."""
    return NAME_WIDTH * max(sum(2 if east_asian_width(own) in "WF" else 1 for own in name) for name in names)
