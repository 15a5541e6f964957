"""``qMRMLNodeComboBox``: chooses a node of the scene.

Knows: node types, hidden nodes, names.  Does not know: the menu entries that create, rename, edit
or delete a node; their properties are kept and have no effect.
"""

from __future__ import annotations

from typing import Any

import vtk
from PySide6 import QtCore, QtWidgets

from ..observing import observe
from ..pythonqt import cpp_class
from .mrml import qMRMLWidget

_EVENTS = (
    "NodeAddedEvent",
    "NodeRemovedEvent",
    "EndCloseEvent",
    "EndImportEvent",
    "EndBatchProcessEvent",
)


def _kept(name: str, kind: Any, default: Any, then: str = "") -> Any:
    """Return a property that is kept and may call a method when it changes."""
    slot = f"_{name}_value"

    def write(self: Any, value: Any) -> None:
        setattr(self, slot, value)
        if then:
            getattr(self, then)()

    return QtCore.Property(kind, lambda self: getattr(self, slot, default), write)


@cpp_class
class qMRMLNodeComboBox(qMRMLWidget):
    """A combo box of nodes."""

    currentNodeChanged = QtCore.Signal(object)
    currentNodeChangedToAny = QtCore.Signal(bool)
    currentNodeIDChanged = QtCore.Signal(str)
    nodeAddedByUser = QtCore.Signal(object)
    nodeActivated = QtCore.Signal(object)

    _signal_aliases = {
        **qMRMLWidget._signal_aliases,
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged(PyObject)",
        "currentNodeChanged(bool)": "currentNodeChangedToAny(bool)",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser(PyObject)",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated(PyObject)",
    }

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._box = QtWidgets.QComboBox(self)
        layout.addWidget(self._box)
        policy = QtWidgets.QSizePolicy.Policy
        self._box.setMinimumContentsLength(8)
        self._box.setSizeAdjustPolicy(
            QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.setSizePolicy(policy.Expanding, policy.Fixed)
        self._nodes: list[Any] = []
        self._current: Any = None
        self._observed: list[tuple[Any, int]] = []
        self._attributes: dict[str, tuple[str, str | None]] = {}
        self._filling = False
        self._box.currentIndexChanged.connect(self._chosen)

    nodeTypes = _kept("nodeTypes", "QStringList", [], "_fill")
    showChildNodeTypes = _kept("showChildNodeTypes", bool, True, "_fill")
    showHidden = _kept("showHidden", bool, False, "_fill")
    noneEnabled = _kept("noneEnabled", bool, False, "_fill")
    noneDisplay = _kept("noneDisplay", str, "None", "_fill")
    addEnabled = _kept("addEnabled", bool, True)
    removeEnabled = _kept("removeEnabled", bool, True)
    renameEnabled = _kept("renameEnabled", bool, False)
    editEnabled = _kept("editEnabled", bool, False)
    selectNodeUponCreation = _kept("selectNodeUponCreation", bool, True)
    baseName = _kept("baseName", str, "")
    interactionNodeSingletonTag = _kept("interactionNodeSingletonTag", str, "")

    def addAttribute(self, node_type: str, name: str, value: Any = None) -> None:
        self._attributes[node_type] = (name, value)
        self._fill()

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []
        if scene is not None:
            for event in _EVENTS:
                number = getattr(scene, event)
                react = self._scene_imported if event == "EndImportEvent" else self._scene_changed
                self._observed.append((scene, observe(scene, number, react)))
        super().setMRMLScene(scene)
        self._fill()

    def _scene_changed(self, scene: Any, _event: Any) -> None:
        if not scene.IsBatchProcessing():
            self._fill()

    def _scene_imported(self, *_: Any) -> None:
        """Slicer takes all rows out and puts them in anew: the choice is lost, and told so."""
        if self.noneEnabled:
            self._select(None)
        self._fill()

    def _wanted(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        for node_type in self.nodeTypes:
            fits = (
                node.IsA(node_type) if self.showChildNodeTypes else node.GetClassName() == node_type
            )
            if not fits:
                continue
            name, value = self._attributes.get(node_type, ("", None))
            if not name:
                return True
            found = node.GetAttribute(name)
            return found is not None and (value is None or found == str(value))
        return False

    def _fill(self) -> None:
        nodes: list[Any] = []
        if self._scene is not None:
            collection = self._scene.GetNodes()
            nodes = [
                collection.GetItemAsObject(each) for each in range(collection.GetNumberOfItems())
            ]
            nodes = [node for node in nodes if self._wanted(node)]
        for node in nodes:
            if all(node is not observed for observed, _ in self._observed):
                self._observed.append(
                    (node, observe(node, vtk.vtkCommand.ModifiedEvent, self._named))
                )
        self._nodes = [None, *nodes] if self.noneEnabled or not nodes else nodes
        self._filling = True
        self._box.clear()
        for node in self._nodes:
            self._box.addItem(self.noneDisplay if node is None else node.GetName() or "")
        self._filling = False
        kept = (
            self._current if any(node is self._current for node in self._nodes) else self._nodes[0]
        )
        self._select(kept)

    def _named(self, node: Any, _event: Any) -> None:
        for index, each in enumerate(self._nodes):
            if each is node and index < self._box.count:
                self._box.setItemText(index, node.GetName() or "")

    def _chosen(self, index: int) -> None:
        if not self._filling and 0 <= index < len(self._nodes):
            self._select(self._nodes[index])

    def _select(self, node: Any) -> None:
        self._filling = True
        for index, each in enumerate(self._nodes):
            if each is node:
                self._box.setCurrentIndex(index)
        self._filling = False
        if node is not self._current:
            self._current = node
            self.currentNodeChanged.emit(node)
            self.currentNodeChangedToAny.emit(node is not None)
            self.currentNodeIDChanged.emit(self._id())

    def currentNode(self) -> Any:
        return self._current

    def setCurrentNode(self, node: Any) -> None:
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node) if self._scene is not None else None
        self._select(node if any(each is node for each in self._nodes) else self._nodes[0])

    def _id(self) -> str:
        return self._current.GetID() or "" if self._current is not None else ""

    def _set_id(self, value: str) -> None:
        self.setCurrentNode(value)

    currentNodeID = QtCore.Property(str, _id, _set_id)

    def setCurrentNodeID(self, value: str) -> None:
        self.setCurrentNode(value)

    def nodeCount(self) -> int:
        return sum(node is not None for node in self._nodes)

    def nodeFromIndex(self, index: int) -> Any:
        return [node for node in self._nodes if node is not None][index]

    def setCurrentNodeIndex(self, index: int) -> None:
        self._select(self.nodeFromIndex(index))

    def comboBox(self) -> Any:
        return self._box
