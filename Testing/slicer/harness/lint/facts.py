"""What the rules know of Qt: names of methods and properties.  Does not know: any rule."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from PySide6 import QtCore, QtGui, QtNetwork, QtWidgets

MODULES = (QtCore, QtGui, QtWidgets, QtNetwork)


def _members() -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of Qt's methods, and of properties that are no method of a value class."""
    methods: set[str] = set()
    properties: set[str] = set()
    of_values: set[str] = set()
    for module in MODULES:
        for name in dir(module):
            cls = getattr(module, name)
            if not isinstance(cls, type) or not name.startswith("Q"):
                continue
            members = {each for each in vars(cls) if not each.startswith("_")}
            methods |= members
            meta = getattr(cls, "staticMetaObject", None)
            if isinstance(meta, QtCore.QMetaObject) and issubclass(cls, QtCore.QObject):
                properties |= {meta.property(each).name() for each in range(meta.propertyCount())}
            elif not name.startswith(("QStyleOption", "QPalette")):
                of_values |= members
    return frozenset(methods), frozenset(properties - of_values)


#: taken when this file is imported: PySide can lose a meta object once the application has run
_METHODS, _PROPERTIES = _members()


def methods() -> frozenset[str]:
    """Names of methods of any Qt class."""
    return _METHODS


def properties() -> frozenset[str]:
    """Names that are properties of Qt's objects and never methods of its value classes."""
    return _PROPERTIES


@dataclass(frozen=True)
class Facts:
    """What one file says of itself, for the rules."""

    own_names: frozenset[str]
    #: nodes that run when the file is imported
    at_file_scope: frozenset[int]

    @staticmethod
    def of(tree: ast.Module, own_names: frozenset[str]) -> Facts:
        """Collect the facts of a file."""
        scope: set[int] = set()
        stack: list[ast.AST] = list(tree.body)
        while stack:
            node = stack.pop()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                continue
            scope.add(id(node))
            stack.extend(ast.iter_child_nodes(node))
        mine = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
        }
        return Facts(own_names | frozenset(mine), frozenset(scope))


def dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` for a chain of names, or an empty text."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])
