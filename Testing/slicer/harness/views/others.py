"""The 3D view, the plot view and the table view.

Knows: their nodes.  Does not know: layouts.  The plot is drawn by a VTK chart of the chart node's
series, without Slicer's interaction; the table shows the table's text, read only.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtWidgets

from ..observing import observe
from ..pythonqt import cpp_class
from .base import View
from .canvas import Canvas

MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
)


@cpp_class
class qMRMLThreeDView(View):
    """The 3D scene."""

    def __init__(self, node: Any, parent: Any = None) -> None:
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        super().__init__(factory, MANAGERS, parent)
        self._node = node
        self._group.SetMRMLDisplayableNode(node)
        self._style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self._style.SetDisplayableManagers(self._group)
        self._style.SetInteractor(self.interactor())
        observe(node, vtk.vtkCommand.ModifiedEvent, self._modified)

    def mrmlViewNode(self) -> Any:
        """Return the view node."""
        return self._node

    def resetFocalPoint(self) -> None:
        """Look at the middle of what is there."""
        self._renderer.ResetCamera()
        self.scheduleRender()


@cpp_class
class qMRMLThreeDWidget(QtWidgets.QWidget):
    """The 3D view in its frame."""

    def __init__(self, node: Any, parent: Any = None) -> None:
        super().__init__(parent)
        self.setObjectName("ThreeDWidget" + node.GetLayoutName())
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._view = qMRMLThreeDView(node, self)
        layout.addWidget(self._view)

    def threeDView(self) -> Any:
        """Return the view."""
        return self._view

    def mrmlViewNode(self) -> Any:
        """Return the view node."""
        return self._view.mrmlViewNode()


@cpp_class
class qMRMLPlotView(QtWidgets.QWidget):
    """A chart of the plot view node's chart node."""

    def __init__(self, node: Any, parent: Any = None) -> None:
        super().__init__(parent)
        self._node = node
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._canvas = Canvas(self)
        layout.addWidget(self._canvas)
        self._context = vtk.vtkContextView()
        self._context.SetRenderWindow(self._canvas.renderWindow())
        self._chart = vtk.vtkChartXY()
        self._context.GetScene().AddItem(self._chart)
        self._context.GetRenderer().SetBackground(1, 1, 1)
        self._observed: list[tuple[Any, int]] = []
        self._follow()

    def mrmlPlotViewNode(self) -> Any:
        """Return the view node."""
        return self._node

    def _follow(self, *_: Any) -> None:
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []
        self._observe(self._node)
        self._chart.ClearPlots()
        scene = self._node.GetScene()
        chart = scene.GetNodeByID(self._node.GetPlotChartNodeID() or "") if scene else None
        if chart is not None:
            self._observe(chart)
            self._chart.SetTitle(chart.GetTitle() if chart.GetTitleVisibility() else "")
            self._chart.GetAxis(1).SetTitle(chart.GetXAxisTitle() or "")
            self._chart.GetAxis(0).SetTitle(chart.GetYAxisTitle() or "")
            self._chart.SetShowLegend(bool(chart.GetLegendVisibility()))
            for index in range(chart.GetNumberOfPlotSeriesNodes()):
                self._add(chart.GetNthPlotSeriesNode(index))
        self._canvas.stale()

    def _observe(self, node: Any) -> None:
        self._observed.append((node, observe(node, vtk.vtkCommand.ModifiedEvent, self._follow)))

    def _add(self, series: Any) -> None:
        if series is None or series.GetTableNode() is None:
            return
        self._observe(series)
        self._observe(series.GetTableNode())
        table = series.GetTableNode().GetTable()
        columns = [table.GetColumnName(each) for each in range(table.GetNumberOfColumns())]
        x, y = series.GetXColumnName(), series.GetYColumnName()
        if y not in columns or (x and x not in columns):
            return
        bars = series.GetPlotType() == series.PlotTypeBar
        plot = self._chart.AddPlot(vtk.vtkChart.BAR if bars else vtk.vtkChart.LINE)
        plot.SetInputData(table, columns.index(x) if x else 0, columns.index(y))
        if not x:
            plot.SetUseIndexForXSeries(True)
        plot.SetColorF(*series.GetColor())
        plot.SetLabel(series.GetName())


@cpp_class
class qMRMLPlotWidget(QtWidgets.QWidget):
    """The plot view in its frame."""

    def __init__(self, node: Any, parent: Any = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._view = qMRMLPlotView(node, self)
        layout.addWidget(self._view)

    def plotView(self) -> Any:
        """Return the view."""
        return self._view

    def mrmlPlotViewNode(self) -> Any:
        """Return the view node."""
        return self._view.mrmlPlotViewNode()


@cpp_class
class qMRMLTableWidget(QtWidgets.QWidget):
    """The table of the table view node."""

    def __init__(self, node: Any, parent: Any = None) -> None:
        super().__init__(parent)
        self._node = node
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._view = QtWidgets.QTableWidget(self)
        layout.addWidget(self._view)
        observe(node, vtk.vtkCommand.ModifiedEvent, self._follow)
        self._follow()

    def _follow(self, *_: Any) -> None:
        table_node = self._node.GetTableNode()
        table = table_node.GetTable() if table_node is not None else vtk.vtkTable()
        self._view.setRowCount(table.GetNumberOfRows())
        self._view.setColumnCount(table.GetNumberOfColumns())
        for column in range(table.GetNumberOfColumns()):
            name = QtWidgets.QTableWidgetItem(table.GetColumnName(column))
            self._view.setHorizontalHeaderItem(column, name)
            for row in range(table.GetNumberOfRows()):
                text = table.GetValue(row, column).ToString()
                self._view.setItem(row, column, QtWidgets.QTableWidgetItem(text))

    def tableView(self) -> Any:
        """Return the view."""
        return self._view

    def mrmlTableViewNode(self) -> Any:
        """Return the view node."""
        return self._node
