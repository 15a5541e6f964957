"""Rules about texts: signatures of signals, translatable texts, texts with their encoding."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from .facts import Facts, dotted

Found = Iterator[tuple[ast.AST, str]]
QT5_SIGNATURES = {
    "currentIndexChanged(QString)": "currentTextChanged(QString)",
    "buttonClicked(int)": "idClicked(int) or buttonClicked(QAbstractButton*)",
    "activated(QString)": "textActivated(QString)",
    "finished(int)": "finished(int,QProcess::ExitStatus) for a process",
    "error(QProcess::ProcessError)": "errorOccurred(QProcess::ProcessError)",
    "stateChanged(int)": "toggled(bool)",
}
#: slots of Qt's windows and loops
QT_SLOTS = {"hide", "show", "close", "accept", "reject", "quit", "raise_", "deleteLater"}
TRANSLATORS = {"_", "tr", "translate"}


def signatures(node: ast.AST, facts: Facts) -> Found:
    """A signal is named by its signature, which both Qt 5 and Qt 6 have."""
    if (
        not isinstance(node, ast.Call)
        or not isinstance(node.func, ast.Attribute)
        or node.func.attr not in {"connect", "disconnect"}
        or len(node.args) < 2
    ):
        return
    first = node.args[0]
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return
    text = first.value
    if not re.fullmatch(r"\w+\([\w\s,:*&<>]*\)", text):
        yield node, f"{text!r} is no signature such as 'clicked(bool)'"
    elif text in QT5_SIGNATURES and text != "finished(int)":
        yield node, f"{text} is not the same in Qt 5 and Qt 6; use {QT5_SIGNATURES[text]}"
    elif re.search(r"\bstr\b|\bobject\b|\bPyObject\b", text):
        yield node, f"{text}: the types are C++'s (QString, vtkMRMLNode*)"


def bound_slots(node: ast.AST, facts: Facts) -> Found:
    """A slot of Qt's, taken as a Python callable, keeps the Python side of its widget.

    A window without a parent belongs to Python: when its last keeper is a child of its own, Qt's
    deleting of the window ends in Python's deleting it once more.
    """
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "connect"
        and len(node.args) == 2
        and isinstance(node.args[1], ast.Attribute)
        and node.args[1].attr in QT_SLOTS
        and node.args[1].attr not in facts.own_names
    ):
        yield node, "name Qt's slot: connect('clicked()', window, 'hide()')"


def translations(node: ast.AST, facts: Facts) -> Found:
    """A translatable text is a constant; values come in with ``format``."""
    if not isinstance(node, ast.Call) or not node.args:
        return
    if dotted(node.func).split(".")[-1] not in TRANSLATORS:
        return
    if dotted(node.func) not in TRANSLATORS | {"slicer.i18n.tr", "slicer.i18n.translate"}:
        return
    text = node.args[-1]
    if isinstance(text, ast.JoinedStr):
        yield node, "no f-string in a translatable text; use .format after it"
    elif not isinstance(text, ast.Constant):
        yield node, "a translatable text must be written where it is translated"
    elif isinstance(text.value, str) and re.search(r"\{\d*\}", text.value):
        yield node, "name the placeholders of a translatable text"


def encodings(node: ast.AST, facts: Facts) -> Found:
    """A text node's encoding is US-ASCII unless it is given."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "SetText"
        and len(node.args) == 1
        and "node" in dotted(node.func.value).lower()
    ):
        yield node, "give vtkMRMLTextNode.SetText its encoding: VTK_ENCODING_UTF_8"


RULES: dict[str, Any] = {
    "signature": signatures,
    "bound-slot": bound_slots,
    "translation": translations,
    "encoding": encodings,
}
