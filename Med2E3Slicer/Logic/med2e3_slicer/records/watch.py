"""Tells when the records of a scene may have changed.

Knows the scene's events: nodes that come and go, text and names that change, undo, import and
closing. Does not know what changed: whoever is told reads the records again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import vtk

from med2e3_slicer.records.nodes import EXCHANGE, KIND, keep_in_scene_file, record_nodes

#: after which everything may be different
_WHOLE_SCENE = (
    "EndImportEvent",
    "EndCloseEvent",
    "EndRestoreEvent",
    "EndUndoEvent",
    "EndRedoEvent",
    "EndBatchProcessEvent",
)


class Watch:
    """Observes a scene until :meth:`stop`.

    Args:
        scene: the scene.
        changed: called without arguments, at most once for each event.
    """

    def __init__(self, scene: Any, changed: Callable[[], None]) -> None:
        self._scene = scene
        self._changed = changed
        self._nodes: dict[Any, int] = {}
        self._tags = [
            scene.AddObserver(getattr(slicer.vtkMRMLScene, name), self._on_scene)
            for name in _WHOLE_SCENE
        ]
        for event in (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent):
            self._tags.append(scene.AddObserver(event, self._on_node))
        self._observe_nodes()

    def stop(self) -> None:
        """Observe nothing any more; may be called twice."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []
        for node, tag in self._nodes.items():
            node.RemoveObserver(tag)
        self._nodes = {}

    def _on_scene(self, caller: Any, event: str) -> None:
        self._tell()

    @vtk.calldata_type(vtk.VTK_OBJECT)  # type: ignore[untyped-decorator]
    def _on_node(self, caller: Any, event: str, node: Any) -> None:
        if node is None or self._is_busy():
            return
        is_record = node.IsA("vtkMRMLTextNode") and node.GetAttribute(KIND) == EXCHANGE
        if is_record or node.IsA("vtkMRMLScalarVolumeNode"):
            self._tell()

    def _on_record(self, caller: Any, event: str) -> None:
        if not self._is_busy():
            self._tell()

    def _is_busy(self) -> bool:
        """Whether an event at the end of what the scene is doing will tell it all."""
        return bool(self._scene.IsBatchProcessing())

    def _tell(self) -> None:
        self._observe_nodes()
        self._changed()

    def _observe_nodes(self) -> None:
        present = set(record_nodes(self._scene))
        for node in [node for node in self._nodes if node not in present]:
            node.RemoveObserver(self._nodes.pop(node))
        for node in present - self._nodes.keys():
            keep_in_scene_file(node)
            self._nodes[node] = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_record)
