"""``slicer.app.layoutManager()``: Slicer's real layout descriptions, laid out with Qt.

Knows: the layout logic's XML, which views exist.  Does not know: what they draw.  Tabs and the
double click that enlarges a view are not modelled.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from ..observing import observe
from ..pythonqt import cpp_class
from .base import View
from .others import qMRMLPlotWidget, qMRMLTableWidget, qMRMLThreeDWidget
from .slices import qMRMLSliceWidget

#: how a view's widget gives its node
NODES = {
    "vtkMRMLSliceNode": "mrmlSliceNode",
    "vtkMRMLViewNode": "mrmlViewNode",
    "vtkMRMLPlotViewNode": "mrmlPlotViewNode",
    "vtkMRMLTableViewNode": "mrmlTableViewNode",
}


@cpp_class
class qSlicerLayoutManager(QtCore.QObject):
    """Makes a widget for each view of the current layout and keeps it for later layouts."""

    layoutChanged = QtCore.Signal(int)

    def __init__(self, application_logic: Any, viewport: Any) -> None:
        super().__init__(viewport)
        self._application_logic = application_logic
        self._viewport = viewport
        QtWidgets.QVBoxLayout(viewport).setContentsMargins(0, 0, 0, 0)
        #: (class, tag) → widget, for every view that was ever shown
        self._widgets: dict[tuple[str, str], Any] = {}
        self._shown: list[tuple[str, str]] = []
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._frame: Any = None
        self._node: Any = None
        self._described = ""

    def _set_scene(self, scene: Any) -> None:
        """Show the views of a scene; called at the start and when a second scene comes."""
        self._clear_frame()
        for widget in self._widgets.values():
            for view in widget.findChildren(View):
                view._release()
            widget.setParent(None)
            widget.deleteLater()
        self._widgets.clear()
        self._application_logic.GetSliceLogics().RemoveAllItems()
        self._application_logic.GetViewLogics().RemoveAllItems()
        self._described = ""
        self._logic.SetMRMLScene(scene)
        self._node = self._logic.GetLayoutNode()
        observe(self._node, vtk.vtkCommand.ModifiedEvent, self._arrange)
        self._node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._arrange()

    def _clear_frame(self) -> None:
        for key in self._shown:
            self._widgets[key].setParent(None)
            self._view_node(key).SetMappedInLayout(False)
        self._shown = []
        if self._frame is not None:
            self._frame.setParent(None)
            self._frame.deleteLater()
            self._frame = None

    def _arrange(self, *_: Any) -> None:
        if self._node.GetScene() is not self._logic.GetMRMLScene():
            return
        description = self._node.GetCurrentLayoutDescription() or ""
        if description == self._described or not description:
            return
        self._described = description
        self._clear_frame()
        # a frame around the views: a layout of one view must not be that view, which is kept
        self._frame = QtWidgets.QWidget()
        framed = QtWidgets.QVBoxLayout(self._frame)
        framed.setContentsMargins(0, 0, 0, 0)
        framed.addWidget(self._build(ElementTree.fromstring(description)))
        self._viewport.layout().addWidget(self._frame)
        self.layoutChanged.emit(self._node.GetViewArrangement())

    def _build(self, element: Any) -> Any:
        if element.tag == "view":
            return self._view(element)
        children = [child for item in element.findall("item") for child in item]
        if len(children) == 1:
            return self._build(children[0])
        vertical = element.get("type") == "vertical"
        orientation = QtCore.Qt.Orientation
        splitter = QtWidgets.QSplitter(orientation.Vertical if vertical else orientation.Horizontal)
        for child in children:
            splitter.addWidget(self._build(child))
        splitter.setSizes([1000] * len(children))
        return splitter

    def _view(self, element: Any) -> Any:
        name, tag = element.get("class"), element.get("singletontag", "")
        key = (name, tag)
        if key not in self._widgets:
            node = self._node.GetScene().GetSingletonNode(tag, name)
            self._widgets[key] = self._make(name, node)
        self._shown.append(key)
        self._view_node(key).SetMappedInLayout(True)
        self._widgets[key].show()
        return self._widgets[key]

    def _view_node(self, key: tuple[str, str]) -> Any:
        return getattr(self._widgets[key], NODES[key[0]])()

    def _make(self, name: str, node: Any) -> Any:
        if name == "vtkMRMLSliceNode":
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(self._application_logic)
            self._application_logic.GetSliceLogics().AddItem(logic)
            logic.SetMRMLScene(node.GetScene())
            logic.SetSliceNode(node)
            return qMRMLSliceWidget(logic, node)
        if name == "vtkMRMLViewNode":
            view_logic = slicer.vtkMRMLViewLogic()
            view_logic.SetMRMLApplicationLogic(self._application_logic)
            view_logic.SetMRMLScene(node.GetScene())
            view_logic.AddViewNode(node.GetLayoutName())
            self._application_logic.GetViewLogics().AddItem(view_logic)
            return qMRMLThreeDWidget(node)
        if name == "vtkMRMLPlotViewNode":
            return qMRMLPlotWidget(node)
        if name == "vtkMRMLTableViewNode":
            return qMRMLTableWidget(node)
        raise RuntimeError(f"The harness has no view for {name}")

    def _all(self, name: str) -> list[Any]:
        return [self._widgets[key] for key in self._shown if key[0] == name]

    # -- what Slicer offers -------------------------------------------------------------------

    def layoutLogic(self) -> Any:
        """Return the vtkMRMLLayoutLogic."""
        return self._logic

    def setLayout(self, layout: int) -> None:
        """Change the layout."""
        self._node.SetViewArrangement(layout)

    layout = property(
        lambda self: self._node.GetViewArrangement(), lambda self, value: self.setLayout(value)
    )

    def sliceViewNames(self) -> tuple[str, ...]:
        """Return the names of all slice views that were ever made, as Slicer does."""
        return tuple(key[1] for key in self._widgets if key[0] == "vtkMRMLSliceNode")

    def sliceWidget(self, name: str) -> Any:
        """Return a slice widget by name, or None."""
        return self._widgets.get(("vtkMRMLSliceNode", name))

    def mrmlSliceLogics(self) -> Any:
        """Return the collection of slice logics."""
        return self._application_logic.GetSliceLogics()

    threeDViewCount = property(lambda self: len(self._all("vtkMRMLViewNode")))
    plotViewCount = property(lambda self: len(self._all("vtkMRMLPlotViewNode")))
    tableViewCount = property(lambda self: len(self._all("vtkMRMLTableViewNode")))

    def _nth(self, name: str, index: int) -> Any:
        widgets = self._all(name)
        return widgets[index] if 0 <= index < len(widgets) else None

    def threeDWidget(self, index: int) -> Any:
        """Return a 3D widget or None."""
        return self._nth("vtkMRMLViewNode", index)

    def plotWidget(self, index: int) -> Any:
        """Return a plot widget or None."""
        return self._nth("vtkMRMLPlotViewNode", index)

    def tableWidget(self, index: int) -> Any:
        """Return a table widget or None."""
        return self._nth("vtkMRMLTableViewNode", index)

    def resetSliceViews(self) -> None:
        """Fit every slice view to its volume."""
        logics = self.mrmlSliceLogics()
        for index in range(logics.GetNumberOfItems()):
            logics.GetItemAsObject(index).FitSliceToBackground()

    def resetThreeDViews(self) -> None:
        """Look at the middle in every 3D view."""
        for widget in self._all("vtkMRMLViewNode"):
            widget.threeDView().resetFocalPoint()

    def viewport(self) -> Any:
        """Return the widget that holds the views."""
        return self._viewport
