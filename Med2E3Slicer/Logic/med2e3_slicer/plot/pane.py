"""Slicer's plot view, opened beside the person's views and closed again.

Knows the layout node and the module Plots, which says which layout is like another with a plot
view in it. Does not know what a chart shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import vtk


class PlotPane:
    """Shows a chart in Slicer's own plot view.

    Args:
        scene: the ``vtkMRMLScene``.
        closed: called when the person chose a layout without a plot view.
    """

    def __init__(self, scene: Any, closed: Callable[[], None] = lambda: None) -> None:
        self._scene = scene
        self._closed = closed
        self._open = False
        self._node: Any = None
        self._tag = 0

    @property
    def is_open(self) -> bool:
        """Whether the chart is to be seen."""
        return self._open

    def open(self, chart: Any) -> int | None:
        """Show a chart; the other views stay.

        Args:
            chart: a ``vtkMRMLPlotChartNode``, or ``None`` for an empty view until one comes.

        Returns:
            The layout to go back to; ``None`` where the layout has a plot view already.
        """
        node = self._scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        if node is None:
            return None
        before = node.GetViewArrangement()
        self._open = True
        self._put(chart)
        self._observe(node)
        return None if node.GetViewArrangement() == before else before

    def follow(self, chart: Any) -> None:
        """Show another chart in place of the one before, if the view is open."""
        if self._open and chart is not None:
            self._put(chart)

    def close(self, before: int | None) -> None:
        """Go back to an earlier layout, unless the person has chosen another one meanwhile.

        Args:
            before: what :meth:`open` returned.
        """
        node = self._node
        self._stop()
        if not self._open:
            return
        self._open = False
        if node is not None and before is not None and _with_plot(before) == _arrangement(node):
            node.SetViewArrangement(before)

    def _put(self, chart: Any) -> None:
        _plots().ShowChartInLayout(chart)

    def _observe(self, node: Any) -> None:
        self._stop()
        self._node = node
        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._layout_modified)

    def _stop(self) -> None:
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
            self._node = None

    def _layout_modified(self, node: Any, _event: str) -> None:
        if self._open and _with_plot(_arrangement(node)) != _arrangement(node):
            self._open = False
            self._stop()
            self._closed()


def _arrangement(node: Any) -> int:
    return int(node.GetViewArrangement())


def _with_plot(layout: int) -> int:
    return int(_plots().GetLayoutWithPlot(layout))


def _plots() -> Any:
    return slicer.modules.plots.logic()
