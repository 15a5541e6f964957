"""A page measured in inches from its top left corner.

Knows how inches become matplotlib's fractions; does not know what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch

from med2e3 import palette
from med2e3.figure.text import font

#: distance of two lines of text as a multiple of the font size
LEADING = 1.42


@dataclass(frozen=True)
class Canvas:
    """A part of a figure that begins ``top`` inches below the figure's upper edge.

    All coordinates are inches; y grows downwards.
    """

    figure: Figure
    top: float = 0.0

    def _x(self, inches: float) -> float:
        return float(inches / self.figure.get_figwidth())

    def _y(self, inches: float) -> float:
        return float(1 - (self.top + inches) / self.figure.get_figheight())

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes whose upper left corner is at (x, y)."""
        bottom = self._y(y + height)
        return self.figure.add_axes((self._x(x), bottom, self._x(width), self._y(y) - bottom))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float,
        bold: bool = False,
        color: str = palette.INK,
        align: str = "left",
    ) -> None:
        """One line; y is the top of its line box, and ``$`` means itself."""
        self.figure.text(
            self._x(x),
            self._y(y + size / 72 * 1.08),
            text,
            fontproperties=font(size, bold=bold),
            color=color,
            ha=align,
            va="baseline",
            parse_math=False,
        )

    def lines(
        self,
        x: float,
        y: float,
        lines: Sequence[str],
        *,
        size: float,
        bold: bool = False,
        color: str = palette.INK,
    ) -> float:
        """Lines below each other; returns the y below the last."""
        for line in lines:
            self.text(x, y, line, size=size, bold=bold, color=color)
            y += line_height(size)
        return y

    def rule(self, x: float, y: float, width: float, color: str = palette.RULE) -> None:
        """A thin horizontal line."""
        self.figure.add_artist(
            Line2D([self._x(x), self._x(x + width)], [self._y(y)] * 2, color=color, linewidth=0.8)
        )

    def card(self, x: float, y: float, width: float, height: float, color: str) -> None:
        """A filled rectangle behind what is drawn later."""
        bottom = self._y(y + height)
        self.figure.add_artist(
            FancyBboxPatch(
                (self._x(x), bottom),
                self._x(width),
                self._y(y) - bottom,
                boxstyle="square,pad=0",
                facecolor=color,
                edgecolor="none",
                zorder=-1,
            )
        )


def line_height(size: float) -> float:
    """Height in inches of a line of text of ``size`` points."""
    return size / 72 * LEADING
