"""What a test does with the application: clicks, waits, screenshots, scenes.

Knows: Qt's test events and the application.  Does not know: any module.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from PySide6 import QtCore, QtTest

from .palette import palette
from .pythonqt.dialogs import DIALOGS
from .pythonqt.problems import PROBLEMS, record_uncaught

SCREENSHOTS = Path(__file__).resolve().parents[1] / "screenshots"
Qt = QtCore.Qt


class Brackets(QtCore.QTranslator):
    """Qt's translator of a language that is English in brackets."""

    def translate(self, _context: str, text: str, *_more: Any) -> str:
        """Qt's hook."""
        return f"[{text}]" if text else text


class Session:
    """The running application as tests use it."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.slicer = slicer
        self.qt = sys.modules["qt"]
        self.ctk = sys.modules["ctk"]
        self.vtk = vtk
        self.problems = PROBLEMS
        self.dialogs = DIALOGS
        self._test = ""
        self.watch: Any = None
        self._window = app._main_window

    @property
    def window(self) -> Any:
        """The main window."""
        return self._window

    @property
    def scene(self) -> Any:
        """The scene."""
        return slicer.mrmlScene

    def begin(self, test: str) -> None:
        """Prepare for a test: an empty scene, four views, nothing pending."""
        self._test = test
        record_uncaught()  # a command line that another test ran takes the hook for itself
        self.app.processEvents()
        PROBLEMS.take()
        self._empty_scene()
        # a window that a test opened may have taken the keyboard
        self._window.show()
        self._window.activateWindow()
        self.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.app.processEvents()
        PROBLEMS.take()

    def end(self) -> None:
        """Clean up after a test."""
        self.app.processEvents()
        self.show_panel(None)
        self.window._set_panel_width(None)
        DIALOGS.clear()
        self._empty_scene()
        self.app.processEvents()

    @staticmethod
    def _empty_scene() -> None:
        """Close the scene; also take away modules' parameter nodes, which Slicer keeps."""
        scene = slicer.mrmlScene
        scene.Clear(0)
        for node in slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode"):
            scene.RemoveNode(node)

    # -- time ---------------------------------------------------------------------------------

    def process(self) -> None:
        """Let everything happen that waits in the event loop."""
        self.app.processEvents()

    def wait(self, milliseconds: int) -> None:
        """Run the event loop for a time."""
        self._run_loop(lambda: False, milliseconds)

    def wait_until(self, condition: Any, seconds: float = 20.0) -> None:
        """Run the event loop until a condition holds.

        Raises:
            TimeoutError: it did not hold in time.
        """
        if not self._run_loop(condition, int(seconds * 1000)):
            raise TimeoutError(f"waited {seconds} s for {condition}")

    def _run_loop(self, condition: Any, milliseconds: int) -> bool:
        """Run Qt's own loop, as Slicer does, so that ``event_loop_watch`` sees its turns."""
        if condition():
            return True
        loop = QtCore.QEventLoop()
        held = [False]
        failures: list[BaseException] = []

        def look() -> None:
            try:
                held[0] = bool(condition())
            except BaseException as error:
                failures.append(error)
            if held[0] or failures:
                loop.quit()

        polling = QtCore.QTimer()
        polling.timeout.connect(look)
        polling.start(10)
        ending = QtCore.QTimer()
        ending.setSingleShot(True)
        ending.timeout.connect(loop.quit)
        ending.start(milliseconds)
        if self.watch is not None:
            self.watch.entered()
        loop.exec_()
        polling.stop()
        ending.stop()
        if self.watch is not None:
            self.watch.left()
        if failures:
            raise failures[0]
        return held[0]

    # -- mouse and keys -----------------------------------------------------------------------

    def click(self, widget: Any, x: int | None = None, y: int | None = None, **more: Any) -> None:
        """Click a widget, in its middle or at a place in its pixels.

        Args:
            widget: the widget; for a slice view give ``view.VTKWidget()``.
            x: pixels from the left.
            y: pixels from the top.
            more: ``button`` and ``modifier`` of Qt.

        Raises:
            ValueError: a person could not do it: there is no such widget, or it is not visible.
        """
        self._reachable(widget)
        QtTest.QTest.mouseClick(
            widget,
            more.get("button", Qt.MouseButton.LeftButton),
            more.get("modifier", Qt.KeyboardModifier.NoModifier),
            self._point(widget, x, y),
        )
        self.process()

    @staticmethod
    def _reachable(widget: Any) -> None:
        if widget is None:
            raise ValueError("there is no widget to send an event to")
        if not widget.isVisible():
            raise ValueError(f"{widget} is not visible, so a person cannot use it")

    @staticmethod
    def _point(widget: Any, x: int | None, y: int | None) -> Any:
        if x is None or y is None:
            return QtCore.QPoint(widget.size.width() // 2, widget.size.height() // 2)
        return QtCore.QPoint(int(x), int(y))

    def press(self, widget: Any, x: int, y: int) -> None:
        """Press the left button."""
        self._reachable(widget)
        QtTest.QTest.mousePress(
            widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QtCore.QPoint(x, y)
        )

    def release(self, widget: Any, x: int, y: int) -> None:
        """Release the left button."""
        self._reachable(widget)
        QtTest.QTest.mouseRelease(
            widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QtCore.QPoint(x, y)
        )
        self.process()

    def move(self, widget: Any, x: int, y: int) -> None:
        """Move the mouse to a place in a widget, by a real move event."""
        self._reachable(widget)
        qt = self.qt
        place = QtCore.QPointF(x, y)
        event = qt.QMouseEvent(
            QtCore.QEvent.Type.MouseMove,
            place,
            QtCore.QPointF(widget.mapToGlobal(place.toPoint())),
            Qt.MouseButton.NoButton,
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
        )
        self.app.sendEvent(widget, event)
        self.process()

    def wheel(self, widget: Any, steps: int, x: int | None = None, y: int | None = None) -> None:
        """Turn the wheel; positive is away from the person.

        A widget that leaves it lets it pass to its parent, which Qt sees to for real wheels only.
        """
        self._reachable(widget)
        point = QtCore.QPointF(self._point(widget, x, y))
        while widget is not None:
            event = self.qt.QWheelEvent(
                point,
                QtCore.QPointF(widget.mapToGlobal(point.toPoint())),
                QtCore.QPoint(),
                QtCore.QPoint(0, 120 * steps),
                Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            )
            event.ignore()
            if self.app.sendEvent(widget, event) and event.isAccepted():
                break
            point += QtCore.QPointF(widget.pos)
            widget = None if widget.isWindow() else widget.parentWidget()
        self.process()

    def key(self, widget: Any, key: Any, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
        """Press and release a key."""
        self._reachable(widget)
        QtTest.QTest.keyClick(widget, key, modifier)
        self.process()

    def type(self, widget: Any, text: str) -> None:
        """Type a text."""
        self._reachable(widget)
        QtTest.QTest.keyClicks(widget, text)
        self.process()

    @contextlib.contextmanager
    def pseudo_translation(self) -> Iterator[None]:
        """Show every translatable text in brackets, so that the others are seen.

        Texts of ``.ui`` files are translated by Qt, as in Slicer, when the file is loaded.
        """
        from . import i18n

        brackets = Brackets()
        i18n.pseudo[0] = True
        QtCore.QCoreApplication.installTranslator(brackets)
        try:
            yield
        finally:
            QtCore.QCoreApplication.removeTranslator(brackets)
            i18n.pseudo[0] = False

    @contextlib.contextmanager
    def style(self, dark: bool) -> Iterator[None]:
        """Show the application in Slicer's light or dark style."""
        before = self.app.palette()
        self.app.setPalette(palette(dark))
        self.process()
        try:
            yield
        finally:
            self.app.setPalette(before)
            self.process()

    # -- modules and scenes -------------------------------------------------------------------

    def load_module(self, path: Path) -> Any:
        """Load a scripted module from its file, as Slicer does at start-up."""
        from . import modules

        return modules.load(path)

    def unload_module(self, name: str) -> None:
        """Unload a module, as Slicer does when it closes: the panel's ``cleanup`` runs."""
        if self.window.moduleSelector().selectedModule == name:
            self.window.moduleSelector().selectModule("")
        self.app.moduleManager()._unload(name)
        self.process()

    @contextlib.contextmanager
    def second_scene(self) -> Iterator[Any]:
        """Put another scene in the place of the first, as Slicer's generic tests do."""
        first = slicer.mrmlScene
        second = slicer.vtkMRMLScene()
        try:
            self.app._set_scene(second)
            self.process()
            yield second
        finally:
            self.app._set_scene(first)
            self.process()

    @contextlib.contextmanager
    def no_main_window(self) -> Iterator[None]:
        """Take the main window and the layout manager away, as ``--no-main-window`` does."""
        window, manager = self.app._main_window, self.app._layout_manager
        window.objectName = "hidden from lookupTopLevelWidget"
        self.app._main_window = self.app._layout_manager = None
        try:
            yield
        finally:
            window.objectName = "qSlicerMainWindow"
            self.app._main_window, self.app._layout_manager = window, manager

    @contextlib.contextmanager
    def testing_mode(self) -> Iterator[None]:
        """Run as with ``--testing``: no message boxes, confirmations are answered with yes."""
        self.app._testing = True
        try:
            yield
        finally:
            self.app._testing = False

    # -- what is shown ------------------------------------------------------------------------

    def show_panel(self, widget: Any, title: str = "Modules", width: int | None = None) -> None:
        """Show a widget where Slicer shows the module's panel; None empties it."""
        if width is not None:
            self.window._set_panel_width(width)
        self.window._show_panel(widget, title)
        self.process()

    def screenshot(self, name: str) -> Path:
        """Save the whole window as PNG and return the file.

        The folder is MED2E3_SCREENSHOTS, or ``Testing/slicer/screenshots``.
        """
        folder = Path(os.environ.get("MED2E3_SCREENSHOTS", SCREENSHOTS))
        folder.mkdir(parents=True, exist_ok=True)
        self.wait(20)
        path = folder / f"{name}.png"
        if not self.window.grab().save(str(path)):
            raise RuntimeError(f"could not write {path}")
        return path

    def slice_view(self, name: str = "Red") -> Any:
        """Return a slice view by its name."""
        return self.app.layoutManager().sliceWidget(name).sliceView()

    def pixels(self, widget: Any) -> np.ndarray:
        """Return what a widget shows now as an array (height, width, 3) of bytes."""
        image = widget.grab().toImage().convertToFormat(self.qt.QImage.Format_RGB888)
        width, height = image.width(), image.height()
        rows = np.frombuffer(image.constBits(), np.uint8)
        return rows.reshape(height, image.bytesPerLine())[:, : 3 * width].reshape(height, width, 3)

    # -- data ---------------------------------------------------------------------------------

    def add_volume(
        self, shape: tuple[int, int, int] = (40, 64, 64), spacing: float = 2.0, name: str = "CT"
    ) -> Any:
        """Add a CT-like volume: air, a block of tissue, a brighter block inside; show it.

        Args:
            shape: voxels, KJI order.
            spacing: millimetres in plane; slices are 3 mm apart.
            name: the node's name.
        """
        depth, height, width = shape
        voxels = np.full(shape, -1000, np.int16)
        inside = np.s_[
            depth // 8 : -depth // 8, height // 6 : -height // 6, width // 6 : -width // 6
        ]
        voxels[inside] = 40
        voxels[depth // 2 :, height // 3 : height // 2, width // 3 : width * 2 // 3] = 300
        node = slicer.util.addVolumeFromArray(
            voxels, ijkToRAS=np.diag([-spacing, -spacing, 3.0, 1.0]), name=name
        )
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.AutoWindowLevelOff()
        display.SetWindowLevel(1400, -300)
        slicer.util.setSliceViewerLayers(background=node, fit=True)
        self.process()
        return node
