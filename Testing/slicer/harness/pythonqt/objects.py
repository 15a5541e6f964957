"""Makes PySide6's QObject classes behave as PythonQt's: properties, names, attributes.

Knows: Qt's meta objects.  Does not know: signals (``signals.py``), constructors (``calls.py``).

What a Q_PROPERTY is, is an attribute here and cannot be called; an attribute that a C++ object does
not have cannot be read and cannot be made.
"""

from __future__ import annotations

import types
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

from . import qt6_only

#: properties that are virtual functions too: PySide looks them up on the class when Qt calls them
KEPT_AS_METHODS = {"sizeHint", "minimumSizeHint"}
#: classes whose instances are C++ objects for PythonQt; a Python subclass of them is not one
CPP_CLASSES: set[type] = set()

#: while a .ui file loads, PySide makes each child an attribute of the root; PythonQt does not
loading_ui = [False]

_property = QtCore.QObject.property
_set_property = QtCore.QObject.setProperty


class QtProperty:
    """A Q_PROPERTY read and written as an attribute."""

    def __init__(self, cls: type, name: str, writable: bool) -> None:
        self.name = name
        self.writable = writable
        getter = cls.__dict__.get(name) or getattr(cls, name, None)
        if isinstance(getter, staticmethod):
            getter = getter.__func__
        #: a static function of the same name, such as QTimer.singleShot: read on the class
        self.static = getter if isinstance(getter, types.BuiltinFunctionType) else None
        self.getter = None if self.static else getter
        setter = getattr(cls, "set" + name[0].upper() + name[1:], None)
        self.setter = setter

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self if self.static is None else self.static
        value = self.getter(instance) if callable(self.getter) else _property(instance, self.name)
        return tuple(value) if isinstance(value, list) else value

    def __set__(self, instance: Any, value: Any) -> None:
        kind = type(instance).__name__
        if is_destroyed(instance):
            raise AttributeError(f"Trying to set property '{self.name}' on a destroyed {kind}")
        if not self.writable:
            raise AttributeError(f"Property '{self.name}' of type '{kind}' is not writable.")
        try:
            if callable(self.setter):
                self.setter(instance, value)
                return
            accepted = _set_property(instance, self.name, value)
        except (TypeError, ValueError):
            accepted = False
        if not accepted:
            raise AttributeError(
                f"Property '{self.name}' of type '{kind}' does not accept an object of type "
                f"{type(value).__name__} ({value!r})"
            )


def _getattr(self: Any, name: str) -> Any:
    if not name.startswith("__") and isinstance(self, QtCore.QObject):
        encoded = name.encode()
        if any(bytes(each.data()) == encoded for each in self.dynamicPropertyNames()):
            return _property(self, name)
    raise AttributeError(f"{type(self).__name__} has no attribute named '{name}'")


def make_setattr(original: Any) -> Any:
    """Return a ``__setattr__`` that makes no new attribute on an object of C++."""

    def setter(self: Any, name: str, value: Any) -> None:
        cls = type(self)
        if cls in CPP_CLASSES and not name.startswith("_"):
            found = getattr(cls, name, None)
            if isinstance(found, QtCore.Property):
                if not _set_property(self, name, value):
                    raise AttributeError(
                        f"Property '{name}' of type '{cls.__name__}' does not accept {value!r}"
                    )
                return
            if not hasattr(type(found), "__set__"):
                if isinstance(self, QtCore.QObject) and any(
                    bytes(each.data()) == name.encode() for each in self.dynamicPropertyNames()
                ):
                    _set_property(self, name, value)
                    return
                if loading_ui[0]:
                    return
                raise AttributeError(
                    f"Attribute '{name}' does not exist on {cls.__name__}, and creating new "
                    "attributes on C++ objects is not allowed"
                )
        original(self, name, value)

    return setter


def cpp_class(cls: type) -> type:
    """Mark a stand-in as a class of C++: its instances refuse unknown public attributes."""
    CPP_CLASSES.add(cls)
    return cls


def patch_class(cls: Any) -> None:
    """Give one QObject class of PySide6 the properties and attribute rules of PythonQt."""
    meta = cls.staticMetaObject
    for index in range(meta.propertyCount()):
        declared = meta.property(index)
        name = declared.name()
        if name in KEPT_AS_METHODS or qt6_only.has(cls, "properties", name):
            continue
        if index >= meta.propertyOffset() or name in cls.__dict__:
            setattr(cls, name, QtProperty(cls, name, declared.isWritable()))
    cls.__setattr__ = make_setattr(shiboken6.Object.__setattr__)
    cls.__getattr__ = _getattr
    CPP_CLASSES.add(cls)


def is_destroyed(instance: Any) -> bool:
    """Whether Qt has deleted an object that Python still holds."""
    return not shiboken6.isValid(instance)


def patch_truth() -> None:
    """Make destroyed objects and empty layouts, menus, documents false, as they are in PythonQt.

    ``slicer.util.childWidgetVariables`` leaves out what is false.
    """
    base: Any = QtCore.QObject
    base.__bool__ = lambda self: not is_destroyed(self)
    for cls in (QtWidgets.QLayout, QtWidgets.QMenu, QtGui.QTextDocument):
        target: Any = cls
        target.__bool__ = lambda self: not is_destroyed(self) and not self.isEmpty()


def patch_qobject() -> None:
    """Add what PythonQt adds to every QObject: ``name`` (the object's name), ``className()``."""
    base: Any = QtCore.QObject
    base.className = lambda self: self.metaObject().className()
    base.name = property(
        lambda self: self.objectName, lambda self, value: setattr(self, "objectName", value)
    )
