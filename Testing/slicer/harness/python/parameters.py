"""``slicer.parameterNodeWrapper``: typed parameters kept in a scripted module node.

Knows: types, defaults, validators, serialisation.  Does not know: widgets
(``parameter_widgets.py``).  Containers are kept as JSON; Slicer keeps them in its own form, so
scenes of the harness and of Slicer agree for numbers, texts, booleans, enumerations, paths and
nodes only.  Parameter packs are not modelled.
"""

from __future__ import annotations

import enum
import json
import pathlib
import types
import typing
from typing import Annotated, Any, get_args, get_origin

import slicer
import vtk

from .validators import Choice, Exclude, Maximum, Minimum, NotNone, Validator, WithinRange

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Exclude",
    "Maximum",
    "Minimum",
    "NotNone",
    "SingleStep",
    "Validator",
    "WithinRange",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
]


class Default:
    """The default value, where it is not written with ``=``."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Decimals:
    """Digits after the point of a number's widget."""

    def __init__(self, value: int) -> None:
        self.value = value


class SingleStep:
    """The step of a number's widget."""

    def __init__(self, value: float) -> None:
        self.value = value


class Parameter:
    """One typed parameter."""

    def __init__(self, name: str, hint: Any, owner: type) -> None:
        self.name = name
        self.hint = hint
        self.annotations: tuple[Any, ...] = ()
        if get_origin(hint) is Annotated:
            hint, *annotations = get_args(hint)
            self.annotations = tuple(annotations)
        self.optional = False
        if get_origin(hint) in {typing.Union, types.UnionType}:
            members = [each for each in get_args(hint) if each is not type(None)]
            self.optional = len(members) < len(get_args(hint))
            if len(members) != 1:
                raise TypeError(f"{owner.__name__}.{name}: the harness models Optional only")
            hint = members[0]
        self.type = hint
        self.origin = get_origin(hint) or hint
        self.is_node = isinstance(self.origin, type) and issubclass(self.origin, slicer.vtkMRMLNode)
        if (
            not self.is_node
            and self.origin
            not in {bool, int, float, str, list, tuple, dict}
            | {
                pathlib.Path,
                pathlib.PurePath,
            }
            and not (isinstance(self.origin, type) and issubclass(self.origin, enum.Enum))
        ):
            raise TypeError(f"{owner.__name__}.{name}: no serializer for {hint}")
        self.default = self._default(owner)
        self.check(self.default)

    def _default(self, owner: type) -> Any:
        if self.name in vars(owner):
            return vars(owner)[self.name]
        for each in self.annotations:
            if isinstance(each, Default):
                return each.value
        if self.optional or self.is_node:
            return None
        if isinstance(self.origin, type) and issubclass(self.origin, enum.Enum):
            return next(iter(self.origin))
        return self.origin()

    def check(self, value: Any) -> None:
        """Refuse a value of another type or one that a validator refuses."""
        if not (value is None and (self.optional or self.is_node)):
            accepted = (int, float) if self.origin is float else self.origin
            if not isinstance(value, accepted):
                raise TypeError(f"{self.name}: {value!r} is not {self.origin.__name__}")
        for each in self.annotations:
            if isinstance(each, Validator):
                each.validate(value)

    def is_in(self, node: Any) -> bool:
        """Tell whether the node has this parameter."""
        if self.is_node:
            return node.GetNodeReferenceID(self.name) is not None
        return (
            bool(node.HasParameter(self.name))
            if hasattr(node, "HasParameter")
            else (self.name in node.GetParameterNames())
        )

    def write(self, node: Any, value: Any) -> None:
        """Keep a value."""
        self.check(value)
        if self.is_node:
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
            return
        if value is None:
            node.SetParameter(self.name, "None")
        elif isinstance(value, enum.Enum):
            node.SetParameter(self.name, value.name)
        elif self.origin in {list, tuple, dict}:
            node.SetParameter(self.name, json.dumps(value))
        else:
            node.SetParameter(self.name, str(value))

    def read(self, node: Any) -> Any:
        """Return the kept value."""
        if self.is_node:
            return node.GetNodeReference(self.name)
        if not self.is_in(node):
            self.write(node, self.default)
        text = node.GetParameter(self.name)
        if self.optional and text == "None":
            return None
        if self.origin is bool:
            return text == "True"
        if isinstance(self.origin, type) and issubclass(self.origin, enum.Enum):
            return self.origin[text]
        if self.origin in {list, tuple, dict}:
            return self.origin(json.loads(text))
        return self.origin(text)


