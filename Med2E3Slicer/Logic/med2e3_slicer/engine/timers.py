"""A timer that fires once, and the end of any timer.

Knows Qt's timer; does not know what is done when it fires.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt


def single_shot(do: Callable[[], None]) -> Any:
    """A ``QTimer`` that calls `do` once each time it was started; keep it as long as it matters."""
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.connect("timeout()", do)
    return timer


def end_timer(timer: Any) -> None:
    """Stop a timer for good.

    Qt holds what a timer calls, and Python's garbage collector cannot see that: without this, what
    a timer calls (a copy of a volume, say) would stay in memory as long as Slicer runs.
    """
    timer.stop()
    timer.deleteLater()
