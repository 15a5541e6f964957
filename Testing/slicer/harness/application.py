"""``slicer.app``, the main window, and the scene: an application without Slicer's executable.

Knows: slicer-core's logics.  Does not know: modules (``modules.py``), files (``files.py``).
"""

from __future__ import annotations

import tempfile
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from .files import qSlicerCoreIOManager
from .modules import install_core, qSlicerModuleManager, qSlicerModuleSelectorToolBar
from .pythonqt import cpp_class
from .views.layout import qSlicerLayoutManager
from .widgets.ctk_boxes import ctkCollapsibleButton

#: module → class of its logic, real ones of slicer-core
LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Transforms": "vtkSlicerTransformLogic",
}


@cpp_class
class qSlicerMainWindow(QtWidgets.QMainWindow):
    """Panel at the left, views in the middle, status bar."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer (harness)")
        self._dock = QtWidgets.QDockWidget("Modules", self)
        self._dock.setObjectName("PanelDockWidget")
        self._scroll = QtWidgets.QScrollArea(self._dock)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._help, self._shown = self._fill_panel(), None
        self._dock.setWidget(self._scroll)
        self.addDockWidget(QtCore.Qt.DockWidgetArea.LeftDockWidgetArea, self._dock)
        viewport = QtWidgets.QWidget(self)
        viewport.setObjectName("CentralWidgetLayoutFrame")
        self.setCentralWidget(viewport)
        self.statusBar()
        self._set_panel_width(None)
        self._selector = qSlicerModuleSelectorToolBar(self)

    def moduleSelector(self) -> Any:
        """Return what chooses the module."""
        return self._selector

    def _fill_panel(self) -> Any:
        """Lay out what scrolls, as qSlicerModulePanel does: help, the module's widget, a spacer.

        The part "Help & Acknowledgement" is hidden until a test shows it.
        """
        contents = QtWidgets.QWidget()
        self._panel_layout = QtWidgets.QVBoxLayout(contents)
        self._panel_layout.setContentsMargins(0, 0, 0, 0)
        self._panel_layout.setSizeConstraint(QtWidgets.QLayout.SizeConstraint.SetMinAndMaxSize)
        policy = QtWidgets.QSizePolicy.Policy
        help_part = ctkCollapsibleButton("Help && Acknowledgement")
        help_part.setSizePolicy(policy.Ignored, policy.Fixed)
        text = QtWidgets.QLabel("<br>".join(["Help"] * 20))
        QtWidgets.QVBoxLayout(help_part).addWidget(text)
        help_part.setCollapsed(True)
        help_part.hide()
        self._panel_layout.addWidget(help_part)
        self._panel_layout.addItem(
            QtWidgets.QSpacerItem(0, 0, policy.Minimum, policy.MinimumExpanding)
        )
        self._scroll.setWidget(contents)
        return help_part

    def _show_panel(self, widget: Any, title: str) -> None:
        if self._shown is not None:
            self._panel_layout.takeAt(1)
            self._shown.setVisible(False)
            self._shown.setParent(None)
        self._shown = widget
        if widget is not None:
            policy = QtWidgets.QSizePolicy.Policy
            if widget.layout() is not None:
                widget.layout().setContentsMargins(0, 0, 0, 0)
            self._panel_layout.insertWidget(1, widget, 1)
            widget.setSizePolicy(policy.Minimum, widget.sizePolicy.verticalPolicy())
            widget.setVisible(True)
        self._dock.setWindowTitle(title)

    def _set_panel_width(self, pixels: int | None) -> None:
        """Fix the width of the panel; None gives it Slicer's usual one."""
        self._scroll.setMinimumWidth(pixels or 420)
        self._scroll.setMaximumWidth(pixels or 16777215)


