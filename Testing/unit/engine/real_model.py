"""A service with the embedded model in its worker process, and volumes for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fixtures.engine_service import TOKEN, Service, running_service
from med2e3.client import RemoteEngine
from med2e3.engine.worker import WorkerBackend

#: slices, rows, columns of the embedded model
MODEL_SIZE = (32, 64, 64)


@contextmanager
def model_service(**settings: Any) -> Iterator[Service]:
    """Serve the embedded model on the CPU in float32 until the block ends."""
    backend = WorkerBackend(device="cpu", precision="float32")
    with running_service(backend, model="embedded", **settings) as service:
        RemoteEngine(service.address, TOKEN).wait_until_ready(300)
        yield service
