"""A timer that fires once.

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
