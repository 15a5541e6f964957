"""What is kept of the engine between two runs of Slicer.

Knows the names of the settings and their defaults; does not know who reads them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import qt

from med2e3.devices import AUTO

_GROUP = "Med2E3/Engine"


class EngineSettings:
    """The engine's settings in Slicer's own settings file.

    Args:
        store: a ``QSettings``; Slicer's own when none is given.
    """

    def __init__(self, store: Any = None) -> None:
        self._store = qt.QSettings() if store is None else store

    @property
    def python(self) -> Path | None:
        """The engine's Python; None while it is not installed."""
        text = self._text("Python")
        return Path(text) if text else None

    @python.setter
    def python(self, value: Path | None) -> None:
        self._set("Python", "" if value is None else str(value))

    @property
    def model(self) -> str:
        """Name or folder of the model that the local engine loads."""
        return self._text("Model") or "embedded"

    @model.setter
    def model(self, value: str) -> None:
        self._set("Model", value)

    @property
    def device(self) -> str:
        """``auto``, ``cuda``, ``mps`` or ``cpu``."""
        return self._text("Device") or AUTO

    @device.setter
    def device(self, value: str) -> None:
        self._set("Device", value)

    @property
    def precision(self) -> str:
        """Number format or quantization of the weights; ``auto`` chooses by free memory."""
        return self._text("Precision") or AUTO

    @precision.setter
    def precision(self, value: str) -> None:
        self._set("Precision", value)

    @property
    def idle_minutes(self) -> float:
        """Minutes without a question after which the local engine is ended; 0 for never."""
        try:
            return max(0.0, float(self._text("IdleMinutes") or 30))
        except ValueError:
            return 30.0

    @idle_minutes.setter
    def idle_minutes(self, value: float) -> None:
        self._set("IdleMinutes", str(float(value)))

    @property
    def remote_address(self) -> str:
        """Address of the engine elsewhere; empty for the local one."""
        return self._text("RemoteAddress")

    @remote_address.setter
    def remote_address(self, value: str) -> None:
        self._set("RemoteAddress", value)

    @property
    def remote_token(self) -> str:
        """Its token, if the person asked to keep it; otherwise empty."""
        return self._text("RemoteToken")

    @remote_token.setter
    def remote_token(self, value: str) -> None:
        if value:
            self._set("RemoteToken", value)
        else:
            self._store.remove(f"{_GROUP}/RemoteToken")

    @property
    def agreed_addresses(self) -> frozenset[str]:
        """Addresses to which the person agreed for good to send pictures and questions."""
        try:
            values = json.loads(self._text("AgreedAddresses") or "[]")
        except ValueError:
            return frozenset()
        return frozenset(str(value) for value in values) if isinstance(values, list) else frozenset()

    @agreed_addresses.setter
    def agreed_addresses(self, value: frozenset[str] | set[str]) -> None:
        self._set("AgreedAddresses", json.dumps(sorted(value)))

    def _text(self, name: str) -> str:
        value = self._store.value(f"{_GROUP}/{name}", "")
        return value if isinstance(value, str) else ""

    def _set(self, name: str, value: str) -> None:
        self._store.setValue(f"{_GROUP}/{name}", value)
