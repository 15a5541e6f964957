"""Strips along the edges of a view: which edge, how wide, where each cell is.

Knows pixels and the planes of the model slices; does not know colours or words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from med2e3_slicer.strip.axis import (
    Axis,
    Room,
    ViewGeometry,
    cut_axis,
    is_vertical,
    offset_pixel,
    scroll_axis,
)
from med2e3_slicer.strip.shown import Shown, Stack

#: sizes in points; a view's scale makes pixels of them
WIDTH = 14.0
GAP = 5.0
EDGE = 10.0
#: what a strip along the scroll axis leaves free at each end, as a part of the view's height:
#: Slicer writes into the corners
_INSET = 0.12


@dataclass(frozen=True)
class Column:
    """One exchange's strip in one view.

    Args:
        shown: its scores.
        stack: its planes.
        axis: its ruler.
        across: first and last pixel of the strip on the other axis.
        beside: the same of all strips along this edge together.
        marker: pixel of the current slice along the ruler, or ``None``.
        name: a letter when there are two, else empty.
    """

    shown: Shown
    stack: Stack
    axis: Axis
    across: tuple[float, float]
    beside: tuple[float, float]
    marker: float | None
    name: str

    def box(self, along: tuple[float, float]) -> tuple[float, float, float, float]:
        """Left, low, right, high of a stretch of the strip."""
        if self.axis.vertical:
            return self.across[0], along[0], self.across[1], along[1]
        return along[0], self.across[0], along[1], self.across[1]

    @property
    def leads(self) -> bool:
        """Whether it is the outermost strip of its edge, which has the marker's arrowhead."""
        inner = 0 if self.axis.vertical else 1
        return self.across[inner] == self.beside[inner]

    def place(self) -> tuple[float, ...]:
        """All numbers that the look of the cells depends on, rounded to what can be seen."""
        axis = self.axis
        numbers = (axis.origin, axis.step, axis.low, axis.high, *self.across, *self.beside)
        return (axis.vertical, axis.scrolling, *(round(float(number), 3) for number in numbers))

    def extent(self) -> tuple[float, float] | None:
        """First and last pixel that cells cover along the ruler."""
        cells = [self.axis.cell(index) for index in range(len(self.shown.scores))]
        seen = [cell for cell in cells if cell is not None]
        return (min(cell[0] for cell in seen), max(cell[1] for cell in seen)) if seen else None


def place_columns(
    shown: Sequence[Shown],
    view: ViewGeometry,
    references: Sequence[float | None],
    legend_height: float,
) -> list[Column]:
    """Strips side by side from the right edge, or one above the other from the lower edge.

    Args:
        shown: the exchanges; those without positions are left out.
        view: what the view shows.
        references: for each exchange, the level that another view shows, for the marker.
        legend_height: what the legend in the lower right corner takes, in pixels; 0 without one.
    """
    scale = view.scale
    edge, width, pitch = EDGE * scale, WIDTH * scale, (WIDTH + GAP) * scale
    names = ("A", "B") if len(shown) > 1 else ("",)
    upright = [each.stack is not None and is_vertical(each.stack, view) for each in shown]
    above_legend = legend_height + 2 * edge if legend_height else 0.0
    rows = max(above_legend, 2 * edge)
    # where there is a strip along each edge, both leave the corner free
    below = rows + upright.count(False) * pitch if False in upright else above_legend
    beside_rows = upright.count(True) * pitch
    columns = []
    for number, each in enumerate(shown):
        vertical, stack = upright[number], each.stack
        if stack is None:
            continue
        before = upright[:number].count(vertical)
        count = upright.count(vertical)
        if vertical:
            first = view.size[0] - edge - count * pitch + (pitch - width)
            start = first + before * pitch
        else:
            first = rows
            start = first + (count - 1 - before) * pitch
        across = (start, start + width)
        beside = (first, first + (count - 1) * pitch + width)
        axis, marker = _ruler(
            stack, view, vertical, sum(across) / 2, below, beside_rows, references[number]
        )
        columns.append(Column(each, stack, axis, across, beside, marker, names[number]))
    return columns


def _ruler(
    stack: Stack,
    view: ViewGeometry,
    vertical: bool,
    across: float,
    below: float,
    beside_rows: float,
    reference: float | None,
) -> tuple[Axis, float | None]:
    edge = EDGE * view.scale
    if view.scrolls_along(stack):
        inset = max(_INSET * view.size[1], 3.0 * edge)
        room = Room(below=max(below + 1.5 * edge, inset), above=inset, left=0, right=0)
        axis = scroll_axis(stack, view, room)
        return axis, offset_pixel(stack, view, axis)
    side = 1.5 * edge
    room = Room(below=max(below, side), above=2.5 * edge, left=side, right=side + beside_rows)
    axis = cut_axis(stack, view, room, vertical=vertical, across=across)
    marker = None if reference is None else axis.pixel(reference)
    if marker is not None and not axis.low <= marker <= axis.high:
        marker = None
    return axis, marker
