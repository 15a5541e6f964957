"""Draw the icon of the Slicer module: a column of slices, coloured by score.

Run once; the picture is in the repository:  ``python Testing/tools/draw_icon.py``
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

ICON = Path(__file__).resolve().parents[2] / "Med2E3Slicer/Resources/Icons/Med2E3Slicer.png"
SIZE_PIXELS = 128
#: scores of the slices from the lowest to the highest, as fractions of the colour map
SCORES = (0.12, 0.30, 0.62, 0.95, 0.55, 0.22)


def draw(path: Path = ICON) -> None:
    """Write the icon as a PNG of 128 x 128 pixels with a transparent background."""
    figure = Figure(figsize=(1, 1), dpi=SIZE_PIXELS)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, SIZE_PIXELS), ylim=(0, SIZE_PIXELS))
    axes.axis("off")
    colours = matplotlib.colormaps["inferno"]
    for index, score in enumerate(SCORES):
        bottom = 6 + 16 * index
        corners = [(6, bottom + 18), (64, bottom), (122, bottom + 18), (64, bottom + 36)]
        axes.add_patch(Polygon(corners, facecolor=colours(score), edgecolor="white", linewidth=1.6))
    figure.savefig(path, dpi=SIZE_PIXELS, transparent=True, metadata={"Software": None})


if __name__ == "__main__":
    draw()
