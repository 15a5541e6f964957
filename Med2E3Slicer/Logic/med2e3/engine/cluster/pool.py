"""A backend of several replicas (see :mod:`med2e3.engine.backend`).

Keeps what must survive a replica: the volumes, and the questions that were accepted.  A volume's
questions go to the replica that has its features; when that one is lost, the volume is put on
another one and the questions are asked there again, from where their answers were.  Which replicas
are there is known to :mod:`med2e3.engine.cluster.replicas`; nothing is known of Ray, of HTTP or of
models.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt

from med2e3.asking import Done, Event
from med2e3.engine.backend import Job, Status
from med2e3.engine.cluster.failures import MOST_LOSSES, lost_too_often, no_volume, unexpected
from med2e3.engine.cluster.known import KnownReplica, Link
from med2e3.engine.cluster.replicas import LOOKS_S, Replicas
from med2e3.engine.loaded import check_model
from med2e3.engine.worker.jobs import Pending
from med2e3.errors import DeviceLostError, EngineCrashedError, Med2E3Error
from med2e3.protocol import EngineUnreachable, ModelNotReady, UnknownVolume

_log = logging.getLogger(__name__)
#: seconds that a cancelled answer is waited for
_GRACE_S = 0.5


class _AnotherLife(EngineUnreachable):
    """A replica was asked that had just begun anew; the question did it no harm."""


class _NotHandedOver(EngineUnreachable):
    """A replica lacks a volume that it had been given; the question did it no harm.

    It began anew, or a drop was still on its way when the same volume was put again.  It is not
    taken for lost, which would cost the questions that it answers.
    """


class PoolBackend:
    """Answers with several replicas; every method is called on one event loop.

    Args:
        links: the replicas.
        silence_s: a replica that says nothing for so long is lost.
        patience_s: a replica that was lost is given so long to come back before it is counted as
            failed; questions end with an error when all of them have failed.
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
        self._volumes: dict[str, npt.NDArray[np.float32]] = {}
        self._replicas = Replicas(
            links, self._volumes.keys(), silence_s=silence_s, patience_s=patience_s
        )
        self._homes: dict[str, KnownReplica] = {}
        self._jobs: dict[str, Pending] = {}
        self._alone = asyncio.Lock()

    # ---- what the service calls ------------------------------------------------------------

    async def start(self) -> None:
        """Begin to look at the replicas; loads nothing."""
        self._replicas.start()

    async def close(self) -> None:
        """End every question with an error, and the replicas."""
        self._end_all(EngineUnreachable("The engine is being stopped."))
        try:
            await self._replicas.close()
        finally:
            await asyncio.to_thread(self._leave)

    def status(self) -> Status:
        """All replicas as one; memory is the sum of theirs."""
        running = sum(pending.begun for pending in self._jobs.values())
        state, problem = self._replicas.state()
        return Status(
            state=state,
            model=self._replicas.model if state == "ready" else None,
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

    def check(self, model: str) -> None:
        """Whether there is a model of this name or folder; see :func:`check_model`."""
        check_model(model)

    async def load(self, model: str) -> None:
        """Load a model on every replica; returns when one of them is ready.

        Raises:
            Med2E3Error: when none can load it.
        """
        if model != self._replicas.named:
            self._end_all(ModelNotReady("The model was changed.", hint="Ask again."))
        self._replicas.name_model(model)
        while self._replicas.named == model:
            state, problem = self._replicas.state()
            if state == "ready":
                return
            if state == "failed":
                raise ModelNotReady(problem, hint="Load another model.")
            await self._replicas.next_news()
        raise ModelNotReady("The model was changed.", hint="Ask again.")

    async def unload(self) -> None:
        """Free the memory of all replicas; volumes stay."""
        self._end_all(ModelNotReady("The model was unloaded.", hint="Load a model."))
        await self._replicas.unload()

    async def put_volume(self, sha256: str, voxels: npt.NDArray[np.float32]) -> None:
        """Keep a model input here; a replica gets it when it is asked about.

        Raises:
            InputError: when its shape is not what the loaded model takes.
        """
        model = self._replicas.model
        if model is not None:
            model.check_takes(voxels)
        self._volumes.setdefault(sha256, np.ascontiguousarray(voxels, np.float32))

    async def drop_volume(self, sha256: str) -> None:
        """Forget a volume here and on every replica."""
        self._volumes.pop(sha256, None)
        self._homes.pop(sha256, None)
        await self._replicas.drop(sha256)

    async def ask(self, job: Job) -> AsyncIterator[Event]:
        """Answer a question; see :meth:`med2e3.engine.backend.Backend.ask`.

        Raises:
            ModelNotReady: when there is no model to answer, or no replica came back.
            UnknownVolume: when the volume was not put, or was dropped.
            EngineCrashedError: when replica after replica was lost, or another one would
                contradict what was told.
            EngineUnreachable: when the engine is being stopped.
        """
        if self._replicas.named is None:
            raise ModelNotReady("No model is loaded.", hint="Load a model, then ask again.")
        if job.volume not in self._volumes:
            raise no_volume()
        if job.options.temperature > 0 and job.options.seed is None:
            # so that another replica would draw the same words
            job = replace(job, options=replace(job.options, seed=secrets.randbelow(1 << 31)))
        pending = self._jobs[job.id] = Pending(job)
        answering = self._replicas.spawn(self._answer(pending))
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
            pending.crashes += not isinstance(error, _AnotherLife | _NotHandedOver)
            if pending.cancelled:
                pending.end()
            elif pending.crashes >= MOST_LOSSES:
                pending.tell(lost_too_often(error))
            else:
                pending.take_back()
                await asyncio.sleep(LOOKS_S)  # until the loss is seen elsewhere, too

    async def _choose(self, job: Job) -> KnownReplica:
        """The replica that has the volume's features, or else the one with least to do."""
        while True:
            if job.volume not in self._volumes:
                raise no_volume()
            home = self._homes.get(job.volume)
            if home is not None and home.ready:
                return home
            ready = [replica for replica in self._replicas if replica.ready]
            if ready:
                homes = list(self._homes.values())
                best = min(ready, key=lambda r: (r.jobs, homes.count(r)))
                self._homes[job.volume] = best
                return best
            state, problem = self._replicas.state()
            if state in ("failed", "unloaded"):
                raise ModelNotReady(
                    problem or "No model is loaded.", hint="Ask again later, or tell the operator."
                )
            await self._replicas.next_news()

    async def _answer_at(self, replica: KnownReplica, pending: Pending) -> Med2E3Error | None:
        """Ask one replica; returns the error that its answer ended with."""
        passing = asyncio.create_task(self._pass_on(replica, pending))
        gone = asyncio.create_task(replica.gone.wait())
        life = replica.life
        replica.jobs += 1
        try:
            await asyncio.wait({passing, gone}, return_when=asyncio.FIRST_COMPLETED)
            if passing.cancelled():  # with the volume that was on its way
                return no_volume()
            if passing.done():
                error = passing.result()
                if isinstance(error, _AnotherLife) and replica.life == life:  # not looked at yet
                    self._replicas.lose(replica)
                return error
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
        putting = self._replicas.put(replica, job.volume, voxels)
        await asyncio.shield(putting)
        outcomes = cast("AsyncGenerator[Event | Med2E3Error, None]", replica.link.ask(job))
        async with aclosing(outcomes):
            async for outcome in outcomes:
                if isinstance(outcome, Med2E3Error):
                    if isinstance(outcome, ModelNotReady):
                        return _AnotherLife(outcome.sentence)
                    if isinstance(outcome, UnknownVolume):
                        if replica.volumes.get(job.volume) is putting:  # hand it over again
                            del replica.volumes[job.volume]
                        return _NotHandedOver(outcome.sentence)
                    return outcome
                pending.tell(outcome)
                if pending.finished:
                    if not isinstance(outcome, Done):  # it contradicts what was told
                        replica.link.cancel(job.id)
                    return None
        return EngineUnreachable("A replica ended without an answer.")

    def _end_all(self, why: Med2E3Error) -> None:
        for pending in self._jobs.values():
            pending.tell(why)
