"""A backend whose model lives in a process of its own (see :mod:`med2e3.engine.backend`).

This process keeps what must survive: volumes, and questions that were accepted.  It starts the
process with the model, gives it what it needs, passes on what it says, and starts it again when it
ends unexpectedly.  Knows nothing of HTTP, and imports no torch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress

import numpy as np
import numpy.typing as npt

from med2e3.asking import Done, Event
from med2e3.devices import AUTO
from med2e3.engine.backend import Job, LoadedModel, State, Status
from med2e3.engine.loaded import check_model
from med2e3.engine.worker import frames, wire
from med2e3.engine.worker.jobs import Pending
from med2e3.engine.worker.process import COMMAND, WorkerProcess
from med2e3.engine.worker.restarts import Restarts
from med2e3.errors import EngineCrashedError, Med2E3Error
from med2e3.protocol import EngineUnreachable, ModelNotReady, UnknownVolume

#: seconds that a cancelled answer is waited for, to hear what the model knows of it
_GRACE = 0.5


class WorkerBackend:
    """Holds a model in a process of its own; every method is called on one event loop.

    Args:
        model: loaded as soon as the backend is started; None waits for :meth:`load`.
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        precision: number format or quantization of the weights, as ``Session.load`` takes it.
        restarts: how often the process is started again.
        command: what is started.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        device: str = AUTO,
        precision: str = AUTO,
        restarts: Restarts | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._first_model = model
        self._device, self._precision = device, precision
        self._restarts = restarts or Restarts()
        self._command = command
        self._state: State = "unloaded"
        self._problem: Med2E3Error | None = None
        self._model: LoadedModel | None = None
        self._named = ""
        self._ready: asyncio.Future[None] | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._process: WorkerProcess | None = None
        self._changing = asyncio.Lock()
        self._volumes: dict[str, npt.NDArray[np.float32]] = {}
        self._jobs: dict[str, Pending] = {}
        self._memory = (0, 0)

    # ---- what the service calls ------------------------------------------------------------

    async def start(self) -> None:
        """Begin to work; a model that was named is loaded meanwhile."""
        if self._first_model is not None and self._supervisor is None:
            self._begin(self._first_model)

    async def close(self) -> None:
        """End the process, and every question with an error."""
        async with self._changing:
            await self._stop(EngineUnreachable("The engine is being stopped."))

    def status(self) -> Status:
        """The present state."""
        running = sum(pending.begun for pending in self._jobs.values())
        total, free = self._memory
        return Status(
            state=self._state,
            model=self._model,
            problem=self._problem.sentence if self._problem else "",
            waiting=len(self._jobs) - running,
            running=running,
            volumes=len(self._volumes),
            memory_total=total,
            memory_free=free,
            restarts=self._restarts.total,
            replicas_ready=int(self._state == "ready"),
        )

    @property
    def worker_pid(self) -> int | None:
        """Process id of the process with the model, for those who watch it."""
        return self._process.pid if self._process else None

    def check(self, model: str) -> None:
        """Whether there is a model of this name or folder; see :func:`check_model`."""
        check_model(model)

    async def load(self, model: str) -> None:
        """Load a model in a fresh process; returns when it is ready.

        Raises:
            Med2E3Error: when it cannot be loaded.
        """
        async with self._changing:
            under_way = self._state in ("loading", "ready", "restarting")
            if not (under_way and self._named == model):
                await self._stop(ModelNotReady("The model was changed.", hint="Ask again."))
                self._begin(model)
            ready = self._ready
        assert ready is not None
        await asyncio.shield(ready)

    async def unload(self) -> None:
        """End the process with the model, which frees all of its memory; volumes stay."""
        async with self._changing:
            await self._stop(ModelNotReady("The model was unloaded.", hint="Load a model."))

    async def put_volume(self, sha256: str, voxels: npt.NDArray[np.float32]) -> None:
        """Keep a model input here; the process with the model gets it when it is asked about.

        Raises:
            InputError: when its shape is not what the loaded model takes.
        """
        if self._model is not None:
            self._model.check_takes(voxels)
        self._volumes.setdefault(sha256, np.ascontiguousarray(voxels, np.float32))

    async def drop_volume(self, sha256: str) -> None:
        """Forget a volume here and in the process with the model."""
        self._volumes.pop(sha256, None)
        if self._process is not None and sha256 in self._process.volumes:
            self._process.volumes.discard(sha256)
            self._process.post({"say": wire.DROP, "volume": sha256})

    async def ask(self, job: Job) -> AsyncIterator[Event]:
        """Answer a question; see :meth:`med2e3.engine.backend.Backend.ask`.

        Raises:
            ModelNotReady: when no model is loaded or being loaded.
            UnknownVolume: when the volume was not put, or was dropped.
            EngineCrashedError: when the process ended after a part of the answer was told, or
                twice before.
        """
        if self._state == "failed" and self._problem is not None:
            raise ModelNotReady(self._problem.sentence, hint=self._problem.hint)
        if self._state == "unloaded":
            raise ModelNotReady("No model is loaded.", hint="Load a model, then ask again.")
        if job.volume not in self._volumes:
            raise _no_volume()
        pending = self._jobs[job.id] = Pending(job)
        self._send_waiting()
        try:
            while True:
                outcome = await pending.outcomes.get()
                if isinstance(outcome, Med2E3Error):
                    raise outcome
                yield outcome
                if isinstance(outcome, Done):
                    return
        finally:
            if not pending.finished:
                self._tell_to_cancel(pending)
                self._forget(pending)
                self._send_waiting()

    def cancel(self, job: str) -> None:
        """Stop a job; what the model knows of its answer is waited for only shortly."""
        pending = self._jobs.get(job)
        if pending is None or pending.cancelled:
            return
        pending.cancelled = True
        if pending.sent and self._process is not None:
            self._tell_to_cancel(pending)
            asyncio.get_running_loop().call_later(_GRACE, self._end, pending)
        else:
            self._end(pending)

    # ---- questions -------------------------------------------------------------------------

    def _send_waiting(self) -> None:
        """Send what was not sent; questions that were under way at a crash go one at a time.

        If it is one of them that ends the process, it ends it without the others.
        """
        if self._state != "ready" or self._process is None:
            return
        suspect_is_out = any(p.sent and p.crashes for p in self._jobs.values())
        for pending in list(self._jobs.values()):
            if pending.sent or (pending.crashes and suspect_is_out):
                continue
            suspect_is_out = suspect_is_out or bool(pending.crashes)
            self._send(pending, self._process)

    def _send(self, pending: Pending, process: WorkerProcess) -> None:
        sha256 = pending.job.volume
        voxels = self._volumes.get(sha256)
        if voxels is None:
            pending.tell(_no_volume())
            self._forget(pending)
            return
        if sha256 not in process.volumes:
            process.volumes.add(sha256)
            shape = list(voxels.shape)
            process.post({"say": wire.VOLUME, "volume": sha256, "shape": shape}, voxels)
        pending.sent = True
        process.post(wire.job_to_json(pending.job))

    def _tell_to_cancel(self, pending: Pending) -> None:
        if pending.sent and self._process is not None:
            self._process.post({"say": wire.CANCEL, "id": pending.job.id})

    def _end(self, pending: Pending) -> None:
        pending.end()
        self._forget(pending)
        self._send_waiting()

    def _forget(self, pending: Pending) -> None:
        if self._jobs.get(pending.job.id) is pending:
            del self._jobs[pending.job.id]

    # ---- the process -----------------------------------------------------------------------

    def _begin(self, model: str) -> None:
        self._state, self._problem, self._named = "loading", None, model
        self._ready = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())
        self._supervisor = asyncio.create_task(self._supervise(model))

    async def _stop(self, why: Med2E3Error) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            with suppress(asyncio.CancelledError):
                await self._supervisor
            self._supervisor = None
        self._settle("unloaded", why)
        self._problem = None

    def _settle(self, state: State, why: Med2E3Error) -> None:
        """There is no model any more, and nothing that brings it back."""
        self._state, self._problem, self._model = state, why, None
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(why)
        for pending in self._jobs.values():
            pending.tell(why)
        self._jobs.clear()

    async def _supervise(self, model: str) -> None:
        self._restarts.worked()
        while True:
            try:
                error, final = await self._run(model)
            except OSError as cause:
                error, final = _not_started(cause), True
            except Exception as cause:  # it said what cannot be understood
                error, final = _crashed(repr(cause)), False
            if final:
                self._settle("failed", error)
                return
            wait = self._restarts.crashed()
            if wait is None:
                self._settle("failed", _crashes_again(error))
                return
            self._state, self._model = "restarting", None
            self._after_a_crash(error)
            await asyncio.sleep(wait)

    async def _run(self, model: str) -> tuple[Med2E3Error, bool]:
        """One life of the process; returns why it ended, and whether for good."""
        process = self._process = await WorkerProcess.start(self._command)
        broken: tuple[Med2E3Error, bool] | None = None
        try:
            process.post(
                {
                    "say": wire.LOAD,
                    "model": model,
                    "device": self._device,
                    "precision": self._precision,
                }
            )
            async with aclosing(process.messages()) as messages:
                async for message in messages:
                    if message["say"] == wire.BROKEN:
                        broken = wire.broken_from_json(message)
                        break  # its last word; tidying up may take it long, or hang
                    self._handle(message)
        finally:
            self._process, self._memory = None, (0, 0)
            code = await process.end()
        return broken or (_crashed(f"exit code {code}"), False)

    def _handle(self, message: frames.Message) -> None:
        match message["say"]:
            case wire.LOADED:
                self._model = wire.model_from_json(message["model"])
                self._state = "ready"
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(None)
                self._send_waiting()
            case wire.MEMORY:
                self._memory = (message["total"], message["free"])
            case wire.EVENT:
                pending = self._jobs.get(message["id"])
                outcome = wire.outcome_from_json(message)
                if isinstance(outcome, Done) and outcome.finish_reason != "cancelled":
                    self._restarts.worked()
                if pending is None or outcome is None:
                    return
                pending.tell(outcome)
                if pending.finished:
                    self._forget(pending)
                    self._send_waiting()

    def _after_a_crash(self, error: Med2E3Error) -> None:
        for pending in list(self._jobs.values()):
            pending.crashes += pending.begun
            if pending.cancelled:
                self._end(pending)
            elif pending.has_tokens or pending.crashes > 1:
                pending.tell(error)
                self._forget(pending)
            else:
                pending.take_back()


def _no_volume() -> Med2E3Error:
    return UnknownVolume("The engine does not hold this volume (any more).", hint="Put it again.")


def _crashed(detail: str) -> Med2E3Error:
    return EngineCrashedError(
        "The process with the model stopped unexpectedly and is started again.",
        hint="Ask again.",
        detail=detail,
    )


def _crashes_again(error: Med2E3Error) -> Med2E3Error:
    return EngineCrashedError(
        "The process with the model stopped again and again, so it is not started any more.",
        hint="Load the model again; look into the engine's log, and try another device.",
        detail=f"last: {error.sentence} {error.detail}",
    )


def _not_started(cause: OSError) -> Med2E3Error:
    return EngineCrashedError(
        "The process with the model cannot be started.",
        hint="Install the software again.",
        detail=repr(cause),
    )