def _property(parameter: Parameter) -> property:
    return property(
        lambda self: parameter.read(self.parameterNode),
        lambda self, value: parameter.write(self.parameterNode, value),
    )


class _Wrapper:
    """What the decorator adds to a class."""

    allParameters: dict[str, Parameter]
    _is_parameter_node_wrapper = True

    def __init__(self, parameterNode: Any, prefix: Any = None) -> None:
        self.parameterNode = parameterNode
        self._guis: dict[int, Any] = {}
        self._next = 0
        self._updating = False
        for parameter in self.allParameters.values():
            if not parameter.is_in(parameterNode):
                parameter.write(parameterNode, parameter.default)

    def _parameter(self, name: str) -> Parameter:
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}")
        return self.allParameters[name]

    def default(self, name: str) -> Any:
        return Default(self._parameter(name).default)

    def isCached(self, name: str) -> bool:
        return False

    def dataType(self, name: str) -> Any:
        return self._parameter(name).hint

    def getValue(self, name: str) -> Any:
        return self._parameter(name).read(self.parameterNode)

    def setValue(self, name: str, value: Any) -> None:
        self._parameter(name).write(self.parameterNode, value)

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        from .parameter_widgets import connector

        made = {name: connector(widget, self._parameter(name)) for name, widget in mapping.items()}
        tag, self._next = self._next, self._next + 1
        for name, each in made.items():
            each.write(self.getValue(name))
            each.connect(lambda name=name, each=each: self._from_gui(name, each))
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._to_gui())
        self._guis[tag] = (made, observer)
        return tag

    def connectGui(self, gui: Any) -> int:
        widgets = (
            gui.findChildren(_qwidget()) if hasattr(gui, "findChildren") else vars(gui).values()
        )
        mapping = {}
        for widget in widgets:
            name = widget.property("SlicerParameterName")
            if name:
                mapping[name] = widget
        return self.connectParametersToGui(mapping)

    def disconnectGui(self, tag: int) -> None:
        if tag in self._guis:
            made, observer = self._guis.pop(tag)
            self.RemoveObserver(observer)
            for each in made.values():
                each.disconnect()

    def _from_gui(self, name: str, connector: Any) -> None:
        if not self._updating:
            with slicer.util.NodeModify(self):
                self.setValue(name, connector.read())

    def _to_gui(self) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            for made, _ in list(self._guis.values()):
                for name, each in made.items():
                    each.write(self.getValue(name))
        finally:
            self._updating = False

    def StartModify(self) -> Any:
        return self.parameterNode.StartModify()

    def EndModify(self, before: Any) -> Any:
        return self.parameterNode.EndModify(before)

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


def _qwidget() -> Any:
    from PySide6 import QtWidgets

    return QtWidgets.QWidget


def parameterNodeWrapper(classtype: Any = None) -> Any:
    """Make a class of annotations the typed face of a parameter node."""

    def wrap(cls: type) -> type:
        parameters: dict[str, Parameter] = {}
        hints = typing.get_type_hints(cls, include_extras=True)
        for name, hint in hints.items():
            parameters[name] = Parameter(name, hint, cls)
        for name, parameter in parameters.items():
            setattr(cls, name, _property(parameter))
        for name, value in vars(_Wrapper).items():
            if name in {"__dict__", "__weakref__", "__module__", "__doc__", "__annotations__"}:
                continue
            if name in vars(cls) and name != "__init__":
                raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
            setattr(cls, name, value)
        cls.allParameters = parameters
        return cls

    return wrap if classtype is None else wrap(classtype)


def isParameterNodeWrapper(thing: Any) -> bool:
    """Tell whether a class or an object is a wrapper."""
    return getattr(thing, "_is_parameter_node_wrapper", False)
