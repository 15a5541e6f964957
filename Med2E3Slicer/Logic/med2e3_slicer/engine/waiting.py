"""The engine's states, and who waits for it to be ready.

Knows names and callbacks; changes no state.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from med2e3.errors import Med2E3Error
from med2e3.protocol import Capabilities
from med2e3_slicer.engine.client import QtEngineClient


class EngineState(Enum):
    """What the engine is doing."""

    STOPPED = "stopped"
    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    BUSY = "busy"
    CRASHED = "crashed"
    REMOTE = "remote"


class Waiting:
    """Somebody who waits for the engine; exactly one of the two is called, none after `abort`."""

    def __init__(
        self,
        on_ready: Callable[[QtEngineClient, Capabilities], None],
        on_error: Callable[[Med2E3Error], None],
        on_state: Callable[[EngineState], None],
    ) -> None:
        self.on_ready = on_ready
        self.on_error = on_error
        self.on_state = on_state
        self.is_over = False

    def abort(self) -> None:
        """Wait no longer; the engine goes on starting."""
        self.is_over = True