@cpp_class
class qSlicerApplication(QtWidgets.QApplication):
    """The application object."""

    startupCompleted = QtCore.Signal()
    mrmlSceneChanged = QtCore.Signal(object)

    _signal_aliases = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}
    applicationVersion = "5.13.0-harness"
    majorVersion = 5
    minorVersion = 13
    revision = "harness"
    repositoryRevision = "harness"

    def __init__(self) -> None:
        super().__init__(["Slicer"])
        self.setApplicationName("Slicer")
        self.setOrganizationName("Med2E3SlicerHarness")
        self.setStyle("Fusion")
        self._temporary = tempfile.mkdtemp(prefix="slicer-harness-")
        settings = QtCore.QSettings
        settings.setDefaultFormat(settings.Format.IniFormat)
        settings.setPath(
            settings.Format.IniFormat, settings.Scope.UserScope, self._temporary + "/settings"
        )
        self._testing = False
        self._logic = slicer.vtkSlicerApplicationLogic()
        self._logic.SetTemporaryPath(self._temporary)
        self._logic.SetHomeDirectory(self._temporary)
        self._logic.SetShareDirectory(self._temporary)
        self._logic.SetSliceLogics(vtk.vtkCollection())
        self._logic.SetViewLogics(vtk.vtkCollection())
        self._remote = slicer.vtkMRMLRemoteIOLogic()
        self._remote.GetCacheManager().SetRemoteCacheDirectory(self._temporary)
        self._data_io = slicer.vtkDataIOManagerLogic()
        self._data_io.SetMRMLApplicationLogic(self._logic)
        self._data_io.SetAndObserveDataIOManager(self._remote.GetDataIOManager())
        self._module_logics = self._make_logics()
        self._scene: Any = None
        self._layout_manager: Any = None
        self._main_window: Any = None
        self._module_manager = qSlicerModuleManager()
        install_core(self._module_manager, self._module_logics)
        self._files = qSlicerCoreIOManager(self)

    def _make_logics(self) -> dict[str, Any]:
        logics: dict[str, Any] = {}
        for name, class_name in LOGICS.items():
            logic = getattr(slicer, class_name)()
            logic.SetMRMLApplicationLogic(self._logic)
            self._logic.SetModuleLogic(name, logic)
            logics[name] = logic
        self._logic.SetColorLogic(logics["Colors"])
        return logics

    def _make_window(self) -> None:
        self._main_window = qSlicerMainWindow()
        self._layout_manager = qSlicerLayoutManager(self._logic, self._main_window.centralWidget())

    def _set_scene(self, scene: Any) -> None:
        """Make ``scene`` the application's scene, as opening the application does."""
        self._scene = scene
        slicer.mrmlScene = scene
        self._logic.SetMRMLScene(scene)
        self._remote.SetMRMLScene(scene)
        self._remote.AddDataIOToScene()
        for logic in self._module_logics.values():
            logic.SetMRMLScene(scene)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        if scene.GetFirstNodeByClass("vtkMRMLCrosshairNode") is None:
            crosshair = slicer.vtkMRMLCrosshairNode()
            crosshair.SetCrosshairName("default")
            scene.AddNode(crosshair)
        if self._layout_manager is not None:
            self._layout_manager._set_scene(scene)
        self.mrmlSceneChanged.emit(scene)

    # -- what Slicer offers -------------------------------------------------------------------

    def mrmlScene(self) -> Any:
        """Return the scene."""
        return self._scene

    def applicationLogic(self) -> Any:
        """Return the vtkSlicerApplicationLogic."""
        return self._logic

    def layoutManager(self) -> Any:
        """Return the layout manager, or None without a main window."""
        return self._layout_manager

    def moduleManager(self) -> Any:
        """Return the module manager."""
        return self._module_manager

    def coreIOManager(self) -> Any:
        """Return what loads and saves."""
        return self._files

    def ioManager(self) -> Any:
        """Return what loads and saves."""
        return self._files

    def mainWindow(self) -> Any:
        """Return the main window or None."""
        return self._main_window

    def testingEnabled(self) -> bool:
        """Tell whether Slicer runs with ``--testing``."""
        return self._testing

    def settings(self) -> Any:
        """Return the settings."""
        return QtCore.QSettings()

    def userSettings(self) -> Any:
        """Return the user's settings."""
        return QtCore.QSettings()

    def revisionUserSettings(self) -> Any:
        """Return the settings of this revision."""
        return QtCore.QSettings()

    temporaryPath = property(lambda self: self._temporary)
    slicerHome = property(lambda self: self._temporary)
    arch = property(lambda self: "linux-amd64")
    os = property(lambda self: "linux")

    def pauseRender(self) -> None:
        """Do nothing: the harness draws when a widget paints."""

    def resumeRender(self) -> None:
        """Do nothing: the harness draws when a widget paints."""

    def setRenderPaused(self, paused: bool) -> None:
        """Do nothing: the harness draws when a widget paints."""
