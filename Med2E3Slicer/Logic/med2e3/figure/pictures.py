"""Slices as pictures: right proportions, and letters that say which side is which.

Knows grey values and edges; knows nothing of scores or of where the picture stands on the page.
"""

from __future__ import annotations

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from med2e3.figure.text import font
from med2e3.record.frame import Frame


def draw_slice(
    axes: Axes,
    pixels: NDArray[np.floating],
    frame: Frame,
    *,
    color: str,
    line_width: float,
    letters: bool = False,
) -> None:
    """Draw one model slice, values 0 to 1, with a coloured edge.

    Args:
        axes: where; the picture is fitted into it without distortion.
        pixels: (rows, columns).
        frame: proportions and letters.
        color: of the edge.
        line_width: of the edge, in points.
        letters: whether to write the anatomical letters.
    """
    axes.imshow(
        pixels,
        cmap="gray",
        vmin=0.0,
        vmax=1.0,
        aspect=frame.pixel_height,
        interpolation="bilinear",
        origin="upper",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_edgecolor(color)
        spine.set_linewidth(line_width)
    if not letters:
        return
    marks = (
        (frame.left, 0.03, 0.5, "left", "center"),
        (frame.right, 0.97, 0.5, "right", "center"),
        (frame.top, 0.5, 0.975, "center", "top"),
        (frame.bottom, 0.5, 0.025, "center", "bottom"),
    )
    for letter, x, y, horizontal, vertical in marks:
        if letter:
            axes.text(
                x,
                y,
                letter,
                transform=axes.transAxes,
                ha=horizontal,
                va=vertical,
                color="white",
                fontproperties=font(9, bold=True),
                path_effects=[effects.withStroke(linewidth=2, foreground="black")],
            )
