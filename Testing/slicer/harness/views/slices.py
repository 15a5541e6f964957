"""The slice view and the widget around it, on the real slice logic and displayable managers.

Knows: what ``qMRMLSliceWidget`` offers to Python.  Does not know: layouts.  The controller bar has
a slider and a label only.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from ..observing import observe
from ..pythonqt import cpp_class
from .base import View

MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLLinearTransformsDisplayableManager",
)


@cpp_class
class qMRMLSliceView(View):
    """One slice, drawn by VTK."""

    def __init__(self, logic: Any, node: Any, parent: Any = None) -> None:
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        super().__init__(factory, MANAGERS, parent)
        self._logic = logic
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.VisibilityOff()
        self._renderer.SetLayer(1)
        self._under = vtk.vtkRenderer()
        self._under.SetLayer(0)
        self._under.AddViewProp(self._actor)
        self.renderWindow().AddRenderer(self._under)
        self._group.SetMRMLDisplayableNode(node)
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetSliceLogic(logic)
        self._style.SetDisplayableManagers(self._group)
        self._style.SetInteractor(self.interactor())
        self._canvas._resized = logic.ResizeSliceNode
        observe(logic, vtk.vtkCommand.ModifiedEvent, self._connect_image)
        self._node = node
        observe(node, vtk.vtkCommand.ModifiedEvent, self._modified)
        self._connect_image()

    def _connect_image(self, *_: Any) -> None:
        connection = self._logic.GetImageDataConnection()
        self._actor.SetVisibility(connection is not None)
        if connection is not None:
            self._mapper.SetInputConnection(connection)
        self.scheduleRender()

    def mrmlSliceNode(self) -> Any:
        """Return the slice node."""
        return self._node

    def convertDeviceToXYZ(self, xy: Any) -> tuple[float, float, float]:
        """Return the view's XYZ of a device position."""
        return (float(xy[0]), float(xy[1]), 0.0)


@cpp_class
class qMRMLSliceControllerWidget(QtWidgets.QWidget):
    """The bar above a slice view: its letter and a slider."""

    def __init__(self, logic: Any, node: Any, parent: Any = None) -> None:
        super().__init__(parent)
        self._logic, self._node = logic, node
        self._bar = QtWidgets.QWidget(self)
        bar = QtWidgets.QHBoxLayout(self._bar)
        bar.setContentsMargins(0, 0, 0, 0)
        self._label = QtWidgets.QLabel(self)
        self._label.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        bar.addWidget(self._label)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setObjectName("SliceOffsetSlider")
        bar.addWidget(self._slider)
        self._value = QtWidgets.QLabel(self)
        bar.addWidget(self._value)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._bar)
        self._slider.valueChanged.connect(self._moved)
        observe(node, vtk.vtkCommand.ModifiedEvent, self._follow)
        observe(logic, vtk.vtkCommand.ModifiedEvent, self._follow)
        self._follow()

    def _moved(self, value: int) -> None:
        self._logic.StartSliceOffsetInteraction()
        self._logic.SetSliceOffset(value / 100)
        self._logic.EndSliceOffsetInteraction()

    def _follow(self, *_: Any) -> None:
        bounds = [0.0] * 6
        self._logic.GetLowestVolumeSliceBounds(bounds)
        offset = self._logic.GetSliceOffset()
        self._slider.blockSignals(True)
        if bounds[4] <= bounds[5]:
            self._slider.setRange(int(bounds[4] * 100), int(bounds[5] * 100))
        self._slider.setValue(int(offset * 100))
        self._slider.blockSignals(False)
        self._value.setText(f"{offset:.1f}mm")
        self._label.setText(self._node.GetLayoutLabel() or "")
        red, green, blue = (int(255 * each) for each in self._node.GetLayoutColor())
        self._label.setStyleSheet(
            f"background-color: rgb({red},{green},{blue}); color: black; padding: 1px 5px"
        )

    def barLayout(self) -> Any:
        """Return the layout of the bar."""
        return self._bar.layout()

    def barWidget(self) -> Any:
        """Return the bar."""
        return self._bar

    def sliceOffsetSlider(self) -> Any:
        """Return the slider; the offset in hundredths of a millimetre."""
        return self._slider


@cpp_class
class qMRMLSliceWidget(QtWidgets.QWidget):
    """A slice view with its bar, nested as in Slicer: QVBox[controller, QHBox[frame(view)]]."""

    def __init__(self, logic: Any, node: Any, parent: Any = None) -> None:
        super().__init__(parent)
        self.setObjectName("qMRMLSliceWidget" + node.GetLayoutName())
        self._logic, self._node = logic, node
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._controller = qMRMLSliceControllerWidget(logic, node, self)
        layout.addWidget(self._controller)
        inner = QtWidgets.QHBoxLayout()
        inner.setObjectName("horizontalLayout")
        inner.setSpacing(0)
        layout.addLayout(inner, 1)
        frame = QtWidgets.QFrame(self)
        framed = QtWidgets.QVBoxLayout(frame)
        framed.setContentsMargins(0, 0, 0, 0)
        self._view = qMRMLSliceView(logic, node, frame)
        framed.addWidget(self._view)
        inner.addWidget(frame)

    def sliceLogic(self) -> Any:
        """Return the vtkMRMLSliceLogic."""
        return self._logic

    def mrmlSliceNode(self) -> Any:
        """Return the slice node."""
        return self._node

    def mrmlSliceCompositeNode(self) -> Any:
        """Return the composite node."""
        return self._logic.GetSliceCompositeNode()

    def sliceView(self) -> Any:
        """Return the view."""
        return self._view

    def sliceController(self) -> Any:
        """Return the bar."""
        return self._controller

    def interactorStyle(self) -> Any:
        """Return the style."""
        return self._view.interactorStyle()

    def fitSliceToBackground(self) -> None:
        """Show the whole volume."""
        self._logic.FitSliceToBackground()
