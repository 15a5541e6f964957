"""Scores over model slices, the line at uniform, and the slice that is shown now.

Knows MRML's plot nodes: a chart, its series, and two tables. They are made when something is first
shown, are never saved (the records hold the scores), and go with `clear`. Does not know views.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk

from med2e3 import palette
from med2e3.palette import rgb
from med2e3_slicer.strip.shown import Shown

#: columns of the tables that nobody reads; the others are called as in the legend
_SLICE, _HEIGHT = "slice", "height"
_COLORS = ("#c84e00", "#1f5d94")
#: the axis of scores reaches at least this many times uniform
_LEAST_TOP = 2.0
_ROOM_ABOVE = 1.15


class ScorePlot:
    """A chart of the scores of one exchange or of two.

    Args:
        scene: the ``vtkMRMLScene``.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._nodes: list[Any] = []
        self._marker: Any = None
        self._chart: Any = None
        self._top = _LEAST_TOP
        self._closing = scene.AddObserver(scene.StartCloseEvent, lambda *_: self.clear())

    @property
    def chart(self) -> Any:
        """The ``vtkMRMLPlotChartNode``, or ``None`` while nothing is shown."""
        return self._chart

    def show(self, *shown: Shown, current: int | None = None) -> None:
        """Show the scores of one exchange, or of two in two colours; none clears the plot.

        Args:
            shown: the exchanges.
            current: index of the model slice to mark.
        """
        self.clear()
        if not shown:
            return
        columns: dict[str, list[float]] = {}
        length = max(len(each.scores) for each in shown)
        columns[_SLICE] = [float(number) for number in range(1, length + 1)]
        names = [_("score")] if len(shown) == 1 else list("AB")[: len(shown)]
        uniform, shown_now = _("uniform"), _("slice shown")
        for name, each in zip(names, shown, strict=True):
            columns[name] = [*each.relative, *[np.nan] * (length - len(each.relative))]
        columns[uniform] = [1.0] * length
        self._top = _ROOM_ABOVE * max(_LEAST_TOP, *(max(each.relative) for each in shown))
        scores = self._table("Med2E3 scores", columns)
        self._marker = self._table("Med2E3 slice shown", _mark(None, self._top))

        self._chart = self._add("vtkMRMLPlotChartNode", "Med2E3 scores", hidden=False)
        chart = self._chart
        chart.SetTitle(_("Attention to the model's slices"))
        chart.SetXAxisTitle(_("model slice"))
        chart.SetYAxisTitle(_("score relative to uniform"))
        chart.SetXAxisRangeAuto(False)
        chart.SetXAxisRange(0.5, length + 0.5)
        chart.SetYAxisRangeAuto(False)
        chart.SetYAxisRange(0.0, self._top)
        for name, color in zip(names, _COLORS, strict=False):
            self._series(scores, name, color, solid=True, points=True)
        self._series(scores, uniform, palette.QUIET, solid=False, points=False)
        self._series(self._marker, _HEIGHT, palette.INK, solid=True, points=False, name=shown_now)
        self.mark(current)

    def mark(self, current: int | None) -> None:
        """Mark a model slice by a vertical line; ``None`` takes the mark away."""
        if self._marker is None:
            return
        _fill(self._marker, _mark(current, self._top))

    def clear(self) -> None:
        """Take all nodes of the plot out of the scene."""
        nodes, self._nodes = self._nodes, []
        self._chart = self._marker = None
        for node in reversed(nodes):
            if self._scene.IsNodePresent(node):
                self._scene.RemoveNode(node)

    def cleanup(self) -> None:
        """Clear, and stop observing the scene."""
        self.clear()
        self._scene.RemoveObserver(self._closing)

    def _add(self, class_name: str, name: str, *, hidden: bool) -> Any:
        node = self._scene.CreateNodeByClass(class_name)
        node.UnRegister(None)
        node.SetName(name)
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(hidden)
        node.SetUndoEnabled(False)
        added = self._scene.AddNode(node)
        self._nodes.append(added)
        return added

    def _table(self, name: str, columns: dict[str, list[float]]) -> Any:
        node = self._add("vtkMRMLTableNode", name, hidden=True)
        _fill(node, columns)
        return node

    def _series(
        self, table: Any, column: str, color: str, *, solid: bool, points: bool, name: str = ""
    ) -> None:
        series = self._add("vtkMRMLPlotSeriesNode", name or column, hidden=True)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(_SLICE)
        series.SetYColumnName(column)
        series.SetPlotType(series.PlotTypeScatter)
        series.SetLineStyle(series.LineStyleSolid if solid else series.LineStyleDash)
        series.SetMarkerStyle(series.MarkerStyleCircle if points else series.MarkerStyleNone)
        series.SetColor(*rgb(color))
        self._chart.AddAndObservePlotSeriesNodeID(series.GetID())


def _mark(current: int | None, top: float) -> dict[str, list[float]]:
    """The two ends of the mark: not a number for none.

    A series without points would make the plot view report an error at every frame.
    """
    place = np.nan if current is None else current + 1.0
    return {_SLICE: [place] * 2, _HEIGHT: [0.0, top]}


def _fill(table_node: Any, columns: dict[str, list[float]]) -> None:
    """Give a table node these columns and no others."""
    table = vtk.vtkTable()
    for name, values in columns.items():
        array = numpy_to_vtk(np.array(values, dtype=np.float64), deep=True)
        array.SetName(name)
        table.AddColumn(array)
    table_node.SetAndObserveTable(table)
