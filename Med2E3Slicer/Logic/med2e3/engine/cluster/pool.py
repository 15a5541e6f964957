"""A backend of several replicas (see :mod:`med2e3.engine.backend`).

Keeps what must survive a replica: the volumes, and the questions that were accepted.  A volume's
questions go to the replica that has its features; when that one is lost, the volume is put on
another one and the questions are asked there again, from where their answers were.  Knows replicas
as links; knows nothing of Ray, of HTTP or of models.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from med2e3.asking import Done, Event
from med2e3.engine.backend import Job, LoadedModel, State, Status
from med2e3.engine.cluster.failures import (
    MOST_LOSSES,
    NoReplica,
    lost_too_often,
    no_volume,
    unexpected,
)
from med2e3.engine.cluster.known import KnownReplica, Link, alike
from med2e3.engine.worker import wire
from med2e3.engine.worker.jobs import Pending
from med2e3.errors import DeviceLostError, EngineCrashedError, InputError, Med2E3Error
from med2e3.protocol import EngineUnreachable, ModelNotReady, UnknownVolume

_log = logging.getLogger(__name__)
#: seconds between two looks at a replica
_LOOKS_S = 0.25
#: seconds that a cancelled answer is waited for
_GRACE_S = 0.5


class PoolBackend:
    """Answers with several replicas; every method is called on one event loop.

    Args:
        links: the replicas.
        silence_s: a replica that says nothing for so long is lost.
        patience_s: without any replica for so long, questions end with an error.
        leave: called at the end.
    """

    def __init__(
        self,
        links: Sequence[Link],
        *,
        leave: Callable[[], None] = lambda: None,
        silence_s: float = 15.0,
        patience_s: float = 120.0,
    ) -> None:
        self._leave = leave
        self._silence_s, self._patience_s = silence_s, patience_s
        self._replicas = [KnownReplica(link) for link in links]
        self._named: str | None = None
        self._model: LoadedModel | None = None
        self._volumes: dict[str, npt.NDArray[np.float32]] = {}
        self._homes: dict[str, KnownReplica] = {}
        self._jobs: dict[str, Pending] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._alone = asyncio.Lock()
        self._alive_at = time.monotonic()

    # ---- what the service calls ------------------------------------------------------------

    async def start(self) -> None:
        """Begin to look at the replicas; loads nothing."""
        self._alive_at = time.monotonic()
        for replica in self._replicas:
            self._spawn(self._tend(replica))

    async def close(self) -> None:
        """End every question with an error, and the replicas."""
        self._end_all(EngineUnreachable("The engine is being stopped."))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for replica in self._replicas:
            replica.link.kill()
        await asyncio.to_thread(self._leave)

    def status(self) -> Status:
        """All replicas as one; memory is the sum of theirs."""
        running = sum(pending.begun for pending in self._jobs.values())
        state, problem = self._state()
        return Status(
            state=state,
            model=self._model if state == "ready" else None,
            problem=problem,
            waiting=len(self._jobs) - running,
            running=running,
            volumes=len(self._volumes),
            memory_total=sum(r.memory[0] for r in self._replicas if r.alive),
            memory_free=sum(r.memory[1] for r in self._replicas if r.alive),
            restarts=sum(r.crashes + r.losses for r in self._replicas),
            replicas=len(self._replicas),
            replicas_ready=sum(r.ready for r in self._replicas),
        )

    async def load(self, model: str) -> None:
        """Load a model on every replica; returns when one of them is ready.

        Raises:
            Med2E3Error: when none can load it.
        """
        if model != self._named:
            self._end_all(ModelNotReady("The model was changed.", hint="Ask again."))
        self._named, self._model = model, None
        for replica in self._replicas:
            if replica.alive:
                self._want(replica, model)
        while self._named == model:
            state, problem = self._state()
            if state == "ready":
                return
            if state == "failed":
                raise ModelNotReady(problem, hint="Load another model.")
            await self._next_news()
        raise ModelNotReady("The model was changed.", hint="Ask again.")

    async def unload(self) -> None:
        """Free the memory of all replicas; volumes stay."""
        self._named = self._model = None
        self._end_all(ModelNotReady("The model was unloaded.", hint="Load a model."))
        for replica in self._replicas:
            replica.wanted = None
            with suppress(Med2E3Error):
                await replica.link.unload()

    async def put_volume(self, sha256: str, voxels: npt.NDArray[np.float32]) -> None:
        """Keep a model input here; a replica gets it when it is asked about.

        Raises:
            InputError: when its shape is not what the loaded model takes.
        """
        if self._model is not None and voxels.shape != self._model.input_size:
            raise InputError(
                f"The volume was prepared as {voxels.shape}, but this model takes "
                f"{self._model.input_size}.",
                hint="Prepare it with the model's own input size.",
            )
        self._volumes.setdefault(sha256, np.ascontiguousarray(voxels, np.float32))

    async def drop_volume(self, sha256: str) -> None:
        """Forget a volume here and on every replica."""
        self._volumes.pop(sha256, None)
        self._homes.pop(sha256, None)
        for replica in self._replicas:
            if (putting := replica.volumes.pop(sha256, None)) is not None:
                putting.cancel()
                with suppress(Med2E3Error):
                    async with asyncio.timeout(self._silence_s):
                        await replica.link.drop(sha256)

    async def ask(self, job: Job) -> AsyncIterator[Event]:
        """Answer a question; see :meth:`med2e3.engine.backend.Backend.ask`.

        Raises:
            ModelNotReady: when there is no model to answer.
            UnknownVolume: when the volume was not put, or was dropped.
            EngineCrashedError: when replica after replica was lost, or another one would
                contradict what was told.
            EngineUnreachable: when no replica came back.
        """
        if self._named is None:
            raise ModelNotReady("No model is loaded.", hint="Load a model, then ask again.")
        if job.volume not in self._volumes:
            raise no_volume()
        if job.options.temperature > 0 and job.options.seed is None:
            # so that another replica would draw the same words
            job = replace(job, options=replace(job.options, seed=secrets.randbelow(1 << 31)))
        pending = self._jobs[job.id] = Pending(job)
        answering = self._spawn(self._answer(pending))
        try:
            while True:
                outcome = await pending.outcomes.get()
                if isinstance(outcome, Med2E3Error):
                    raise outcome
                yield outcome
                if isinstance(outcome, Done):
                    return
        finally:
            answering.cancel()
            self._jobs.pop(job.id, None)

    def cancel(self, job: str) -> None:
        """Stop a job; what its replica knows of its answer is waited for only shortly."""
        pending = self._jobs.get(job)
        if pending is None or pending.cancelled:
            return
        pending.cancelled = True
        home = self._homes.get(pending.job.volume)
        if pending.begun and home is not None:
            home.link.cancel(job)
            asyncio.get_running_loop().call_later(_GRACE_S, pending.end)
        else:
            pending.end()

    # ---- questions -------------------------------------------------------------------------

    async def _answer(self, pending: Pending) -> None:
        while not pending.finished:
            error: Med2E3Error | None = None
            try:
                # one that several replicas did not survive takes no others with it
                async with self._alone if pending.crashes > 1 else nullcontext():
                    error = await self._answer_at(await self._choose(pending.job), pending)
            except NoReplica as none:
                pending.tell(none)
            except Med2E3Error as cause:
                error = cause
            except Exception as cause:  # a fault in the program
                _log.exception("a question failed unexpectedly")
                pending.tell(unexpected(cause))
            if error is None or pending.finished:
                return
            if not isinstance(error, EngineUnreachable | EngineCrashedError | DeviceLostError):
                pending.tell(error)
                return
            pending.crashes += 1
            if pending.cancelled:
                pending.end()
            elif pending.crashes >= MOST_LOSSES:
                pending.tell(lost_too_often(error))
            else:
                pending.take_back()
                await asyncio.sleep(_LOOKS_S)  # until the loss is seen elsewhere, too

    async def _choose(self, job: Job) -> KnownReplica:
        """The replica that has the volume's features, or else the one with least to do."""
        while True:
            home = self._homes.get(job.volume)
            if home is not None and home.ready:
                return home
            ready = [replica for replica in self._replicas if replica.ready]
            if ready:
                homes = list(self._homes.values())
                best = min(ready, key=lambda r: (r.jobs, homes.count(r)))
                self._homes[job.volume] = best
                return best
            state, problem = self._state()
            if state in ("failed", "unloaded"):
                raise NoReplica(
                    problem or "No model is loaded.", hint="Ask again later, or tell the operator."
                )
            await self._next_news()

    async def _answer_at(self, replica: KnownReplica, pending: Pending) -> Med2E3Error | None:
        """Ask one replica; returns the error that its answer ended with."""
        passing = asyncio.create_task(self._pass_on(replica, pending))
        gone = asyncio.create_task(replica.gone.wait())
        replica.jobs += 1
        try:
            await asyncio.wait({passing, gone}, return_when=asyncio.FIRST_COMPLETED)
            if passing.done():
                return passing.result()
            return EngineUnreachable("The computer or process that answered was lost.")
        finally:
            replica.jobs -= 1
            if not passing.done():
                replica.link.cancel(pending.job.id)
            for task in (passing, gone):
                task.cancel()
            await asyncio.gather(passing, gone, return_exceptions=True)

    async def _pass_on(self, replica: KnownReplica, pending: Pending) -> Med2E3Error | None:
        job = pending.job
        voxels = self._volumes.get(job.volume)
        if voxels is None:
            return no_volume()
        putting = replica.volumes.get(job.volume)
        if putting is None or (putting.done() and (putting.cancelled() or putting.exception())):
            putting = asyncio.create_task(replica.link.put(job.volume, voxels))
            replica.volumes[job.volume] = putting
        await asyncio.shield(putting)
        async for outcome in replica.link.ask(job):
            if isinstance(outcome, Med2E3Error):
                if isinstance(outcome, UnknownVolume):  # it began another life meanwhile
                    return EngineUnreachable(outcome.sentence)
                return outcome
            pending.tell(outcome)
            if pending.finished:
                return None
        return EngineUnreachable("A replica ended without an answer.")

    def _end_all(self, why: Med2E3Error) -> None:
        for pending in self._jobs.values():
            pending.tell(why)

    # ---- replicas --------------------------------------------------------------------------

    async def _tend(self, replica: KnownReplica) -> None:
        """Look at a replica again and again; load the model into each of its lives."""
        while True:
            try:
                async with asyncio.timeout(self._silence_s):
                    said = await replica.link.state()
                self._see(replica, said)
            except (TimeoutError, Med2E3Error):
                self._lose(replica)
            except Exception:
                _log.exception("a replica said what cannot be understood")
                self._lose(replica)
            self._tell_news()
            await asyncio.sleep(_LOOKS_S)

    def _lose(self, replica: KnownReplica) -> None:
        if replica.alive:
            replica.alive = False
            replica.losses += 1
            self._alive_at = time.monotonic()
        replica.gone.set()
        replica.gone = asyncio.Event()

    def _see(self, replica: KnownReplica, said: dict[str, Any]) -> None:
        if said["life"] != replica.life:
            if replica.alive:  # it ended and was started between two looks
                self._lose(replica)
            replica.life, replica.wanted = said["life"], None
            replica.volumes.clear()
        replica.alive = True
        self._alive_at = time.monotonic()
        replica.crashes = said["restarts"]
        replica.pids = tuple(said["pids"])
        replica.memory = (said["memory"][0], said["memory"][1])
        replica.state, replica.problem = said["state"], said["problem"]
        replica.model = wire.model_from_json(said["model"]) if said["model"] else None
        if self._named is None:
            return
        if replica.wanted != self._named:
            self._want(replica, self._named)
        if replica.loading:
            replica.state = "loading"
        if replica.ready and replica.model is not None:
            self._model = self._model or replica.model
            if not alike(replica.model, self._model):
                replica.state = "failed"
                replica.problem = (
                    "A replica has other weights, another number format or another kind of device "
                    "than the first one, so its answers would differ."
                )

    def _want(self, replica: KnownReplica, model: str) -> None:
        """Let a replica load a model; until it has answered, what it says may be of another one."""
        replica.wanted, replica.state = model, "loading"
        replica.loading += 1
        self._spawn(self._load(replica, model))

    async def _load(self, replica: KnownReplica, model: str) -> None:
        try:
            with suppress(Med2E3Error):  # its state tells it
                await replica.link.load(model)
        finally:
            replica.loading -= 1

    def _state(self) -> tuple[State, str]:
        """The state of all replicas as one, and why it failed."""
        alive = [replica for replica in self._replicas if replica.alive]
        states = {replica.state for replica in alive}
        if self._named is None:
            return "unloaded", ""
        if "ready" in states:
            return "ready", ""
        if not alive:
            if time.monotonic() - self._alive_at > self._patience_s:
                return "failed", "No replica of the model is left, and none came back."
            return ("restarting" if self._model else "loading"), ""
        if states == {"failed"}:
            return "failed", next(replica.problem for replica in alive)
        return ("restarting" if self._model else "loading"), ""

    # ---- waiting ---------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _tell_news(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _next_news(self) -> None:
        await self._news.wait()
