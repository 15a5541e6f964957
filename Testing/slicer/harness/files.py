"""``slicer.app.coreIOManager()``: scenes and the files that tests load and save.

Knows: .mrml and .mrb by slicer-core's own readers and writers, volumes, texts, tables.  Does not
know: other formats; they are refused by name.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import slicer

from .pythonqt.problems import PROBLEMS

_BY_SUFFIX = {
    ".mrb": "SceneFile",
    ".mrml": "SceneFile",
    ".nrrd": "VolumeFile",
    ".nhdr": "VolumeFile",
    ".nii": "VolumeFile",
    ".gz": "VolumeFile",
    ".mha": "VolumeFile",
    ".mhd": "VolumeFile",
    ".txt": "TextFile",
    ".json": "TextFile",
    ".csv": "TableFile",
    ".tsv": "TableFile",
}


class qSlicerCoreIOManager:
    """Loads and saves."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def fileType(self, name: Any) -> str:
        """Return the type of a file by its ending."""
        suffix = Path(str(name)).suffix.lower()
        if suffix not in _BY_SUFFIX:
            raise RuntimeError(f"The harness loads no {suffix} files")
        return _BY_SUFFIX[suffix]

    def fileWriterFileType(self, node: Any) -> str:
        """Return the type of the file that a node is saved to."""
        return f"{node.GetClassName()}File"

    def loadNodes(
        self, kind: str, properties: Any, loaded: Any = None, _messages: Any = None
    ) -> bool:
        """Load a file into the scene."""
        path = str(properties["fileName"])
        if not Path(path).exists():
            return False
        if kind == "SceneFile":
            return self._load_scene(path, bool(properties.get("clear", False)))
        node = self._load_node(kind, path, properties)
        if node is None:
            return False
        if loaded is not None:
            loaded.AddItem(node)
        return True

    def loadScene(self, name: Any, clear: bool = True) -> bool:
        """Load a scene; as in Slicer it replaces the open one unless told otherwise."""
        return self._load_scene(str(name), clear)

    def _load_scene(self, path: str, clear: bool) -> bool:
        scene = slicer.mrmlScene
        if path.lower().endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, clear))
        scene.SetURL(path)
        return bool(scene.Connect() if clear else scene.Import())

    def _load_node(self, kind: str, path: str, properties: Any) -> Any:
        name = properties.get("name") or Path(path).name.split(".")[0]
        if kind == "VolumeFile":
            logic = self._application._module_logics["Volumes"]
            node = logic.AddArchetypeVolume(path, name, 1 if properties.get("labelmap") else 0)
            if node is not None and properties.get("show", True):
                slicer.util.setSliceViewerLayers(background=node, fit=True)
            return node
        if kind == "TextFile":
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", name)
        elif kind == "TableFile":
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", name)
        else:
            raise RuntimeError(f"The harness loads no {kind}")
        storage = node.CreateDefaultStorageNode()
        slicer.mrmlScene.AddNode(storage)
        storage.SetFileName(path)
        node.SetAndObserveStorageNodeID(storage.GetID())
        return node if storage.ReadData(node) else None

    def saveNodes(self, kind: str, properties: Any, _messages: Any = None) -> bool:
        """Save a node or the scene."""
        path = str(properties["fileName"])
        if kind == "SceneFile":
            return self._save_scene(path)
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        storage = node.GetStorageNode() or slicer.mrmlScene.AddNode(node.CreateDefaultStorageNode())
        node.SetAndObserveStorageNodeID(storage.GetID())
        storage.SetFileName(path)
        return bool(storage.WriteData(node))

    def _save_scene(self, path: str) -> bool:
        scene = slicer.mrmlScene
        if path.lower().endswith(".mrml"):
            scene.SetURL(path)
            scene.SetRootDirectory(str(Path(path).parent))
            return bool(scene.Commit(path))
        if path.lower().endswith(".mrb"):
            return bool(scene.WriteToMRB(path))
        return bool(
            self._application.applicationLogic().SaveSceneToSlicerDataBundleDirectory(path, None)
        )

    def saveSceneWithData(self, folder: Any) -> Path:
        """Save as a person does in the save dialog: a .mrml and the data beside it.

        Returns:
            The .mrml file.
        """
        folder = Path(folder)
        with tempfile.TemporaryDirectory() as scratch:
            bundle = Path(scratch) / folder.name
            bundle.mkdir()
            logic = self._application.applicationLogic()
            if not logic.SaveSceneToSlicerDataBundleDirectory(str(bundle), None):
                PROBLEMS.add(f"could not save the scene to {folder}")
            shutil.copytree(bundle, folder, dirs_exist_ok=True)
        return next(folder.rglob("*.mrml"))
