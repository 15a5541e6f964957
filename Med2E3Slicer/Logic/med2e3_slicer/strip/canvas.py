"""Coloured shapes and words in a renderer's plane, in pixels.

Knows VTK's 2D actors; does not know slices or scores. A sheet is drawn anew as a whole, which costs
well under a millisecond for the hundred shapes of a strip.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

from med2e3.palette import Rgb

Point = tuple[float, float]
#: gives a ``vtkTextProperty`` the font file that the person chose in place of VTK's own font
UseFont = Callable[[Any], None]


class Sheet:
    """Shapes with words on top of them, one layer of a renderer.

    Args:
        renderer: a ``vtkRenderer``.
        words: how many texts can be shown at once.
        use_font: asked once for each text, since VTK's own font lacks many scripts; none keeps it.
    """

    def __init__(self, renderer: Any, words: int, use_font: UseFont | None = None) -> None:
        self._renderer = renderer
        self._corners: list[Point] = []
        self._sizes: list[int] = []
        self._colors: list[tuple[float, float, float, float]] = []
        self._polygons = vtk.vtkPolyData()
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputData(self._polygons)
        mapper.SetScalarModeToUseCellData()
        self._shapes = vtk.vtkActor2D()
        self._shapes.SetMapper(mapper)
        self._shapes.SetPickable(False)
        self._texts = [_text_actor(use_font) for _ in range(words)]
        self._used = 0
        for prop in (self._shapes, *self._texts):
            prop.SetVisibility(False)
            renderer.AddViewProp(prop)

    def clear(self) -> None:
        """Begin anew; nothing changes on the screen until `finish`."""
        self._corners.clear()
        self._sizes.clear()
        self._colors.clear()
        self._used = 0

    def polygon(self, corners: Sequence[Point], color: Rgb, opacity: float = 1.0) -> None:
        """A filled convex polygon."""
        self._corners.extend(corners)
        self._sizes.append(len(corners))
        self._colors.append((*color, opacity))

    def rectangle(
        self, left: float, low: float, right: float, high: float, color: Rgb, opacity: float = 1.0
    ) -> None:
        """A filled rectangle, its edges on whole pixels."""
        left, low, right, high = (float(round(value)) for value in (left, low, right, high))
        self.polygon(((left, low), (right, low), (right, high), (left, high)), color, opacity)

    def text(
        self,
        words: str,
        at: Point,
        color: Rgb,
        *,
        size: int,
        align: tuple[str, str] = ("left", "bottom"),
        bold: bool = False,
        opacity: float = 1.0,
        shadow: bool = False,
    ) -> None:
        """Words at a point.

        Args:
            words: one or more lines.
            at: the point.
            color: of the letters.
            size: in points; VTK scales it to the screen.
            align: which part of the words lies at the point: left, center or right; bottom, center
                or top.
            bold: whether they are bold.
            opacity: 0 to 1.
            shadow: whether they cast one, to be read on any picture.
        """
        actor = self._texts[self._used]
        self._used += 1
        style = actor.GetTextProperty()
        style.SetFontSize(size)
        style.SetBold(bold)
        style.SetShadow(shadow)
        style.SetColor(*color)
        style.SetOpacity(opacity)
        style.SetJustification(("left", "center", "right").index(align[0]))
        style.SetVerticalJustification(("bottom", "center", "top").index(align[1]))
        if actor.GetInput() != words:
            actor.SetInput(words)
        actor.SetPosition(round(at[0]), round(at[1]))

    def finish(self) -> None:
        """Put on the screen what was drawn since `clear`."""
        corners = np.zeros((len(self._corners), 3), dtype=np.float32)
        if self._corners:
            corners[:, :2] = self._corners
        points = vtk.vtkPoints()
        points.SetData(numpy_to_vtk(corners, deep=True))
        cells = vtk.vtkCellArray()
        ends = np.concatenate([[0], np.cumsum(self._sizes)]).astype(np.int64)
        ids = np.arange(len(corners), dtype=np.int64)
        cells.SetData(
            numpy_to_vtkIdTypeArray(ends, deep=True), numpy_to_vtkIdTypeArray(ids, deep=True)
        )
        colors = np.asarray(self._colors, dtype=np.float64).reshape(-1, 4)
        scalars = numpy_to_vtk(np.rint(255 * colors).astype(np.uint8), deep=True)
        self._polygons.SetPoints(points)
        self._polygons.SetPolys(cells)
        self._polygons.GetCellData().SetScalars(scalars)
        self._polygons.Modified()
        self._shapes.SetVisibility(bool(self._sizes))
        for number, actor in enumerate(self._texts):
            actor.SetVisibility(number < self._used)

    def text_size(self, words: str, *, size: int, bold: bool = False) -> tuple[int, int]:
        """Width and height that words take, in pixels."""
        style = self._texts[0].GetTextProperty()
        font = style.GetFontFamily(), style.GetFontFile()
        return _text_size(words, size, bold, self._renderer.GetRenderWindow().GetDPI(), font)

    def remove(self) -> None:
        """Take everything out of the renderer."""
        for prop in (self._shapes, *self._texts):
            self._renderer.RemoveViewProp(prop)


@functools.lru_cache(maxsize=256)
def _text_size(
    words: str, size: int, bold: bool, dpi: int, font: tuple[int, str | None]
) -> tuple[int, int]:
    style = vtk.vtkTextProperty()
    style.SetFontFamily(font[0])
    style.SetFontFile(font[1])
    style.SetFontSize(size)
    style.SetBold(bold)
    box = [0, 0, 0, 0]
    vtk.vtkTextRenderer.GetInstance().GetBoundingBox(style, words, box, dpi)
    return box[1] - box[0] + 1, box[3] - box[2] + 1


def _text_actor(use_font: UseFont | None) -> Any:
    actor = vtk.vtkTextActor()
    actor.SetTextScaleModeToNone()
    actor.GetPositionCoordinate().SetCoordinateSystemToDisplay()
    actor.SetPickable(False)
    style = actor.GetTextProperty()
    style.SetFontFamilyToArial()
    if use_font is not None:
        use_font(style)
    style.SetLineSpacing(1.15)
    return actor
