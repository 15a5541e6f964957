"""Observers of VTK objects that end with the widget they belong to.

Knows: when Qt has deleted a widget.  Does not know: what is observed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import shiboken6


def observe(subject: Any, event: Any, method: Callable[..., Any]) -> int:
    """Call a widget's method at an event of a VTK object, as long as the widget exists.

    Returns:
        The observer's tag.
    """
    kept = weakref.WeakMethod(method)

    def call(caller: Any, name: Any) -> None:
        alive = kept()
        # an observer that removes itself while it runs would free its own code: it stays, deaf
        if alive is not None and shiboken6.isValid(alive.__self__):
            alive(caller, name)

    tag: int = subject.AddObserver(event, call)
    return tag
