"""Replicas that fall silent, are lost or come back: played by links, without Ray or a model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from med2e3.asking import Done, Event, GenerationOptions, Question, Scores, Token
from med2e3.engine.backend import Job, LoadedModel, State
from med2e3.engine.cluster.failures import MOST_LOSSES
from med2e3.engine.cluster.pool import PoolBackend
from med2e3.engine.worker import wire
from med2e3.errors import EngineCrashedError, InputError, Med2E3Error
from med2e3.protocol import EngineUnreachable, ModelNotReady, UnknownVolume
from med2e3.record import ModelRecord

SIZE = (2, 3, 3)
VOLUME = "ab" * 32
VOXELS = np.zeros(SIZE, np.float32)
SCORES = Scores((0.25, 0.75))
TOKENS = tuple(Token(number, f" {number}", 0.5) for number in range(4))
MODEL = LoadedModel(ModelRecord("played", None, "0" * 64), SIZE, 512, "cpu", "float32")


@dataclass
class PlayedLink:
    """A replica as the test wants it.

    Attributes:
        silent: it answers nothing while this is set.
        tokens: of every answer.
        pause_after: tokens after which an answer waits until the replica is lost or cancelled.
        forgets: so many questions find that their volume is not there.
    """

    life: str = "first"
    there: bool = True
    silent: bool = False
    model_state: State = "unloaded"
    restarts: int = 0
    tokens: tuple[Token, ...] = TOKENS
    pause_after: int | None = None
    forgets: int = 0
    put_waits: bool = False
    put_error: Med2E3Error | None = None
    volumes: set[str] = field(default_factory=set)
    asked: int = 0
    cancelled: list[str] = field(default_factory=list)

    async def _answers(self) -> None:
        while self.silent:
            await asyncio.sleep(0.01)
        if not self.there:
            raise EngineUnreachable("Lost.")

    async def state(self) -> dict[str, Any]:
        await self._answers()
        model = wire.model_to_json(MODEL) if self.model_state == "ready" else None
        return {
            "life": self.life,
            "pids": [1, 2],
            "state": self.model_state,
            "problem": "It cannot." if self.model_state == "failed" else "",
            "model": model,
            "memory": [0, 0],
            "restarts": self.restarts,
        }

    async def load(self, model: str) -> None:
        await self._answers()
        if self.model_state != "failed":
            self.model_state = "ready"

    async def unload(self) -> None:
        await self._answers()
        self.model_state = "unloaded"

    async def put(self, sha256: str, voxels: np.ndarray) -> None:
        await self._answers()
        while self.put_waits:
            await asyncio.sleep(0.01)
        if self.put_error is not None:
            raise self.put_error
        self.volumes.add(sha256)

    async def drop(self, sha256: str) -> None:
        await self._answers()
        self.volumes.discard(sha256)

    async def ask(self, job: Job) -> AsyncIterator[Event | Med2E3Error]:
        self.asked += 1
        if self.model_state != "ready":
            yield ModelNotReady("No model is loaded.")
            return
        if self.forgets:
            self.forgets -= 1
            self.volumes.discard(job.volume)
        if job.volume not in self.volumes:
            yield UnknownVolume("The engine does not hold this volume (any more).")
            return
        yield SCORES
        for number, token in enumerate(self.tokens):
            while number == self.pause_after and job.id not in self.cancelled:
                await self._answers()
                await asyncio.sleep(0.01)
            yield token
        yield done(self.tokens)

    def cancel(self, job: str) -> None:
        self.cancelled.append(job)

    def kill(self) -> None:
        self.there = False

    def lose(self) -> None:
        """End this life; :meth:`come_back` begins the next one."""
        self.there = False
        self.model_state = "unloaded"
        self.volumes.clear()

    def come_back(self) -> None:
        self.there, self.life, self.restarts = True, self.life + "'", 0


def done(tokens: tuple[Token, ...]) -> Done:
    answer = "".join(token.text for token in tokens)
    ids = tuple(token.id for token in tokens)
    return Done(answer, ids, (0.5,) * len(ids), SCORES.values, "end")


def job(number: int = 0) -> Job:
    return Job(f"job {number}", "client", VOLUME, Question("Where?"), GenerationOptions())


def played(
    links: list[PlayedLink], test: Callable[[PoolBackend], Awaitable[None]], patience_s: float = 60
) -> None:
    """Run a test on a pool whose model is loaded."""

    async def run() -> None:
        pool = PoolBackend(links, silence_s=0.2, patience_s=patience_s)
        async with asyncio.timeout(120):
            await pool.start()
            try:
                await pool.load("played")
                ready = sum(link.model_state != "failed" for link in links)
                await until(lambda: pool.status().replicas_ready == ready)
                await pool.put_volume(VOLUME, VOXELS)
                await test(pool)
            finally:
                await pool.close()

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def all_of(pool: PoolBackend, asked: Job) -> list[Event]:
    return [event async for event in pool.ask(asked)]


def test_an_answer_goes_on_where_its_replica_was_lost(caplog: pytest.LogCaptureFixture) -> None:
    first, second = PlayedLink(pause_after=2), PlayedLink()

    async def test(pool: PoolBackend) -> None:
        events = []
        async for event in pool.ask(job()):
            events.append(event)
            if event == TOKENS[1]:
                first.lose()
        assert events == [SCORES, *TOKENS, done(TOKENS)]
        assert second.asked == 1

    # its own handler: where a service's log was set up before, nothing reaches the root logger
    log = logging.getLogger("med2e3.engine.cluster.replicas")
    log.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO, log.name):
            played([first, second], test)
    finally:
        log.removeHandler(caplog.handler)
    assert "replica 0 is lost" in caplog.messages
    assert VOLUME not in caplog.text


def test_a_life_that_began_between_two_looks_and_has_no_model_yet_loses_no_question() -> None:
    link = PlayedLink()

    async def test(pool: PoolBackend) -> None:
        await all_of(pool, job())
        link.lose()
        link.come_back()
        assert (await all_of(pool, job(1)))[-1] == done(TOKENS)
        assert link.asked == 3, "the new life was asked before its model was loaded, and after"

    played([link], test)


def test_a_replica_that_lacks_a_volume_gets_it_again_and_costs_no_question() -> None:
    link = PlayedLink(pause_after=2)

    async def test(pool: PoolBackend) -> None:
        other = asyncio.create_task(all_of(pool, job()))
        await until(lambda: pool.status().running == 1)
        link.forgets = MOST_LOSSES
        asking = asyncio.create_task(all_of(pool, job(1)))
        await until(lambda: link.asked == 2 + MOST_LOSSES or asking.done())
        link.pause_after = None
        link.cancelled += ["job 0", "job 1"]  # they pause no more
        assert (await asking)[-1] == (await other)[-1] == done(TOKENS)
        assert pool.status().restarts == 0, "the replica was not taken for lost"

    played([link], test)


def test_another_answer_is_an_error_and_is_not_computed_to_its_end() -> None:
    first = PlayedLink(pause_after=2)
    second = PlayedLink(tokens=(Token(7, " 7", 0.5), *TOKENS))

    async def test(pool: PoolBackend) -> None:
        with pytest.raises(EngineCrashedError, match="goes another way"):
            async for event in pool.ask(job()):
                if event == TOKENS[1]:
                    first.lose()
        assert second.cancelled == ["job 0"]

    played([first, second], test)


def test_a_silent_replica_forgets_a_dropped_volume_when_it_is_heard_again() -> None:
    link = PlayedLink()

    async def test(pool: PoolBackend) -> None:
        await all_of(pool, job())
        assert link.volumes == {VOLUME}
        link.silent = True
        await pool.drop_volume(VOLUME)  # an error here would end the service's sweeping for good
        await until(lambda: not pool.status().replicas_ready)
        assert link.volumes == {VOLUME}
        link.silent = False
        await until(lambda: not link.volumes)

    played([link], test)


def test_a_question_whose_volume_is_dropped_on_its_way_ends() -> None:
    link = PlayedLink(put_waits=True)

    async def test(pool: PoolBackend) -> None:
        asking = asyncio.create_task(all_of(pool, job()))
        await until(lambda: any(VOLUME in replica.volumes for replica in pool._replicas))
        await pool.drop_volume(VOLUME)
        with pytest.raises(UnknownVolume):
            await asking
        with pytest.raises(UnknownVolume):
            await all_of(pool, job(1))

    played([link], test)


def test_a_volume_that_a_replica_refuses_is_no_loss() -> None:
    link = PlayedLink(put_error=InputError("The volume was prepared as (1, 1, 1)."))

    async def test(pool: PoolBackend) -> None:
        with pytest.raises(InputError, match="prepared as"):
            await all_of(pool, job())
        assert not link.asked
        link.put_error = None
        assert (await all_of(pool, job(1)))[-1] == done(TOKENS)

    played([link], test)


def test_a_question_waits_for_the_one_replica_that_can_come_back() -> None:
    failed, lost = PlayedLink(model_state="failed"), PlayedLink()

    async def test(pool: PoolBackend) -> None:
        lost.lose()
        await until(lambda: not pool.status().replicas_ready)
        assert pool.status().state == "restarting"
        asking = asyncio.create_task(all_of(pool, job()))
        await asyncio.sleep(0.5)
        lost.come_back()
        assert (await asking)[-1] == done(TOKENS)

    played([failed, lost], test)


def test_when_patience_is_over_the_failed_replica_says_why() -> None:
    failed, lost = PlayedLink(model_state="failed"), PlayedLink()

    async def test(pool: PoolBackend) -> None:
        lost.lose()
        await until(lambda: pool.status().state == "failed")
        assert pool.status().problem == "It cannot."
        with pytest.raises(Med2E3Error, match="It cannot"):
            await all_of(pool, job())

    played([failed, lost], test, patience_s=0.5)


def test_restarts_are_never_counted_down() -> None:
    link = PlayedLink(restarts=3)

    async def test(pool: PoolBackend) -> None:
        assert pool.status().restarts == 3
        link.lose()
        await until(lambda: not pool.status().replicas_ready)
        link.come_back()
        await until(lambda: pool.status().replicas_ready == 1)
        assert pool.status().restarts == 4

    played([link], test)


def test_a_silent_replica_does_not_hold_up_unloading() -> None:
    silent, other = PlayedLink(), PlayedLink()

    async def test(pool: PoolBackend) -> None:
        silent.silent = True
        await pool.unload()
        assert pool.status().state == other.model_state == "unloaded"

    played([silent, other], test)
