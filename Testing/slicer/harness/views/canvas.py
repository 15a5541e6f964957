"""A Qt widget that shows what VTK draws offscreen, and gives VTK its mouse and keys.

Knows: Qt events, VTK interactors.  Does not know: what is drawn.  It stands in for the widget that
``VTKWidget()`` returns in Slicer; unlike that one it has no OpenGL context of Qt's.
"""

from __future__ import annotations

import time
from typing import Any

import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from vtk.util.numpy_support import vtk_to_numpy

Qt = QtCore.Qt
_BUTTONS = {
    Qt.MouseButton.LeftButton: "LeftButton",
    Qt.MouseButton.RightButton: "RightButton",
    Qt.MouseButton.MiddleButton: "MiddleButton",
}
_KEYS = {
    Qt.Key.Key_Left: "Left",
    Qt.Key.Key_Right: "Right",
    Qt.Key.Key_Up: "Up",
    Qt.Key.Key_Down: "Down",
    Qt.Key.Key_Escape: "Escape",
    Qt.Key.Key_Return: "Return",
    Qt.Key.Key_Delete: "Delete",
    Qt.Key.Key_Space: "space",
    Qt.Key.Key_Home: "Home",
    Qt.Key.Key_End: "End",
    Qt.Key.Key_PageUp: "Prior",
    Qt.Key.Key_PageDown: "Next",
}


class Canvas(QtWidgets.QWidget):
    """The surface of one view."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.SetNumberOfLayers(3)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._interactor.Initialize()
        self._picture = QtGui.QImage()
        self._drawn = 0, 0
        self._stale = True
        #: seconds of the last render, for measurements
        self._seconds = 0.0
        self._frames = 0
        self._resized: Any = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def renderWindow(self) -> Any:
        """Return the vtkRenderWindow."""
        return self._window

    def interactor(self) -> Any:
        """Return the vtkRenderWindowInteractor."""
        return self._interactor

    def stale(self) -> None:
        """Draw again at the next paint; many calls, one frame."""
        self._stale = True
        self.update()

    def draw(self) -> None:
        """Draw now and keep the picture."""
        width, height = self._pixels()
        self._window.SetDPI(round(72 * self.devicePixelRatioF()))
        self._window.SetSize(width, height)
        self._interactor.SetSize(width, height)
        began = time.perf_counter()
        self._window.Render()
        self._seconds = time.perf_counter() - began
        self._frames += 1
        pixels = vtk.vtkUnsignedCharArray()
        self._window.GetPixelData(0, 0, width - 1, height - 1, 0, pixels, 0)
        rgb = vtk_to_numpy(pixels).reshape(height, width, 3)[::-1].copy()
        header = b"P6\n%d %d\n255\n" % (width, height)
        self._picture = QtGui.QImage.fromData(header + rgb.tobytes(), "PPM")
        self._picture.setDevicePixelRatio(self.devicePixelRatioF())
        self._drawn = width, height
        self._stale = False

    def _pixels(self) -> tuple[int, int]:
        """Width and height in the screen's own pixels, of which a fine screen has more."""
        ratio = self.devicePixelRatioF()
        return max(round(self.size.width() * ratio), 1), max(round(self.size.height() * ratio), 1)

    def sizeHint(self) -> Any:
        return QtCore.QSize(300, 300)

    def paintEvent(self, event: Any) -> None:
        if self._stale or self._drawn != self._pixels():
            self.draw()
        painter = QtGui.QPainter(self)
        painter.drawImage(0, 0, self._picture)
        painter.end()

    def resizeEvent(self, event: Any) -> None:
        if self._resized is not None:
            self._resized(*self._pixels())
        self.stale()

    # -- events -------------------------------------------------------------------------------

    def _place(self, event: Any, repeat: int = 0) -> None:
        modifiers = event.modifiers()
        point = event.position() * self.devicePixelRatioF()
        self._interactor.SetSize(*self._pixels())
        self._interactor.SetEventInformationFlipY(
            int(point.x()),
            int(point.y()),
            int(bool(modifiers & Qt.KeyboardModifier.ControlModifier)),
            int(bool(modifiers & Qt.KeyboardModifier.ShiftModifier)),
            chr(0),
            repeat,
        )
        self._interactor.SetAltKey(int(bool(modifiers & Qt.KeyboardModifier.AltModifier)))

    def _button(self, event: Any, what: str, repeat: int = 0) -> None:
        name = _BUTTONS.get(event.button())
        if name:
            self._place(event, repeat)
            self._interactor.InvokeEvent(name + what)

    def mousePressEvent(self, event: Any) -> None:
        self._button(event, "PressEvent")

    def mouseReleaseEvent(self, event: Any) -> None:
        self._button(event, "ReleaseEvent")

    def mouseDoubleClickEvent(self, event: Any) -> None:
        self._button(event, "PressEvent", 1)
        self._button(event, "DoubleClickEvent", 1)

    def mouseMoveEvent(self, event: Any) -> None:
        self._place(event)
        self._interactor.InvokeEvent("MouseMoveEvent")

    def enterEvent(self, event: Any) -> None:
        self._interactor.InvokeEvent("EnterEvent")

    def leaveEvent(self, event: Any) -> None:
        self._interactor.InvokeEvent("LeaveEvent")

    def wheelEvent(self, event: Any) -> None:
        self._place(event)
        forward = event.angleDelta().y() > 0
        self._interactor.InvokeEvent(
            "MouseWheelForwardEvent" if forward else "MouseWheelBackwardEvent"
        )

    def _key(self, event: Any, what: str) -> None:
        text = event.text()
        symbol = _KEYS.get(Qt.Key(event.key()), text)
        modifiers = event.modifiers()
        self._interactor.SetKeyEventInformation(
            int(bool(modifiers & Qt.KeyboardModifier.ControlModifier)),
            int(bool(modifiers & Qt.KeyboardModifier.ShiftModifier)),
            text[0] if text and ord(text[0]) < 128 else chr(0),
            0,
            symbol,
        )
        self._interactor.InvokeEvent(what)

    def keyPressEvent(self, event: Any) -> None:
        self._key(event, "KeyPressEvent")
        self._interactor.InvokeEvent("CharEvent")

    def keyReleaseEvent(self, event: Any) -> None:
        self._key(event, "KeyReleaseEvent")

    def release(self) -> None:
        """Free what VTK holds; the canvas draws no more."""
        self._window.Finalize()
