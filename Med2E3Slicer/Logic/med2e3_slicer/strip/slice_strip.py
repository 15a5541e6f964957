"""A strip of cells in one slice view: one cell per model slice, coloured by its score.

Knows one view: its renderer, interactor and slice logic. Before each frame it compares what the
view shows with what it drew, and draws again only after a change, so it follows scrolling, zoom,
pan, resizing, orientation and background whoever changed them. Does not know other views.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk

from med2e3_slicer.strip import painter, words
from med2e3_slicer.strip.axis import ViewGeometry
from med2e3_slicer.strip.canvas import Sheet
from med2e3_slicer.strip.column import EDGE, Column, place_columns
from med2e3_slicer.strip.mouse import Mouse
from med2e3_slicer.strip.painter import Ink
from med2e3_slicer.strip.shown import Shown, Stack, Vector

#: at most two exchanges are shown side by side
MOST = 2


@dataclass(frozen=True)
class Cell:
    """A cell of a strip: which of the shown exchanges, and which model slice."""

    column: int
    index: int


class SliceStrip:
    """The strip of one slice view.

    Args:
        renderer: the slice view's own ``vtkRenderer``.
        interactor: its ``vtkRenderWindowInteractor``.
        slice_logic: its ``vtkMRMLSliceLogic``.
        request_render: draws the view soon; by default at once.
        on_jump: called with this strip, a cell's exchange and its slice when a person chooses it;
            by default this view jumps there.
        reference: for a view that cuts across the slices: the point (mm RAS) that another view
            shows now, or ``None``; the marker lies there.
        legend: whether this view also explains the colours.
    """

    def __init__(
        self,
        renderer: Any,
        interactor: Any,
        slice_logic: Any,
        *,
        request_render: Callable[[], None] | None = None,
        on_jump: Callable[[SliceStrip, Cell], None] | None = None,
        reference: Callable[[Stack], Vector | None] | None = None,
        legend: bool = True,
    ) -> None:
        self.renderer = renderer
        self.slice_logic = slice_logic
        self._window = renderer.GetRenderWindow()
        self.request_render = request_render or self._window.Render
        self._on_jump = on_jump or (lambda strip, cell: strip.jump(cell))
        self._reference = reference
        self._legend = legend
        self._shown: tuple[Shown, ...] = ()
        self._visible = True
        self._hovered: Cell | None = None
        self._columns: list[Column] = []
        self._drawn: object = None
        self._drawn_cells: object = None
        self._sentence = ""
        application = slice_logic.GetMRMLApplicationLogic()
        use_font = None if application is None else application.UseCustomFontFile
        self._sheet = Sheet(renderer, words=14, use_font=use_font)
        self._overlay = Sheet(renderer, words=1, use_font=use_font)
        self._frame_tag = renderer.AddObserver(vtk.vtkCommand.StartEvent, self._before_frame)
        self._mouse: Mouse[Cell] | None = Mouse(
            interactor,
            slice_logic,
            cell_at=self.cell_at,
            hover=self._hover,
            choose=self._choose,
        )

    # what is shown

    def show(self, *shown: Shown) -> None:
        """Show one exchange, or two side by side; none clears the strip."""
        if len(shown) > MOST:
            raise ValueError(f"at most {MOST} exchanges, not {len(shown)}")
        self._shown = shown
        self._hovered = None
        self.request_render()

    def clear(self) -> None:
        """Show nothing."""
        self.show()

    @property
    def shown(self) -> tuple[Shown, ...]:
        """The exchanges on show."""
        return self._shown

    @property
    def visible(self) -> bool:
        """Whether the strip is drawn and reacts to the mouse."""
        return self._visible

    @visible.setter
    def visible(self, visible: bool) -> None:
        if visible != self._visible:
            self._visible = visible
            self._hovered = None
            self.request_render()

    @property
    def legend(self) -> bool:
        """Whether this view explains the colours."""
        return self._legend

    @legend.setter
    def legend(self, legend: bool) -> None:
        if legend != self._legend:
            self._legend = legend
            self.request_render()

    @property
    def sentence(self) -> str:
        """Why there is no strip in this view; empty where there is one or nothing to show."""
        return self._sentence

    def detach(self) -> None:
        """Take every actor and observer out of the view; the strip is of no use afterwards."""
        if self._mouse is None:
            return
        self._mouse.detach()
        self._mouse = None
        self.renderer.RemoveObserver(self._frame_tag)
        for sheet in (self._sheet, self._overlay):
            sheet.remove()
        self._columns = []
        self._shown = ()

    # where things are

    def geometry(self) -> ViewGeometry:
        """What the view shows now."""
        node = self.slice_logic.GetSliceNode()
        width, height = self.renderer.GetSize()
        matrix = _as_array(node.GetXYToRAS())
        dimensions = node.GetDimensions()
        if width and height and dimensions[0] and dimensions[1]:
            matrix[:, 0] *= dimensions[0] / width
            matrix[:, 1] *= dimensions[1] / height
        limits, resolution = [0.0, 0.0], vtk.reference(0.0)
        known = self.slice_logic.GetSliceOffsetRangeResolution(limits, resolution)
        half = abs(float(resolution)) / 2
        return ViewGeometry(
            size=(width, height),
            xy_to_ras=matrix,
            offset=node.GetSliceOffset(),
            offset_range=(limits[0] - half, limits[1] + half) if known else None,
            scale=max(self._window.GetDPI() / 72.0, 0.5),
        )

    def scrolls_along(self, stack: Stack) -> bool:
        """Whether scrolling this view goes from model slice to model slice."""
        return self.geometry().scrolls_along(stack)

    def cell_at(self, x: float, y: float) -> Cell | None:
        """The cell at a pixel of the view, as it was last drawn."""
        for number, column in enumerate(self._columns):
            across, along = (x, y) if column.axis.vertical else (y, x)
            if column.across[0] - 2 <= across <= column.across[1] + 2:
                index = column.axis.index(along, len(column.shown.scores))
                if index is not None:
                    return Cell(number, index)
        return None

    def cell_middle(self, index: int, column: int = 0) -> tuple[float, float] | None:
        """The pixel in the middle of a cell, or ``None`` where it is not seen."""
        if column >= len(self._columns):
            return None
        drawn = self._columns[column]
        along = drawn.axis.cell(index)
        if along is None:
            return None
        middle, across = sum(along) / 2, sum(drawn.across) / 2
        return (across, middle) if drawn.axis.vertical else (middle, across)

    @property
    def columns(self) -> Sequence[Column]:
        """What was last drawn."""
        return tuple(self._columns)

    def jump(self, cell: Cell) -> None:
        """Let this view show a model slice; views linked to it follow."""
        stack = self._shown[cell.column].stack
        if stack is None:
            return
        logic = self.slice_logic
        logic.StartSliceOffsetInteraction()
        try:
            logic.GetSliceNode().JumpSliceByOffsetting(*stack.positions_ras[cell.index])
            if stack.spacing_mm >= abs(logic.GetLowestVolumeSliceSpacing()[2]):
                # an acquired slice lies in the cell: show that one, not a mixture of two
                logic.SnapSliceOffsetToIJK()
        finally:
            logic.EndSliceOffsetInteraction()

    # drawing

    def _before_frame(self, _caller: object, _event: str) -> None:
        if not self._shown or not self._visible:
            self._draw_nothing()
            return
        view = self.geometry()
        references = tuple(self._reference_level(shown.stack, view) for shown in self._shown)
        background = self.renderer.GetBackground()
        faint = self._mouse is not None and self._mouse.lets_pass()
        state = (
            self._shown, view.size, view.xy_to_ras.tobytes(), view.offset, view.offset_range,
            view.scale, references, background, faint, self._legend, self._hovered,
        )  # fmt: skip
        if state != self._drawn:
            self._drawn = state
            self._lay_out(view, references)
            self._draw(view, background, painter.FAINT if faint else 1.0)

    def _draw_nothing(self) -> None:
        if self._drawn is not None:
            self._drawn = self._drawn_cells = None
            self._columns = []
            self._sentence = ""
            for sheet in (self._sheet, self._overlay):
                sheet.clear()
                sheet.finish()

    def _lay_out(self, view: ViewGeometry, references: Sequence[float | None]) -> None:
        self._columns = []
        self._sentence = ""
        lost = [shown for shown in self._shown if shown.stack is None]
        if lost:
            self._sentence = words.why_no_place(lost[0])
        else:
            height = 0.0
            if self._legend:
                height = painter.legend_size(self._sheet, self._titles(), view.scale)[1]
            self._columns = place_columns(self._shown, view, references, height)

    def _draw(self, view: ViewGeometry, background: Sequence[float], seen: float) -> None:
        """Scrolling changes the marker alone, so cells and legend are kept while they can be."""
        ink = Ink.on(background)
        cells = (
            self._shown, self._sentence, view.size, view.scale, background, seen, self._legend,
            words.direction_letter(view.normal_ras), [column.place() for column in self._columns],
        )  # fmt: skip
        if cells != self._drawn_cells:
            self._drawn_cells = cells
            self._sheet.clear()
            self._paint(view, ink, seen)
            self._sheet.finish()
        self._overlay.clear()
        for column in self._columns:
            painter.paint_marker(self._overlay, column, view.scale, ink, seen)
        if self._hovered is not None and self._hovered.column < len(self._columns):
            column = self._columns[self._hovered.column]
            painter.paint_hover(self._overlay, column, self._hovered.index, view, ink)
        self._overlay.finish()

    def _paint(self, view: ViewGeometry, ink: Ink, seen: float) -> None:
        if self._sentence:
            painter.paint_sentence(self._sheet, self._sentence, view, ink)
            return
        for column in self._columns:
            painter.paint_strip(self._sheet, column, view, ink, seen)
        if self._legend:
            right, low = view.size[0] - EDGE * view.scale, EDGE * view.scale
            painter.paint_legend(self._sheet, self._titles(), right, low, view.scale, ink, seen)

    def _titles(self) -> list[str]:
        names = ("A  ", "B  ") if len(self._shown) > 1 else ("",)
        titles = [words.title(shown) for shown in self._shown]
        return [name + title if title else "" for name, title in zip(names, titles, strict=True)]

    def _reference_level(self, stack: Stack | None, view: ViewGeometry) -> float | None:
        if stack is None or self._reference is None or view.scrolls_along(stack):
            return None
        point = self._reference(stack)
        return None if point is None else round(stack.level(point), 6)

    # the mouse

    def _hover(self, cell: Cell | None) -> None:
        if cell != self._hovered:
            self._hovered = cell
            self.request_render()

    def _choose(self, cell: Cell) -> None:
        self._hovered = cell
        self._on_jump(self, cell)
        self.request_render()


def _as_array(matrix: Any) -> Vector:
    values = [matrix.GetElement(row, column) for row in range(4) for column in range(4)]
    return np.array(values, dtype=np.float64).reshape(4, 4)
