"""Rules about calls of Qt, about Qt 5 and Qt 6, and about what may be imported.

Each takes a node of the syntax tree and yields what is wrong with it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from ..pythonqt import qt6_only
from .facts import Facts, dotted, methods, properties

Found = Iterator[tuple[ast.AST, str]]

#: modules of Python functions, which do take keywords
PYTHON_ROOTS = ("slicer.util.", "slicer.packaging.", "slicer.app.logger.", "logging.", "np.")
QT_ROOTS = ("qt.", "ctk.", "slicer.qMRML", "slicer.qSlicer")
LISTS = {
    "children", "findChildren", "actions", "selectedItems", "selectedIndexes", "selectedRows",
    "sizes", "arguments", "allKeys", "childKeys", "childGroups", "entryList", "selectedFiles",
    "topLevelWidgets", "rawHeaderList", "sliceViewNames",
}  # fmt: skip
QT5_ONLY = {
    "QDesktopWidget": "screens: slicer.app.primaryScreen()",
    "QRegExp": "qt.QRegularExpression",
    "QRegExpValidator": "qt.QRegularExpressionValidator",
    "QTextCodec": "Python's encode and decode",
    "QSignalMapper": "a lambda",
    "setMargin": "setContentsMargins",
    "qrand": "Python's random",
    "setTabStopWidth": "setTabStopDistance",
}
OLD_VTK = {
    "AddActor2D": "AddViewProp",
    "RemoveActor2D": "RemoveViewProp",
}
FOREIGN = {"PySide6", "PySide2", "PyQt5", "PyQt6", "shiboken6", "PythonQt", "torch", "transformers"}
#: what Slicer has; Pillow is bundled with it
AT_FILE_SCOPE = {
    "slicer", "qt", "ctk", "vtk", "vtkmodules", "numpy", "SimpleITK", "med2e3", "med2e3_slicer",
    "__future__", "PIL",
}  # fmt: skip


def _is_qt(name: str) -> bool:
    return name.startswith(QT_ROOTS)


def keywords(node: ast.AST, facts: Facts) -> Found:
    """PythonQt takes no keyword arguments."""
    if not isinstance(node, ast.Call) or not node.keywords:
        return
    name = dotted(node.func)
    if _is_qt(name):
        yield node, f"{name}() takes no keyword arguments"
        return
    if name.startswith(PYTHON_ROOTS) or not isinstance(node.func, ast.Attribute):
        return
    attribute = node.func.attr
    camel = attribute.lower() != attribute
    if attribute not in facts.own_names and camel and attribute in methods():
        yield node, f".{attribute}() is Qt's and takes no keyword arguments"
    elif attribute == "value" and any(each.arg == "type" for each in node.keywords):
        yield node, "QSettings.value takes no type; use slicer.util.settingsValue"


def called_properties(node: ast.AST, facts: Facts) -> Found:
    """A Q_PROPERTY is an attribute."""
    if (
        isinstance(node, ast.Call)
        and not node.args
        and not node.keywords
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in properties()
        and node.func.attr not in facts.own_names
        and node.func.attr.lower() != node.func.attr
        and node.func.attr not in {"singleShot", "sizeHint", "minimumSizeHint"}
    ):
        yield node, f".{node.func.attr} is a property; without parentheses"


def executing(node: ast.AST, facts: Facts) -> Found:
    """``exec`` is ``exec_``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "exec":
            yield node, "use exec_()"


def image_of_bytes(node: ast.AST, facts: Facts) -> Found:
    """QImage over bytes fails or shows garbage."""
    if isinstance(node, ast.Call) and dotted(node.func) == "qt.QImage" and len(node.args) >= 4:
        yield node, "use QPixmap.loadFromData or QImage.fromData with a PPM or PNG"


def paths(node: ast.AST, facts: Facts) -> Found:
    """PythonQt takes no pathlib paths."""
    if not isinstance(node, ast.Call) or not _is_qt(dotted(node.func)):
        return
    for argument in node.args:
        is_path = isinstance(argument, ast.Call) and dotted(argument.func).endswith("Path")
        joined = isinstance(argument, ast.BinOp) and isinstance(argument.op, ast.Div)
        if is_path or (joined and _holds_text(argument)):
            yield node, "give Qt a str, not a pathlib path"


def _holds_text(node: ast.AST) -> bool:
    return any(
        isinstance(each, ast.Constant) and isinstance(each.value, str) for each in ast.walk(node)
    )


