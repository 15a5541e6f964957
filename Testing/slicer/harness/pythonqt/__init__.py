"""A ``qt`` module over PySide6 that refuses what PythonQt refuses.

``build()`` patches PySide6's classes once per process and returns the module.
"""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtCore, QtGui, QtNetwork, QtPrintSupport, QtUiTools, QtWidgets

from . import calls, dialogs, objects, qt6_only, signals
from .loader import CUSTOM_WIDGETS, QUiLoader
from .objects import cpp_class
from .problems import PROBLEMS, record_uncaught

__all__ = ["CUSTOM_WIDGETS", "PROBLEMS", "build", "cpp_class", "record_uncaught"]

#: of the same Qt libraries as Slicer: no SVG, no XML
MODULES = (QtCore, QtGui, QtWidgets, QtNetwork, QtPrintSupport, QtUiTools)
#: PySide's own means that PythonQt does not have, or that its users were burnt by
ABSENT = {"Signal", "Slot", "Property", "SIGNAL", "SLOT", "QEnum", "QFlag", "ClassInfo"}


def build() -> Any:
    """Return the module ``qt``."""
    module = types.ModuleType("qt")
    classes: set[type] = set()
    for source in MODULES:
        for name in dir(source):
            if name.startswith("_") or name in ABSENT or name in qt6_only.CLASSES:
                continue
            value = getattr(source, name)
            setattr(module, name, value)
            if isinstance(value, type):
                classes.add(value)
    qobjects = [cls for cls in classes if issubclass(cls, QtCore.QObject)]
    for cls in sorted(qobjects, key=lambda each: len(each.__mro__)):
        objects.patch_class(cls)
        signals.patch_class(cls)
    objects.patch_qobject()
    objects.patch_truth()
    calls.refuse_keywords(classes)
    calls.refuse_image_of_bytes()
    calls.offer_exec()
    calls.return_tuples()
    dialogs.patch()
    module.QUiLoader = QUiLoader  # type: ignore[attr-defined]
    return module
