"""Calls that PythonQt refuses and PySide6 accepts.

Knows: constructors of Qt's classes, ``exec``.  Does not know: keyword arguments of methods, which
cannot be watched at run time (the lint looks for them).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6 import QtCore, QtGui, QtNetwork, QtWidgets

_BYTES = (bytes, bytearray, memoryview, np.ndarray, QtCore.QByteArray)


def refuse_keywords(qt_classes: set[type]) -> None:
    """Make the constructors of ``qt_classes`` refuse keyword arguments.

    A Python subclass with an ``__init__`` of its own takes what that takes.
    """
    meta: Any = type(QtCore.QObject)

    def construct(cls: type, *arguments: Any, **keywords: Any) -> Any:
        if keywords:
            owner = next(each for each in cls.__mro__ if "__init__" in each.__dict__)
            if owner in qt_classes:
                raise TypeError(
                    f"PythonQt takes no keyword arguments: {cls.__name__}({', '.join(keywords)}=)"
                )
        return type.__call__(cls, *arguments, **keywords)

    meta.__call__ = construct


def refuse_image_of_bytes() -> None:
    """Make ``QImage(bytes, width, height, ...)`` fail; in Slicer it fails or returns garbage."""
    original = QtGui.QImage.__init__

    def init(self: Any, *arguments: Any) -> None:
        if arguments and isinstance(arguments[0], _BYTES):
            raise TypeError(
                "QImage from bytes does not work in PythonQt; use QPixmap.loadFromData or "
                "QImage.fromData with a PPM or PNG"
            )
        original(self, *arguments)

    QtGui.QImage.__init__ = init  # type: ignore[method-assign]


def _no_exec(self: Any, *arguments: Any) -> Any:
    raise AttributeError("exec is not in Slicer 5's PythonQt for every class; use exec_")


def offer_exec() -> None:
    """Offer ``exec_`` and refuse ``exec``, which older PythonQt does not have."""
    for cls in (
        QtWidgets.QMenu,
        QtWidgets.QApplication,
        QtCore.QCoreApplication,
        QtGui.QGuiApplication,
        QtCore.QEventLoop,
        QtCore.QThread,
        QtGui.QDrag,
    ):
        target: Any = cls
        target.exec_ = target.exec
        target.exec = _no_exec


_LISTS: dict[Any, tuple[str, ...]] = {
    QtCore.QObject: ("children", "findChildren"),
    QtCore.QProcess: ("arguments",),
    QtCore.QProcessEnvironment: ("keys", "toStringList"),
    QtCore.QSettings: ("allKeys", "childKeys", "childGroups"),
    QtCore.QDir: ("entryList", "entryInfoList"),
    QtCore.QItemSelectionModel: ("selectedRows", "selectedColumns", "selectedIndexes"),
    QtWidgets.QSplitter: ("sizes",),
    QtWidgets.QWidget: ("actions",),
    QtWidgets.QListWidget: ("selectedItems", "findItems"),
    QtWidgets.QTableWidget: ("selectedItems", "selectedRanges", "findItems"),
    QtWidgets.QTreeWidget: ("selectedItems", "findItems"),
    QtWidgets.QFileDialog: ("selectedFiles",),
    QtWidgets.QApplication: ("topLevelWidgets", "allWidgets"),
    QtNetwork.QNetworkReply: ("rawHeaderList",),
}


def return_tuples() -> None:
    """Return tuples where Qt has lists, as PythonQt does: they cannot be appended to."""
    for cls, names in _LISTS.items():
        for name in names:
            found = cls.__dict__[name]
            if isinstance(found, staticmethod):
                setattr(cls, name, staticmethod(_tupled(found.__func__)))
            else:
                setattr(cls, name, _tupled(found))


def _tupled(method: Any) -> Any:
    def call(*arguments: Any) -> Any:
        return tuple(method(*arguments))

    return call