def lists(node: ast.AST, facts: Facts) -> Found:
    """PythonQt returns tuples where Qt has lists."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for one, other in ((node.left, node.right), (node.right, node.left)):
            if _gives_tuple(one) and isinstance(other, ast.List | ast.ListComp):
                yield node, "PythonQt returns a tuple here; make a list of it first"
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"append", "extend", "remove", "sort", "pop", "insert"}
        and _gives_tuple(node.func.value)
    ):
        yield node, "PythonQt returns a tuple here; make a list of it first"


def _gives_tuple(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LISTS
    )


def new_in_qt6(node: ast.AST, facts: Facts) -> Found:
    """Slicer 5 has Qt 5.15."""
    if not isinstance(node, ast.Attribute):
        return
    if dotted(node).startswith("qt.") and node.attr in qt6_only.CLASSES:
        yield node, f"qt.{node.attr} is new in Qt 6"
    elif (
        node.attr in qt6_only.UNMISTAKABLE
        and node.attr not in facts.own_names
        and not dotted(node).startswith(("np.", "numpy.", "self."))
    ):
        yield node, f".{node.attr} is new in Qt 6"


def gone_in_qt6(node: ast.AST, facts: Facts) -> Found:
    """Slicer 6 has Qt 6."""
    if isinstance(node, ast.Attribute):
        if node.attr in QT5_ONLY and node.attr not in facts.own_names:
            yield node, f"{node.attr} is gone in Qt 6; use {QT5_ONLY[node.attr]}"
        if node.attr == "margin" and isinstance(node.ctx, ast.Store):
            yield node, "margin is gone in Qt 6; use setContentsMargins"


def old_vtk(node: ast.AST, facts: Facts) -> Found:
    """VTK 9.6 deprecates it."""
    if isinstance(node, ast.Attribute) and node.attr in OLD_VTK:
        yield node, f"{node.attr} is deprecated; use {OLD_VTK[node.attr]}"


def lazy_vtk(node: ast.AST, facts: Facts) -> Found:
    """Slicer after 5.12 loads VTK's modules one by one: ``vtk.util`` is there once it is imported.

    Here all of VTK is loaded, and so is what others have imported.
    """
    if isinstance(node, ast.Attribute) and dotted(node) in {"vtk.util", "vtk.numpy_interface"}:
        yield node, f"from {dotted(node)}.MODULE import NAME; nobody may have imported it"


def own_signals(node: ast.AST, facts: Facts) -> Found:
    """Signals declared in Python are not safe in PythonQt."""
    if isinstance(node, ast.Attribute) and dotted(node) in {"qt.Signal", "qt.Slot", "qt.Property"}:
        yield node, f"no {dotted(node)}; use plain Python callbacks"


def threads(node: ast.AST, facts: Facts) -> Found:
    """Python threads starve in Slicer, and may not touch Qt or MRML."""
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [each.name for each in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [node.module or ""]
    if any(name.split(".")[0] in {"threading", "concurrent", "_thread"} for name in names):
        yield node, "Python threads starve in Slicer; use QProcess, QNetworkAccessManager, QTimer"
    if isinstance(node, ast.Attribute) and dotted(node) in {"qt.QThread", "qt.QThreadPool"}:
        yield node, "QThread does not work from Slicer's Python"


def imports(node: ast.AST, facts: Facts) -> Found:
    """Slicer's Python has the standard library, numpy and SimpleITK."""
    import sys

    if isinstance(node, ast.Import):
        names = [each.name.split(".")[0] for each in node.names]
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        names = [(node.module or "").split(".")[0]]
    else:
        return
    for name in names:
        if name in FOREIGN:
            yield node, f"{name} is not for code that runs in Slicer"
        elif (
            id(node) in facts.at_file_scope
            and name not in AT_FILE_SCOPE
            and name not in sys.stdlib_module_names
        ):
            yield node, f"{name} is imported when the file is; Slicer may not have it"


def installing(node: ast.AST, facts: Facts) -> Found:
    """Nothing is installed when a file is imported."""
    if isinstance(node, ast.Call) and id(node) in facts.at_file_scope:
        if dotted(node.func).split(".")[-1] in {"pip_install", "pip_ensure", "check_call", "run"}:
            yield node, "nothing is installed or started when a file is imported"


RULES: dict[str, Any] = {
    "keywords": keywords,
    "called-property": called_properties,
    "exec": executing,
    "image-of-bytes": image_of_bytes,
    "path": paths,
    "list": lists,
    "qt6-only": new_in_qt6,
    "qt5-only": gone_in_qt6,
    "old-vtk": old_vtk,
    "lazy-vtk": lazy_vtk,
    "signal": own_signals,
    "thread": threads,
    "import": imports,
    "install": installing,
}
