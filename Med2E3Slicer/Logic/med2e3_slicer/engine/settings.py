"""Which engine is used, and what of that is kept between two runs of Slicer.

Knows the choices, their names in Slicer's settings file and their defaults; does not know who
reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qt

from med2e3.devices import AUTO

_GROUP = "Med2E3/Engine"
_IDLE_MINUTES = 30.0


@dataclass(frozen=True)
class EngineChoice:
    """Which engine is used.

    Args:
        python: the Python of the engine here; None while it is not installed.
        model: name or folder of the model that the engine here loads.
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        precision: number format or quantization of the weights; ``auto`` chooses by free memory.
        idle_minutes: without a question for so long the engine here is ended; 0 for never.
        remote_address: of an engine that runs already; empty for the one here.
        remote_token: its token.
    """

    python: Path | None = None
    model: str = "embedded"
    device: str = AUTO
    precision: str = AUTO
    idle_minutes: float = _IDLE_MINUTES
    remote_address: str = ""
    remote_token: str = ""


class EngineSettings:
    """The part of Slicer's own settings that is about the engine.

    Args:
        store: a ``QSettings``; Slicer's own when none is given.
    """

    def __init__(self, store: Any = None) -> None:
        self._store = qt.QSettings() if store is None else store

    def load(self) -> EngineChoice:
        """The choice that was kept; what is missing or damaged has its default."""
        python = self._text("Python")
        return EngineChoice(
            python=Path(python) if python else None,
            model=self._text("Model") or "embedded",
            device=self._text("Device") or AUTO,
            precision=self._text("Precision") or AUTO,
            idle_minutes=self._minutes(),
            remote_address=self._text("RemoteAddress"),
            remote_token=self._text("RemoteToken"),
        )

    def save(self, choice: EngineChoice, *, keep_token: bool = False) -> None:
        """Keep a choice.

        Args:
            choice: all of it.
            keep_token: also the token, which can then be read by whoever can read the person's
                files; without it a token that was kept before is removed.
        """
        self._set("Python", str(choice.python or ""))
        self._set("Model", choice.model)
        self._set("Device", choice.device)
        self._set("Precision", choice.precision)
        self._set("IdleMinutes", str(choice.idle_minutes))
        self._set("RemoteAddress", choice.remote_address)
        if keep_token and choice.remote_token:
            self._set("RemoteToken", choice.remote_token)
        else:
            self._store.remove(f"{_GROUP}/RemoteToken")

    @property
    def agreed_addresses(self) -> frozenset[str]:
        """Addresses to which the person agreed for good to send pictures and questions."""
        try:
            values = json.loads(self._text("AgreedAddresses") or "[]")
        except ValueError:
            values = []
        return frozenset(map(str, values)) if isinstance(values, list) else frozenset()

    @agreed_addresses.setter
    def agreed_addresses(self, value: Iterable[str]) -> None:
        self._set("AgreedAddresses", json.dumps(sorted(value)))

    def _minutes(self) -> float:
        try:
            return max(0.0, float(self._text("IdleMinutes") or _IDLE_MINUTES))
        except ValueError:
            return _IDLE_MINUTES

    def _text(self, name: str) -> str:
        value = self._store.value(f"{_GROUP}/{name}", "")
        return value if isinstance(value, str) else ""

    def _set(self, name: str, value: str) -> None:
        self._store.setValue(f"{_GROUP}/{name}", value)
