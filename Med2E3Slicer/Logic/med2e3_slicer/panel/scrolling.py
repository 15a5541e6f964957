"""The part of the panel that scrolls under the notice, which stays in sight.

Knows Qt's scroll area: it is never narrower than what it holds, and the wheel scrolls it also over
a box with choices, which takes the wheel only when it was clicked before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

from .events import watch


class _Guard(qt.QObject):
    """Leaves the wheel to the scroll area around a widget that a person does not use now."""

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 (Qt's name)
        """Qt's hook."""
        if event.type() != qt.QEvent.Wheel or watched.hasFocus():
            return False
        event.ignore()
        return True


def tend(area: Any) -> list[Any]:
    """Keep a scroll area wide enough and its wheel harmless; returns the filters to keep."""
    content = area.widget()
    guard = _Guard(area)
    for kind in (qt.QComboBox, qt.QAbstractSpinBox):
        for each in content.findChildren(kind):
            each.setFocusPolicy(qt.Qt.StrongFocus)  # as it was, less the wheel
            each.installEventFilter(guard)
    fit = _width_keeper(area, content)
    fit(None)
    return [guard, watch(content, {qt.QEvent.LayoutRequest: fit})]


def _width_keeper(area: Any, content: Any) -> Callable[[Any], None]:
    """What to do when the content is laid out anew: it scrolls up and down, never sideways."""

    def fit(_event: Any) -> None:
        bar = area.verticalScrollBar().property("sizeHint").width()
        width = content.property("minimumSizeHint").width() + bar
        if area.minimumWidth != width:
            area.setMinimumWidth(width)

    return fit
