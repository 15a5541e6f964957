"""Where the cells of a strip lie in a slice view, in pixels.

Knows the planes of the model slices and the geometry of a view; draws nothing. Pixels are counted
from the lower left corner of the view, as VTK does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from med2e3_slicer.strip.shown import Stack, Vector

#: views within this angle of the model's slices show one of them at a time
ALONG = math.cos(math.radians(1.0))


@dataclass(frozen=True)
class ViewGeometry:
    """What a slice view shows now.

    Args:
        size: width and height in pixels.
        xy_to_ras: from pixels to mm RAS, 4x4; its third column points along the scroll axis.
        offset: the view's slice offset, mm.
        offset_range: where the view's own slider begins and ends, mm; ``None`` where it has none.
        scale: pixels of the screen per point; 1 on an ordinary screen, 2 on a fine one.
    """

    size: tuple[int, int]
    xy_to_ras: npt.NDArray[np.float64]
    offset: float
    offset_range: tuple[float, float] | None
    scale: float

    @property
    def normal_ras(self) -> Vector:
        """Unit vector along the scroll axis, towards greater offsets."""
        column: Vector = self.xy_to_ras[:3, 2]
        return column / np.linalg.norm(column)

    @property
    def middle_ras(self) -> Vector:
        """The point in the middle of the picture."""
        middle: Vector = self.xy_to_ras @ [self.size[0] / 2, self.size[1] / 2, 0.0, 1.0]
        return middle[:3]

    def scrolls_along(self, stack: Stack) -> bool:
        """Whether scrolling this view goes from model slice to model slice."""
        return abs(float(self.normal_ras @ stack.normal_ras)) >= ALONG


@dataclass(frozen=True)
class Axis:
    """A ruler in a view, on which levels of a stack become pixels.

    Args:
        vertical: whether it runs along the right edge; otherwise it runs along the lower edge.
        scrolling: whether it stands for the scroll axis; otherwise cells lie where the slices cut
            the picture.
        origin: the pixel of level 0.
        step: pixels per model slice; negative where slices follow each other down or to the left.
        low: where the strip begins.
        high: where it ends.
    """

    vertical: bool
    scrolling: bool
    origin: float
    step: float
    low: float
    high: float

    def pixel(self, level: float) -> float:
        """The pixel of a level, also outside the strip."""
        return self.origin + self.step * level

    def cell(self, index: int) -> tuple[float, float] | None:
        """First and last pixel of a cell, cut to the strip; ``None`` if nothing of it is left."""
        ends = sorted((self.pixel(index - 0.5), self.pixel(index + 0.5)))
        first, last = max(ends[0], self.low), min(ends[1], self.high)
        return (first, last) if last - first > 0.25 else None

    def index(self, pixel: float, count: int) -> int | None:
        """The cell at a pixel."""
        if not self.low <= pixel <= self.high:
            return None
        index = round((pixel - self.origin) / self.step)
        return index if 0 <= index < count else None


@dataclass(frozen=True)
class Room:
    """What of a view's edges a strip leaves free, in pixels."""

    below: float
    above: float
    left: float
    right: float


def scroll_axis(stack: Stack, view: ViewGeometry, room: Room) -> Axis:
    """The ruler of a view that scrolls along the stack: greater offsets are higher up."""
    offsets = stack.positions_ras @ view.normal_ras
    half = abs(offsets[-1] - offsets[0]) / max(len(stack) - 1, 1) / 2 or stack.spacing_mm / 2
    ends = [offsets.min() - half, offsets.max() + half, *(view.offset_range or ())]
    first, last = min(ends), max(ends)
    low, high = room.below, view.size[1] - room.above
    per_mm = (high - low) / (last - first)
    towards = math.copysign(1.0, float(view.normal_ras @ stack.normal_ras))
    return Axis(
        vertical=True,
        scrolling=True,
        origin=low + (float(offsets[0]) - first) * per_mm,
        step=2 * half * per_mm * towards,
        low=low,
        high=high,
    )


def offset_pixel(stack: Stack, view: ViewGeometry, axis: Axis) -> float:
    """Where a view's own offset lies on its scroll axis, kept inside the strip."""
    first = float(stack.positions_ras[0] @ view.normal_ras)
    towards = math.copysign(1.0, float(view.normal_ras @ stack.normal_ras))
    level = (view.offset - first) * towards / stack.spacing_mm
    return min(max(axis.pixel(level), axis.low), axis.high)


def cut_axis(
    stack: Stack, view: ViewGeometry, room: Room, *, vertical: bool, across: float
) -> Axis:
    """The ruler of a view that cuts the stack: a level is where its plane meets the strip.

    Args:
        stack: the planes.
        view: the view; its plane must not be parallel to them.
        room: what to leave free.
        vertical: along which edge.
        across: the strip's own place on the other axis (its middle), in pixels.
    """
    per_x, per_y, at_corner = level_in_picture(stack, view)
    along, other = (per_y, per_x) if vertical else (per_x, per_y)
    low = room.below if vertical else room.left
    high = view.size[1] - room.above if vertical else view.size[0] - room.right
    return Axis(
        vertical=vertical,
        scrolling=False,
        origin=-(at_corner + other * across) / along,
        step=1 / along,
        low=low,
        high=high,
    )


def level_in_picture(stack: Stack, view: ViewGeometry) -> tuple[float, float, float]:
    """How the level changes over the picture: per pixel to the right, per pixel up, at (0, 0)."""
    per_mm = stack.normal_ras / stack.spacing_mm
    per_x, per_y = (float(per_mm @ view.xy_to_ras[:3, column]) for column in (0, 1))
    return per_x, per_y, stack.level(view.xy_to_ras[:3, 3])


def is_vertical(stack: Stack, view: ViewGeometry) -> bool:
    """Whether the strip of this view runs along its right edge."""
    if view.scrolls_along(stack):
        return True
    per_x, per_y, _ = level_in_picture(stack, view)
    return abs(per_y) >= abs(per_x)
