"""The nodes of one record: making them, placing them, finding what belongs to them.

Knows MRML classes, our attributes and references, and the subject hierarchy. Does not know what
the text says. Names and attributes hold nothing of the patient.

The text stays in the scene file itself and gets no file of its own: what a person saves with the
scene cannot be left out in the save dialog, and no file is named after a node.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk

from med2e3.record import Exchange, stack_axis

#: what a node of ours is; other modules' nodes lack it
KIND = "Med2E3.kind"
EXCHANGE, SCORES = "exchange", "scores"
#: tells records from each other, whatever happens to node ids
KEY = "Med2E3.key"
#: counts from 1 in a scene; orders records of the same second
NUMBER = "Med2E3.number"
#: where the volume lay when the question was asked
GEOMETRY = "Med2E3.geometry"
INPUT_VOLUME = "Med2E3.inputVolume"
SCORES_TABLE = "Med2E3.scores"

COLUMNS = ("slice", "position_mm", "score", "relative")

_NAMES = {"report": "report", "open_vqa": "answer", "closed_vqa": "answer"}


def record_nodes(scene: Any) -> Iterator[Any]:
    """The text nodes of all records of a scene."""
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLTextNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLTextNode")
        if node.GetAttribute(KIND) == EXCHANGE:
            yield node


def add_text_node(scene: Any, exchange: Exchange, text: str, volume: Any, geometry: str) -> Any:
    """Make a record's text node.

    Args:
        scene: the scene.
        exchange: the record.
        text: its document.
        volume: the volume node; ``None`` where it is gone already.
        geometry: where the volume lay when its voxels were read.
    """
    number = 1 + max((number_of(node) for node in record_nodes(scene)), default=0)
    node = slicer.vtkMRMLTextNode()
    node.SetName(f"Med-2E3 {_NAMES[exchange.task]} {number}")
    keep_in_scene_file(node)
    node.SetUndoEnabled(True)
    set_text(node, text)
    for name, value in ((KIND, EXCHANGE), (KEY, uuid.uuid4().hex), (NUMBER, str(number))):
        node.SetAttribute(name, value)
    if volume is not None:
        node.SetAttribute(GEOMETRY, geometry)
        node.SetNodeReferenceID(INPUT_VOLUME, volume.GetID())
    node = scene.AddNode(node)
    place_beside(node, volume)
    return node


def add_table_node(scene: Any, exchange: Exchange, text_node: Any, volume: Any) -> Any:
    """Make a record's table of scores: slice (from 1), position (mm), score, score / uniform.

    The position is the slice's RAS coordinate along the stack; a column of positions that are not
    known is left out.
    """
    node = slicer.vtkMRMLTableNode()
    node.SetName(f"{text_node.GetName()} scores")
    node.SetUndoEnabled(True)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetAttribute(KIND, SCORES)
    node.SetAttribute(KEY, text_node.GetAttribute(KEY))
    columns: dict[str, npt.NDArray[Any]] = {"slice": np.arange(1, len(exchange.slices) + 1)}
    axis = stack_axis(exchange.slices)
    if axis is not None:
        positions = [place.position_ras_mm for place in exchange.slices]
        columns["position_mm"] = np.array([np.nan if p is None else p[axis] for p in positions])
    columns["score"] = np.array(exchange.scores)
    columns["relative"] = np.array(exchange.relative_scores())
    slicer.util.updateTableFromArray(node, list(columns.values()), list(columns))
    if volume is not None:
        node.SetNodeReferenceID(INPUT_VOLUME, volume.GetID())
    node = scene.AddNode(node)
    text_node.SetNodeReferenceID(SCORES_TABLE, node.GetID())
    place_beside(node, volume)
    return node


def keep_in_scene_file(node: Any) -> None:
    """Let a text node have no file of its own; a scene file does not tell it of its nodes."""
    node.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeNever)


def set_text(node: Any, text: str) -> None:
    """Set a text node's text as UTF-8."""
    node.SetText(text, vtk.VTK_ENCODING_UTF_8)


def number_of(node: Any) -> int:
    """A record's number in its scene; 0 if it lost it."""
    told = node.GetAttribute(NUMBER) or ""
    return int(told) if told.isascii() and told.isdigit() else 0


def volume_of(node: Any) -> Any:
    """The volume a record is about, ``None`` if it is gone.

    MRML drops a reference as soon as its node is missing, also when a scene is loaded without it.
    """
    volume = node.GetNodeReference(INPUT_VOLUME)
    return volume if volume is not None and volume.IsA("vtkMRMLScalarVolumeNode") else None


def place_beside(node: Any, volume: Any) -> None:
    """Put a node into the subject hierarchy where the volume is: under the same study."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    parent = hierarchy.GetSceneItemID()
    volume_item = 0 if volume is None else hierarchy.GetItemByDataNode(volume)
    if volume_item:
        parent = hierarchy.GetItemParent(volume_item)
    item = hierarchy.GetItemByDataNode(node)  # Slicer makes one itself, slicer-core does not
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        hierarchy.CreateItem(parent, node)


def remove_nodes(node: Any) -> None:
    """Remove a record's text node, its table, and their items and storage nodes."""
    scene = node.GetScene()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    table = node.GetNodeReference(SCORES_TABLE)
    for each in (table, node):
        if each is None:
            continue
        item = hierarchy.GetItemByDataNode(each)
        if item:
            hierarchy.RemoveItem(item, False, False)
        storage = each.GetStorageNode()
        scene.RemoveNode(each)
        if storage is not None:
            scene.RemoveNode(storage)
