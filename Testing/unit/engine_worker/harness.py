"""A backend with a real process, and what asks it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from med2e3.asking import Event, GenerationOptions, Question
from med2e3.engine.backend import Job
from med2e3.engine.worker import WorkerBackend
from med2e3.engine.worker.restarts import Restarts
from med2e3.errors import Med2E3Error

FAULTY = (sys.executable, str(Path(__file__).with_name("faulty_child.py")))
SIZE = (32, 64, 64)
VOLUMES = ("volume a", "volume b")
Result = TypeVar("Result")


def voxels(name: str) -> np.ndarray:
    rng = np.random.default_rng(VOLUMES.index(name))
    ramp = np.linspace(0.1, 1, SIZE[0], dtype=np.float32)[:, None, None]
    return rng.random(SIZE, dtype=np.float32) * ramp


class Scan:
    """A volume for a session."""

    def __init__(self, name: str) -> None:
        self.sha256 = name
        self.voxels = voxels(name)


class Worker:
    """A backend whose process can be told to fail, with its event loop.

    Starting the process takes seconds, so that tests share it.
    """

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._fault = folder / "fault.json"
        self._count = 0
        os.environ["MED2E3_TEST_FAULT"] = str(self._fault)
        self.backend = WorkerBackend(
            device="cpu",
            precision="float32",
            restarts=Restarts(most=3, first_wait_s=0.05),
            command=FAULTY,
        )

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine with the backend."""
        return self._loop.run_until_complete(work)

    async def ready(self) -> None:
        """The embedded model is loaded and has forgotten the volumes, which are there."""
        for name in VOLUMES:
            await self.backend.drop_volume(name)
            await self.backend.put_volume(name, voxels(name))
        await self.backend.load("embedded")

    @contextmanager
    def fault(self, **fault: Any) -> Iterator[Path]:
        """Let the model fail; see ``faulty_child.py``.  Gives the file that says so."""
        self._fault.write_text(json.dumps(fault))
        try:
            yield self._fault
        finally:
            self._fault.unlink(missing_ok=True)

    async def ask(
        self,
        text: str = "Where is the nodule?",
        *,
        volume: str = VOLUMES[0],
        client: str = "a client",
        on_event: Callable[[Event, str], Any] | None = None,
        **options: Any,
    ) -> list[Any]:
        """All events; an error is the last of them."""
        self._count += 1
        job = Job(
            f"job {self._count}", client, volume, Question(text),
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

    def close(self) -> None:
        """End everything."""
        self.run(self.backend.close())
        self._loop.close()
        with suppress(KeyError):
            del os.environ["MED2E3_TEST_FAULT"]
