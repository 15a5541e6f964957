"""Plain functions called for the events of Qt widgets and of MRML nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt
import vtk


class _Filter(qt.QObject):
    """Calls a function for each event of the given types; lets every event pass."""

    def set_reactions(self, reactions: Mapping[Any, Callable[[Any], None]]) -> None:
        self._reactions = list(reactions.items())

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 (Qt's name)
        """Qt's hook."""
        for kind, reaction in self._reactions:
            if event.type() == kind:
                reaction(event)
        return False


def watch(widget: Any, reactions: Mapping[Any, Callable[[Any], None]]) -> Any:
    """Call ``reactions[type](event)`` for the widget's events; returns the filter to keep."""
    watcher = _Filter(widget)
    watcher.set_reactions(reactions)
    widget.installEventFilter(watcher)
    return watcher


def watch_node(node: Any, changed: Callable[[], None]) -> Callable[[], None]:
    """Call ``changed`` when a MRML node is modified; returns how to end that."""

    def modified(_caller: Any, _event: str) -> None:
        changed()

    tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, modified)
    return lambda: node.RemoveObserver(tag)
