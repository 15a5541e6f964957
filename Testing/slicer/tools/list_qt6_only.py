"""Write ``harness/pythonqt/qt6_only.json``: what Qt 6 has and Qt 5.15, Slicer 5's Qt, has not.

Run twice, since PyQt5 and PySide6 do not live in one process::

    python list_qt6_only.py dump names.json       # in an environment with PyQt5 5.15
    python list_qt6_only.py compare names.json    # in the development environment
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

PARTS = ("QtCore", "QtGui", "QtWidgets", "QtNetwork", "QtPrintSupport", "QtSvg", "QtXml")
TARGET = Path(__file__).resolve().parents[1] / "harness" / "pythonqt" / "qt6_only.json"
#: in Qt 5 too, though PyQt5 leaves them out
IN_QT5 = {
    "connect", "emit", "isTopLevel", "topLevelWidget", "redirected", "name", "splitCommand",
    "environment", "setEnvironment", "isTestModeEnabled", "doItemsLayout", "backingStore",
    "setInverted", "setHeaders", "startAutoScroll", "stopAutoScroll", "swapItemsAt", "toList",
    "registerType", "typeId", "removeOne", "removeFirst", "removeLast", "setSocket", "sizeOf",
}  # fmt: skip
#: virtual functions, which Qt itself looks for
VIRTUAL = {"clone", "supportedDragActions", "adoptLayout", "resolveInterface"}


def classes(binding: str) -> dict[str, Any]:
    """Return every public class of a binding by name."""
    found: dict[str, Any] = {}
    for part in PARTS:
        module = importlib.import_module(f"{binding}.{part}")
        for name in dir(module):
            if isinstance(getattr(module, name), type) and name.startswith("Q"):
                found[name] = getattr(module, name)
    return found


def signals(meta: Any, kind: Any) -> list[str]:
    """Return the signatures of the signals of a meta object."""
    methods = [meta.method(index) for index in range(meta.methodCount())]
    return [bytes(each.methodSignature()).decode() for each in methods if each.methodType() == kind]


def describe(binding: str) -> dict[str, Any]:
    """Return names, signals and properties of every class of a binding."""
    core = importlib.import_module(f"{binding}.QtCore")
    kind = core.QMetaMethod.Signal if binding == "PyQt5" else core.QMetaMethod.MethodType.Signal
    described = {}
    for name, cls in classes(binding).items():
        members = dir(cls) if binding == "PyQt5" else list(vars(cls))
        entry = {"names": [each for each in members if not each.startswith("_")]}
        meta = getattr(cls, "staticMetaObject", None)
        if meta is not None:
            entry["signals"] = signals(meta, kind)
            entry["properties"] = [
                meta.property(index).name() for index in range(meta.propertyCount())
            ]
        described[name] = entry
    return described


def compare(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return what is in ``new`` only."""
    only: dict[str, Any] = {"classes": [], "names": {}, "signals": {}, "properties": {}}
    for name, entry in sorted(new.items()):
        if name not in old:
            only["classes"].append(name)
            continue
        for kind in ("names", "signals", "properties"):
            left = sorted(set(entry.get(kind, ())) - set(old[name].get(kind, ())))
            left = [each for each in left if each not in IN_QT5 | VIRTUAL]
            if left and (kind == "names" or kind in old[name]):
                only[kind][name] = left
    known = {each for entry in old.values() for each in entry["names"]}
    fresh = {each for names in only["names"].values() for each in names} - known
    # names that no class of Qt 5 has and that look like Qt's; the lint searches for them
    only["unmistakable"] = sorted(each for each in fresh if each.lower() != each)
    return only


def main() -> None:
    """Dump or compare."""
    what, file = sys.argv[1], Path(sys.argv[2])
    if what == "dump":
        file.write_text(json.dumps(describe("PyQt5")), encoding="utf-8")
        return
    only = compare(json.loads(file.read_text(encoding="utf-8")), describe("PySide6"))
    TARGET.write_text(json.dumps(only, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
