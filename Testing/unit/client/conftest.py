"""The service, the volume and the question that the tests of clients share."""

from __future__ import annotations

from unit.engine.conftest import start, volume

__all__ = ["start", "volume"]
