"""Starts the application of the harness once per process.

Knows: the environment that VTK and Qt need, and how the modules ``slicer``, ``qt``, ``ctk`` come to
be importable.  Does not know: any test.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
import types
from typing import Any

_application: Any = None


def missing() -> str:
    """Return why the harness cannot run here, or an empty text."""
    if ctypes.util.find_library("EGL") is None:
        return "libEGL is missing (Debian: libegl1 libgl1 libgl1-mesa-dri)"
    try:
        import PySide6.QtWidgets  # noqa: F401
        import slicer.util  # noqa: F401
    except ImportError as error:
        return f"the harness needs slicer-core and PySide6_Essentials: {error}"
    return ""


def start() -> Any:
    """Return the application: ``slicer.app``, with window, scene and views."""
    global _application  # noqa: PLW0603
    if _application is None:
        _application = _start()
    return _application


def _keep_constants_alive() -> None:
    """Make None, True and False immortal, which Python before 3.12 does not do itself.

    PySide6 6.12 counts on it: each of its methods that returns None takes one reference of None
    away, until Python ends with "deallocating None".
    """
    if sys.version_info < (3, 12):
        for constant in (None, True, False):
            ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 40


def _start() -> Any:
    _keep_constants_alive()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    os.environ["QT_NO_GLIB"] = "1"  # GLib's dispatcher does not say when it waits
    os.environ.setdefault("QT_LOGGING_RULES", "qt.qpa.*=false")
    import slicer
    import slicer.util

    _only_what_slicer_has(slicer)
    from . import pythonqt

    qt = pythonqt.build()
    sys.modules["qt"] = qt
    slicer.modules = types.SimpleNamespace()
    from . import python, widgets
    from .application import qSlicerApplication

    widgets.install()
    qt.qInstallMessageHandler(_qt_message)
    python.install()
    from . import modules

    application = qSlicerApplication()
    pythonqt.record_uncaught()
    slicer.app = application
    slicer.qSlicerScriptedLoadableModule = modules.qSlicerScriptedLoadableModule
    slicer.qSlicerScriptedLoadableModuleWidget = modules.qSlicerScriptedLoadableModuleWidget
    application._make_window()
    scene = slicer.vtkMRMLScene()
    application._set_scene(scene)
    application._main_window.resize(1400, 900)
    application._main_window.show()
    application.processEvents()
    return application


def _qt_message(_kind: Any, _context: Any, text: str) -> None:
    if "propagateSizeHints" not in text:
        print("Qt:", text, file=sys.stderr)


def _only_what_slicer_has(slicer: Any) -> None:
    """Take back the functions of slicer.util that slicer-core copies into ``slicer``."""
    import slicer.util

    for name in list(vars(slicer)):
        value = vars(slicer)[name]
        if name != "util" and getattr(value, "__module__", "") == "slicer.util":
            delattr(slicer, name)
