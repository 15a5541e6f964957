"""Plain functions called for Qt events, through one small event filter.

Keep a reference to what :func:`watch` returns: the filter lives as long as that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt


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
