"""``slicer.modules`` and the module manager: finds scripted modules as Slicer does.

Knows: a module's file and its four classes.  Does not know: what they do.  Modules of Slicer itself
have a name and a real logic of slicer-core, and no panel.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from .pythonqt import cpp_class
from .widgets.mrml import qMRMLWidget


@cpp_class
class qSlicerModuleManager(QtCore.QObject):
    """Says when a module is unloaded."""

    moduleAboutToBeUnloaded = QtCore.Signal(str)
    moduleLoaded = QtCore.Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._modules: dict[str, Any] = {}

    def factoryManager(self) -> Any:
        return self

    def loadedModuleNames(self) -> tuple[str, ...]:
        return tuple(self._modules)

    def modulesNames(self) -> tuple[str, ...]:
        return tuple(self._modules)

    def module(self, name: str) -> Any:
        return self._modules.get(name)

    def isLoaded(self, name: str) -> bool:
        return name in self._modules

    def _unload(self, name: str) -> None:
        self.moduleAboutToBeUnloaded.emit(name)
        module = self._modules.pop(name, None)
        if module is not None:
            module._drop()


class CoreModule:
    """A module of Slicer: its name and its logic."""

    def __init__(self, name: str, logic: Any) -> None:
        self.name = name
        self._logic = logic

    def logic(self) -> Any:
        return self._logic

    def widgetRepresentation(self) -> None:
        return None


@cpp_class
class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The panel as the application holds it; ``self()`` is the Python object."""

    def __init__(self, python_class: type, module: Any) -> None:
        super().__init__()
        QtWidgets.QVBoxLayout(self)
        self._class = python_class
        self._module = module
        self._entered = False
        self._set_up = False
        self._python = python_class(self)
        setattr(slicer.modules, module.name + "Widget", self._python)

    def self(self) -> Any:
        return self._python

    def _ensure_set_up(self) -> None:
        if not self._set_up:
            self._set_up = True
            self.setMRMLScene(slicer.mrmlScene)
            self._python.setup()

    def _enter(self) -> None:
        self._ensure_set_up()
        self._entered = True
        if hasattr(self._python, "enter"):
            self._python.enter()

    def _exit(self) -> None:
        self._entered = False
        if hasattr(self._python, "exit"):
            self._python.exit()

    def reload(self) -> None:
        module = sys.modules[self._module.name]
        self._class = getattr(module, self._module.name + "Widget")
        self._python = self._class(self)
        setattr(slicer.modules, self._module.name + "Widget", self._python)
        self._python.setup()  # Slicer does not call ``enter`` here, though the panel is seen

    isEntered = QtCore.Property(bool, lambda self: self._entered)


@cpp_class
class qSlicerScriptedLoadableModule(QtCore.QObject):
    """A scripted module as the application lists it."""

    _fields = ("title", "categories", "dependencies", "contributors", "helpText")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path)
        self._name = path.stem
        self._values: dict[str, Any] = {}
        self._widget: Any = None
        self._instance: Any = None

    name = property(lambda self: self._name)
    path = property(lambda self: self._path)

    def logic(self) -> Any:
        return None

    def widgetRepresentation(self) -> Any:
        if self._widget is None:
            self._widget = self.createNewWidgetRepresentation()
        self._widget._ensure_set_up()
        return self._widget

    def createNewWidgetRepresentation(self) -> Any:
        module = sys.modules[self._name]
        return qSlicerScriptedLoadableModuleWidget(getattr(module, self._name + "Widget"), self)

    def _drop(self) -> None:
        if self._widget is not None:
            self._widget.setParent(None)
            self._widget.deleteLater()
            self._widget = None
        for name in (self._name.lower(), self._name + "Instance", self._name + "Widget"):
            if hasattr(slicer.modules, name):
                delattr(slicer.modules, name)


def _field(name: str, kind: Any) -> Any:
    def write(self: Any, value: Any) -> None:
        if not isinstance(value, kind):
            raise AttributeError(f"Property '{name}' does not accept {value!r}")
        self._values[name] = value

    return property(lambda self: self._values.get(name), write)


for _name, _kind in {
    "title": str,
    "categories": (list, tuple),
    "dependencies": (list, tuple),
    "contributors": (list, tuple),
    "associatedNodeTypes": (list, tuple),
    "helpText": str,
    "acknowledgementText": str,
    "hidden": bool,
    "widgetRepresentationCreationEnabled": bool,
    "index": int,
    "icon": QtGui.QIcon,
}.items():
    setattr(qSlicerScriptedLoadableModule, _name, _field(_name, _kind))


@cpp_class
class qSlicerModuleSelectorToolBar(QtCore.QObject):
    """Chooses the module whose panel is shown."""

    moduleSelected = QtCore.Signal(str)

    def __init__(self, window: Any) -> None:
        super().__init__(window)
        self._window = window
        self._shown: Any = None
        self._name = ""

    selectedModule = property(lambda self: self._name)

    def selectModule(self, name: str) -> None:
        if name == self._name:
            return
        if self._shown is not None:
            self._shown._exit()
            self._shown = None
        module = slicer.app.moduleManager().module(name)
        representation = module.widgetRepresentation() if module is not None else None
        self._name = name
        self._window._show_panel(representation, getattr(module, "title", name) or name)
        if representation is not None:
            self._shown = representation
            representation._enter()
        self.moduleSelected.emit(name)


def load(path: Path) -> Any:
    """Load a scripted module from its file, as Slicer does at start-up; return its module."""
    name = path.stem
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    listed = qSlicerScriptedLoadableModule(path)
    listed._instance = getattr(module, name)(listed)
    slicer.app.moduleManager()._modules[name] = listed
    setattr(slicer.modules, name.lower(), listed)
    setattr(slicer.modules, name + "Instance", listed._instance)
    slicer.app.moduleManager().moduleLoaded.emit(name)
    return listed


def install_core(manager: Any, logics: dict[str, Any]) -> None:
    """Make Slicer's own modules known."""
    for name, logic in logics.items():
        module = CoreModule(name, logic)
        manager._modules[name] = module
        setattr(slicer.modules, name.lower(), module)
