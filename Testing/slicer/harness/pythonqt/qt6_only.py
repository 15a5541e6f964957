"""What Qt 6 has and Slicer 5's Qt 5.15 has not, as listed in ``qt6_only.json``.

``tools/list_qt6_only.py`` writes that list.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_LISTED: dict[str, Any] = json.loads(
    Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
)
CLASSES = frozenset(_LISTED["classes"])
#: names of methods and enumerations that no class of Qt 5 has
UNMISTAKABLE = frozenset(_LISTED["unmistakable"])


def has(cls: type, kind: str, name: str) -> bool:
    """Tell whether a name of a class, of a kind (names, signals, properties), is new in Qt 6."""
    return any(name in _LISTED[kind].get(each.__name__, ()) for each in cls.__mro__)


def names(cls: type) -> frozenset[str]:
    """Return the names of a class and its bases that are new in Qt 6."""
    return frozenset(
        name for each in cls.__mro__ for name in _LISTED["names"].get(each.__name__, ())
    )
