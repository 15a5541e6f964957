"""``qt.QUiLoader``: loads ``.ui`` files whose widgets are Slicer's.

Knows: Designer's XML.  Does not know: what the stand-ins for MRML and CTK widgets do; they are
registered by name.  PySide cannot connect signals with ``vtkMRML*`` arguments, so those connections
are taken out of the file and made again in Python.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from PySide6 import QtCore, QtUiTools

from .objects import cpp_class, loading_ui

#: class names in .ui files → stand-ins
CUSTOM_WIDGETS: dict[str, type] = {}


def _slots(signature: str) -> str:
    return signature.split("(", maxsplit=1)[0]


@cpp_class
class QUiLoader(QtUiTools.QUiLoader):
    """Qt's loader that knows the stand-ins."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        for cls in CUSTOM_WIDGETS.values():
            self.registerCustomWidget(cls)

    def load(self, device: Any, parent: Any = None) -> Any:
        """Load a widget from an open QFile; an unknown class is an error, as in Slicer."""
        root = ElementTree.fromstring(bytes(device.readAll().data()))
        self._check(root)
        taken: list[tuple[str, str, str, str]] = []
        for connections in root.iter("connections"):
            for connection in list(connections):
                signal, slot = connection.findtext("signal", ""), connection.findtext("slot", "")
                if "vtk" in signal or "vtk" in slot:
                    taken.append(
                        (
                            connection.findtext("sender", ""),
                            signal,
                            connection.findtext("receiver", ""),
                            slot,
                        )
                    )
                    connections.remove(connection)
        buffer = QtCore.QBuffer()
        buffer.setData(QtCore.QByteArray(ElementTree.tostring(root)))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        loading_ui[0] = True
        try:
            widget = super().load(buffer, parent) if parent else super().load(buffer)
        finally:
            loading_ui[0] = False
        if widget is None:
            return None
        for sender, signal, receiver, slot in taken:
            source, target = self._find(widget, sender), self._find(widget, receiver)
            source.connect(signal, getattr(target, _slots(slot)))
        return widget

    @staticmethod
    def _check(root: Any) -> None:
        for widget in root.iter("widget"):
            name = widget.get("class", "")
            if name.startswith(("ctk", "qMRML", "qSlicer")) and name not in CUSTOM_WIDGETS:
                raise RuntimeError(f"The harness has no stand-in for {name}")

    @staticmethod
    def _find(widget: Any, name: str) -> Any:
        if widget.objectName == name:
            return widget
        found = widget.findChild(QtCore.QObject, name)
        if found is None:
            raise RuntimeError(f"The .ui file connects {name}, which it does not have")
        return found
