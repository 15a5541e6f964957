"""A backend with a real process, and what asks it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from med2e3.asking import Event, GenerationOptions, Question
from med2e3.engine.backend import Job
from med2e3.engine.worker import WorkerBackend
from med2e3.engine.worker.restarts import Restarts
from med2e3.errors import Med2E3Error

FAULTY = (sys.executable, str(Path(__file__).with_name("faulty_child.py")))
SIZE = (32, 64, 64)
VOLUMES = ("volume a", "volume b")


def voxels(name: str) -> np.ndarray:
    rng = np.random.default_rng(VOLUMES.index(name))
    ramp = np.linspace(0.1, 1, SIZE[0], dtype=np.float32)[:, None, None]
    return rng.random(SIZE, dtype=np.float32) * ramp


class Scan:
    """A volume for a session."""

    def __init__(self, name: str) -> None:
        self.sha256 = name
        self.voxels = voxels(name)


class Asker:
    """Asks a backend and collects what it says."""

    def __init__(self, backend: WorkerBackend) -> None:
        self.backend = backend
        self.count = 0

    async def __call__(
        self,
        text: str = "Where is the nodule?",
        *,
        volume: str = VOLUMES[0],
        client: str = "a client",
        on_event: Callable[[Event, str], Any] | None = None,
        **options: Any,
    ) -> list[Event | Med2E3Error]:
        """All events; an error is the last of them."""
        self.count += 1
        job = Job(
            f"job {self.count}", client, volume, Question(text),
            GenerationOptions(**{"max_new_tokens": 12} | options),
        )  # fmt: skip
        events: list[Event | Med2E3Error] = []
        try:
            async for event in self.backend.ask(job):
                events.append(event)
                if on_event is not None:
                    on_event(event, job.id)
        except Med2E3Error as error:
            events.append(error)
        return events


@asynccontextmanager
async def a_backend(**options: Any) -> AsyncIterator[Asker]:
    """A started backend that holds the volumes and has loaded the embedded model."""
    restarts = Restarts(first_wait_s=0.05)
    backend = WorkerBackend(device="cpu", precision="float32", restarts=restarts, **options)
    await backend.start()
    try:
        for name in VOLUMES:
            await backend.put_volume(name, voxels(name))
        await backend.load("embedded")
        yield Asker(backend)
    finally:
        await backend.close()


def run(work: Any) -> Any:
    """Run a coroutine; a test that hangs fails."""
    return asyncio.run(asyncio.wait_for(work, 500))
