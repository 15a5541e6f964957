"""One question as a picture: text on the left, slices and scores on the right.

Knows where everything stands and how tall the panel gets; long answers make it taller, nothing is
cut.  Does not know files or how a model is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from med2e3 import palette
from med2e3.figure.bars import draw_bars
from med2e3.figure.canvas import Canvas, line_height
from med2e3.figure.pictures import draw_slice
from med2e3.figure.words import Block, footer_text, text_blocks
from med2e3.record import Exchange, position_text, source_text, stack_axis
from med2e3.record.frame import Frame, frame_of

WIDTH = 13.6
MARGIN = 0.45
TEXT_WIDTH = 3.9
GUTTER = 0.45
SAMPLED = 8
TOP = 3

_RIGHT = MARGIN + TEXT_WIDTH + GUTTER
_RIGHT_WIDTH = WIDTH - MARGIN - _RIGHT
_BARS_INDENT = 0.55
_BARS_HEIGHT = 1.9
_FOOTER = 0.62
_HEADING = 0.32


def sampled_slices(count: int, samples: int = SAMPLED) -> tuple[int, ...]:
    """Indices of ``samples`` slices (at most all) spread evenly over ``count``."""
    samples = min(samples, count)
    return tuple(int((number + 0.5) * count / samples) for number in range(samples))


@dataclass(frozen=True)
class Panel:
    """A laid-out panel: what it will draw and how tall it is (inches)."""

    exchange: Exchange
    voxels: NDArray[np.floating]
    blocks: tuple[Block, ...]
    frame: Frame
    height: float

    @classmethod
    def of(cls, exchange: Exchange, voxels: NDArray[np.floating]) -> Panel:
        """Lay out one exchange.

        Args:
            exchange: the record.
            voxels: the model input it was asked about, (slices, rows, columns), 0 to 1.
        """
        blocks = tuple(text_blocks(exchange, TEXT_WIDTH))
        frame = frame_of(exchange)
        text = sum(block.height for block in blocks)
        pictures = _pictures_height(exchange, _shape_in_slot(frame, voxels))
        height = MARGIN + max(text, pictures) + _FOOTER + 0.2
        return cls(exchange, voxels, blocks, frame, height)

    def draw(self, canvas: Canvas) -> None:
        """Draw the panel on a canvas of :data:`WIDTH` and at least this height."""
        y = MARGIN
        for block in self.blocks:
            block.draw(canvas, MARGIN, y)
            y += block.height
        y = MARGIN
        if self.exchange.scores:
            y = self._draw_scores(canvas, y)
        else:
            canvas.text(_RIGHT, y, "Slices, evenly sampled", size=10, bold=True)
            y += _HEADING
        y = self._draw_strip(canvas, y)
        if self.exchange.scores:
            self._draw_top(canvas, y)
        footer = self.height - _FOOTER
        canvas.rule(MARGIN, footer, WIDTH - 2 * MARGIN)
        canvas.lines(
            MARGIN,
            footer + 0.1,
            footer_text(self.exchange, WIDTH - 2 * MARGIN),
            size=8,
            color=palette.QUIET,
        )

    def _draw_scores(self, canvas: Canvas, y: float) -> float:
        exchange = self.exchange
        count = len(exchange.scores)
        canvas.text(_RIGHT, y, "Slice scores (TG-IS)", size=10, bold=True)
        canvas.text(
            _RIGHT + _RIGHT_WIDTH,
            y + 0.02,
            f"dashed line: uniform, 1/{count}; blue below, orange above",
            size=8,
            color=palette.QUIET,
            align="right",
        )
        axes = canvas.axes(
            _RIGHT + _BARS_INDENT,
            y + _HEADING,
            _RIGHT_WIDTH - 2 * _BARS_INDENT,
            _BARS_HEIGHT,
        )
        draw_bars(
            axes,
            exchange.relative_scores(),
            top=exchange.top_slices(TOP),
            sampled=sampled_slices(count),
        )
        canvas.text(
            _RIGHT + _BARS_INDENT - 0.06,
            y + _HEADING + _BARS_HEIGHT + 0.04,
            "slice",
            size=7.5,
            color=palette.QUIET,
            align="right",
        )
        return y + _HEADING + _BARS_HEIGHT + 0.22

    def _draw_strip(self, canvas: Canvas, y: float) -> float:
        """Evenly sampled slices, each below its own bar."""
        exchange = self.exchange
        count = len(self.voxels)
        axis = stack_axis(exchange.slices)
        relative = exchange.relative_scores()
        width = _RIGHT_WIDTH - 2 * _BARS_INDENT
        bar = width / count
        size = width / SAMPLED - 0.07
        tall = size * _shape_in_slot(self.frame, self.voxels)
        for index in sampled_slices(count):
            centre = _RIGHT + _BARS_INDENT + (index + 0.5) * bar
            draw_slice(
                canvas.axes(centre - size / 2, y, size, tall),
                self.voxels[index],
                self.frame,
                color=palette.relative_color(relative[index]) if relative else palette.RULE,
                line_width=1.6,
            )
            label = position_text(exchange.slices[index], axis) or f"slice {index + 1}"
            canvas.text(
                centre, y + tall + 0.04, label, size=7.5, color=palette.QUIET, align="center"
            )
        return y + tall + 0.42

    def _draw_top(self, canvas: Canvas, y: float) -> None:
        """The highest-scored slices, large, with their positions and scores."""
        exchange = self.exchange
        axis = stack_axis(exchange.slices)
        relative = exchange.relative_scores()
        count = len(relative)
        canvas.text(_RIGHT, y, "Highest-scored slices", size=10, bold=True)
        gap = 0.22
        size = (_RIGHT_WIDTH - (TOP - 1) * gap) / TOP
        tall = size * _shape_in_slot(self.frame, self.voxels)
        for rank, index in enumerate(exchange.top_slices(TOP), start=1):
            x = _RIGHT + (rank - 1) * (size + gap)
            top = y + _HEADING
            draw_slice(
                canvas.axes(x, top, size, tall),
                self.voxels[index],
                self.frame,
                color=palette.relative_color(relative[index]),
                line_width=2.4,
                letters=True,
            )
            place = exchange.slices[index]
            y_line = top + tall + 0.07
            canvas.text(x, y_line, f"{rank}   Slice {index + 1} of {count}", size=9, bold=True)
            canvas.text(
                x + size,
                y_line,
                f"{relative[index]:.1f} \N{MULTIPLICATION SIGN} uniform",
                size=9,
                bold=True,
                align="right",
            )
            y_line += line_height(9)
            details = (
                (f"score {exchange.scores[index]:.4f}", "right"),
                (position_text(place, axis), "left"),
            )
            for text, align in details:
                edge = x + size if align == "right" else x
                canvas.text(edge, y_line, text, size=8.5, color=palette.QUIET, align=align)
            canvas.text(
                x,
                y_line + line_height(8.5),
                f"source {source_text(place)}",
                size=8.5,
                color=palette.QUIET,
            )


def _shape_in_slot(frame: Frame, voxels: NDArray[np.floating]) -> float:
    """Height of a picture's slot as a multiple of its width, within what the page can hold."""
    _, rows, columns = voxels.shape
    return min(1.35, max(0.45, frame.proportion(rows, columns)))


def _pictures_height(exchange: Exchange, shape: float) -> float:
    strip = ((_RIGHT_WIDTH - 2 * _BARS_INDENT) / SAMPLED - 0.07) * shape + 0.42
    if not exchange.scores:
        return _HEADING + strip
    top = _HEADING + (_RIGHT_WIDTH - 0.44) / TOP * shape + 0.07 + 3 * line_height(9)
    return _HEADING + _BARS_HEIGHT + 0.22 + strip + top
