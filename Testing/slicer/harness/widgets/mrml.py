"""``qMRMLWidget``, ``qMRMLTextWidget`` and ``qMRMLSegmentEditorWidget``.

Knows: the scene, text nodes and the editor's node.  Does not know: selectors (``selectors.py``).
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from ..observing import observe
from ..pythonqt import cpp_class

SCENE_SIGNAL = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}


@cpp_class
class qMRMLWidget(QtWidgets.QWidget):
    """A widget that hands its scene on."""

    mrmlSceneChanged = QtCore.Signal(object)
    _signal_aliases = SCENE_SIGNAL

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


@cpp_class
class qMRMLTextWidget(qMRMLWidget):
    """An editor of a text node; written back at once when ``autoSave`` is set."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._edit = QtWidgets.QTextEdit(self)
        layout.addWidget(self._edit)
        self._node: Any = None
        self._tag = 0
        self._auto = False
        self._edit.textChanged.connect(self._edited)

    def textEditWidget(self) -> Any:
        return self._edit

    def mrmlTextNode(self) -> Any:
        return self._node

    def setMRMLTextNode(self, node: Any) -> None:
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = node
        if node is not None:
            self._tag = observe(node, vtk.vtkCommand.ModifiedEvent, self._follow)
        self._follow()

    def _follow(self, *_: Any) -> None:
        text = self._node.GetText() or "" if self._node is not None else ""
        if text != self._edit.toPlainText():
            self._edit.blockSignals(True)
            self._edit.setPlainText(text)
            self._edit.blockSignals(False)

    def _edited(self) -> None:
        if self._auto:
            self.saveEdits()

    def saveEdits(self) -> None:
        if self._node is not None:
            self._node.SetText(self._edit.toPlainText(), slicer.vtkMRMLTextNode().GetEncoding())

    def _set_auto(self, value: bool) -> None:
        self._auto = value

    def _set_read_only(self, value: bool) -> None:
        self._edit.setReadOnly(value)

    autoSave = QtCore.Property(bool, lambda self: self._auto, _set_auto)
    readOnly = QtCore.Property(bool, lambda self: self._edit.isReadOnly(), _set_read_only)


@cpp_class
class qMRMLSegmentEditorWidget(qMRMLWidget):
    """An editor of segments: it follows its node; its effects do nothing."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._node: Any = None

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self._node = node

    def activeEffect(self) -> Any:
        name = self._node.GetActiveEffectName() if self._node is not None else ""
        return QtCore.QObject(self) if name else None
