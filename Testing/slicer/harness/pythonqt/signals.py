"""``connect`` and ``disconnect`` as PythonQt has them, over PySide6.

Knows: signatures as text, and how many arguments a Python function gets.  Does not know: which
signals exist; Qt's meta object says it.  An unknown signature returns False, as in Slicer, and is
recorded as a problem; so is an exception in a slot.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore

from . import objects, qt6_only
from .problems import PROBLEMS

_connect = QtCore.QObject.connect
_disconnect = QtCore.QObject.disconnect

#: (address of the sender, normalized signature) → the callables and what PySide was given for them
_connections: dict[tuple[int, str], list[tuple[Any, Any]]] = {}
_watched: set[int] = set()


def accepted_arguments(function: Callable[..., Any]) -> int | None:
    """Return how many positional arguments PythonQt would pass at most; None for all."""
    target = function.__func__ if inspect.ismethod(function) else function
    if not inspect.isfunction(target):
        return None
    code = target.__code__
    if code.co_flags & inspect.CO_VARARGS:
        return None
    return code.co_argcount - (1 if inspect.ismethod(function) else 0)


def adapter(function: Callable[..., Any], signal: str) -> Callable[..., None]:
    """Return what PySide calls: trims the arguments and records exceptions."""
    limit = accepted_arguments(function)

    def call(*arguments: Any) -> None:
        try:
            function(*(arguments if limit is None else arguments[:limit]))
        except Exception as error:
            PROBLEMS.add_exception(error, f"Exception in a slot of {signal}")

    return call


def normalized(signature: str) -> str:
    """Return a signature as Qt's meta object spells it."""
    return bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()


def _resolve(sender: Any, signature: str) -> str | None:
    """Return the signature that Qt knows for this sender, or None."""
    aliases: dict[str, str] = getattr(type(sender), "_signal_aliases", {})
    compact = re.sub(r"\s+", "", signature)
    if compact in aliases:
        return aliases[compact]
    name = normalized(signature)
    if qt6_only.has(type(sender), "signals", name):
        return None
    return name if sender.metaObject().indexOfSignal(name) >= 0 else None


def connect(self: Any, signal: Any, receiver: Any, slot: Any = None) -> bool:
    """Connect ``"signal(types)"`` to a callable, or to a receiver's ``"slot(types)"``."""
    if not isinstance(signal, str):
        raise TypeError("connect: the signal is its signature as text, such as 'clicked(bool)'")
    known = _resolve(self, signal)
    if known is None:
        PROBLEMS.add(f"connect: {type(self).__name__} has no signal {signal}; Slicer returns False")
        return False
    if isinstance(slot, str):
        return bool(_connect(self, QtCore.SIGNAL(known), receiver, QtCore.SLOT(slot)))
    if slot is not None or not callable(receiver):
        raise TypeError("connect: expected a callable, or a receiver and the slot's signature")
    called = adapter(receiver, signal)
    _connect(self, QtCore.SIGNAL(known), called)
    address = shiboken6.getCppPointer(self)[0]
    _connections.setdefault((address, known), []).append((receiver, called))
    if address not in _watched:
        _watched.add(address)
        _connect(self, QtCore.SIGNAL("destroyed()"), lambda: _forget(address))
    return True


def _forget(address: int) -> None:
    _watched.discard(address)
    for key in [key for key in _connections if key[0] == address]:
        del _connections[key]


def disconnect(self: Any, *arguments: Any) -> bool:
    """Undo ``connect``: by signature and callable, by signature, or everything."""
    if not arguments:
        raise TypeError("disconnect: give the signature, or the signature and the callable")
    signal, *rest = arguments
    known = _resolve(self, signal)
    if known is None:
        PROBLEMS.add(f"disconnect: {type(self).__name__} has no signal {signal}")
        return False
    address = shiboken6.getCppPointer(self)[0]
    kept: list[tuple[Any, Any]] = []
    found = False
    for receiver, called in _connections.get((address, known), []):
        if rest and receiver != rest[0]:
            kept.append((receiver, called))
            continue
        _disconnect(self, QtCore.SIGNAL(known), called)
        found = True
    _connections[(address, known)] = kept
    return found


def patch_class(cls: Any) -> None:
    """Give one QObject class PythonQt's ``connect`` and ``disconnect``.

    PySide's attribute look-up answers these two names itself, in C++ and for each class, so the
    look-up is replaced for each class.
    """
    original = cls.__getattribute__
    fresh = qt6_only.names(cls)

    def look_up(self: Any, name: str) -> Any:
        if not name.startswith("_") and objects.is_destroyed(self):
            raise ValueError(f"Trying to use '{name}' of a destroyed {type(self).__name__} object")
        if name == "connect":
            return types.MethodType(connect, self)
        if name == "disconnect":
            return types.MethodType(disconnect, self)
        if name in fresh:
            raise AttributeError(f"{name} is new in Qt 6; Slicer 5 has Qt 5.15")
        try:
            return original(self, name)
        except SystemError as error:  # PySide: a signal of a class that only Qt knows
            raise AttributeError(
                f"{name}: connect to it by its signature, connect('{name}(...)', f)"
            ) from error

    cls.__getattribute__ = look_up
