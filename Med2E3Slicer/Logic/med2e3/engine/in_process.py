"""A backend that answers in one thread of this process, one question at a time.

Knows a session and a queue; knows nothing of HTTP.  A crash of the model is a crash of the service
here, so it is for tests and for the smallest machines; :mod:`med2e3.engine.worker` is the one that
survives.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from med2e3.asking import Done, Event
from med2e3.devices import AUTO
from med2e3.engine.backend import Job, LoadedModel, State, Status
from med2e3.engine.loaded import licence_of, model_record
from med2e3.errors import InputError, Med2E3Error
from med2e3.protocol import ModelNotReady, UnknownVolume
from med2e3.session import Session
from med2e3.weights import resolve_model

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Volume:
    voxels: npt.NDArray[np.float32]
    sha256: str


class _Running:
    """One job: its events, and how it is stopped."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event | BaseException | None] = asyncio.Queue()
        self.stop = threading.Event()
        self.future: Future[None] | None = None


class InProcessBackend:
    """See :class:`med2e3.engine.backend.Backend`.

    Args:
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        precision: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
    """

    def __init__(self, *, device: str = AUTO, precision: str = AUTO) -> None:
        self._device, self._precision = device, precision
        self._state: State = "unloaded"
        self._problem = ""
        self._session: Session | None = None
        self._model: LoadedModel | None = None
        self._volumes: dict[str, _Volume] = {}
        self._running: dict[str, _Running] = {}
        self._answering = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def start(self) -> None:
        """Nothing is needed."""

    async def close(self) -> None:
        """Stop every job and the thread."""
        for running in self._running.values():
            running.stop.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def status(self) -> Status:
        """The present state."""
        return Status(
            state=self._state,
            model=self._model,
            problem=self._problem,
            waiting=len(self._running) - self._answering,
            running=self._answering,
            volumes=len(self._volumes),
        )

    async def load(self, model: str) -> None:
        """Load a model; see :meth:`med2e3.engine.backend.Backend.load`."""
        self._state, self._problem, self._model = "loading", "", None
        try:
            self._session, self._model = await self._in_thread(lambda: self._load(model))
            self._state = "ready"
        except Med2E3Error as error:
            self._session, self._state, self._problem = None, "failed", error.sentence
            raise

    async def unload(self) -> None:
        """Free the model's memory once the present question is done."""
        self._state, self._problem, self._model = "unloaded", "", None
        await self._in_thread(self._forget)

    async def put_volume(self, sha256: str, voxels: npt.NDArray[np.float32]) -> None:
        """Keep a model input."""
        if self._model is not None and voxels.shape != self._model.input_size:
            raise InputError(
                f"The volume was prepared as {voxels.shape}, but this model takes "
                f"{self._model.input_size}.",
                hint="Prepare it with the model's own input size.",
            )
        self._volumes[sha256] = _Volume(voxels, sha256)

    async def drop_volume(self, sha256: str) -> None:
        """Forget a volume; its features go with the least recently used ones."""
        self._volumes.pop(sha256, None)

    async def ask(self, job: Job) -> AsyncIterator[Event]:
        """Answer a question, after those that came before."""
        running = self._running[job.id] = _Running()
        loop = asyncio.get_running_loop()

        def say(item: Event | BaseException | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(running.events.put_nowait, item)

        running.future = self._thread.submit(self._answer, job, running.stop, say)
        try:
            while (item := await running.events.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            running.stop.set()
            running.future.cancel()
            self._running.pop(job.id, None)

    def cancel(self, job: str) -> None:
        """Stop a job, also one that still waits."""
        running = self._running.get(job)
        if running is None:
            return
        running.stop.set()
        if running.future is not None and running.future.cancel():
            running.events.put_nowait(Done("", (), (), (), "cancelled"))
            running.events.put_nowait(None)

    # ---- in the thread ---------------------------------------------------------------------

    def _answer(
        self, job: Job, stop: threading.Event, say: Callable[[Event | BaseException | None], None]
    ) -> None:
        self._answering += 1
        try:
            volume = self._volumes.get(job.volume)
            if self._session is None:
                raise ModelNotReady("No model is loaded.", hint="Load a model, then ask again.")
            if volume is None:
                raise UnknownVolume("The engine does not hold this volume (any more).")
            for event in self._session.ask(volume, job.question, job.options, cancel=stop):
                say(event)
            say(None)
        except BaseException as error:  # told to the one who asked
            say(error)
        finally:
            self._answering -= 1

    def _load(self, model: str) -> tuple[Session, LoadedModel]:
        self._session = None
        folder = resolve_model(model)
        session = Session.load(folder, device=self._device, dtype=self._precision)
        record = model_record(folder)
        return session, LoadedModel(
            record=record,
            input_size=session.input_size,
            context_length=session.config.context_length,
            device=session.device,
            dtype=session.dtype,
            licence=licence_of(record),
        )

    def _forget(self) -> None:
        self._session = None

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.wrap_future(self._thread.submit(work))
