"""The questions under way, their events, and what becomes of them when a client is gone.

Knows ids, limits, events and graces; knows nothing of HTTP or of models.  The backend is never
held up by a client that reads slowly: events are kept until they are read.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from med2e3.asking import Event, GenerationOptions
from med2e3.engine.backend import Backend, Job
from med2e3.engine.settings import Limits
from med2e3.engine.shelf import Shelf
from med2e3.errors import Med2E3Error
from med2e3.protocol import (
    PING,
    Accepted,
    AskRequest,
    EngineUnreachable,
    Failed,
    ModelNotReady,
    TooMany,
    UnknownQuestion,
    WireEvent,
    encode,
    is_last,
)

_log = logging.getLogger(__name__)
#: a question whose answer nobody has begun to read for so long is stopped
_FIRST_READ_S = 5.0
#: answers of one client that are kept for reading on after they ended
_KEPT_ANSWERS = 8


class Answer:
    """The events of one question, as they go over the wire, kept until its client is gone."""

    def __init__(self, job: Job, grace_s: float) -> None:
        self.job = job
        self.grace_s = grace_s
        self.events: list[bytes] = []
        self.finished = False
        #: counts readers; only the newest gets events
        self.reader = 0
        self.task: asyncio.Task[None] | None = None
        self.expiry: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()

    def add(self, event: WireEvent) -> None:
        """Keep an event and wake the reader."""
        if self.finished:
            return
        number = len(self.events) + 1
        try:
            line = encode(event, number)
        except ValueError:  # a number is not finite
            event = Failed(
                Med2E3Error(
                    "The model's numbers overflowed, so its answer cannot be trusted.",
                    hint="Ask again; if it happens again, choose the precision float32.",
                )
            )
            line = encode(event, number)
        self.events.append(line)
        self.finished = is_last(event)
        self.wake()

    def wake(self) -> None:
        """Let readers look again."""
        self._news.set()
        self._news = asyncio.Event()

    async def chunks(self, reader: int, after: int, ping_s: float) -> AsyncGenerator[bytes, None]:
        """Events as they come, from the one after number ``after``, with pings in between."""
        while self.reader == reader:
            if after < len(self.events):
                chunk = b"".join(self.events[after:])
                after = len(self.events)
                yield chunk
            elif self.finished:
                return
            else:
                try:
                    async with asyncio.timeout(ping_s):
                        await self._news.wait()
                except TimeoutError:
                    yield PING


class Questions:
    """All questions of one service.

    Args:
        backend: answers them.
        shelf: the volumes that they are about.
        limits: how many, and how long they outlive a connection.
    """

    def __init__(self, backend: Backend, shelf: Shelf, limits: Limits) -> None:
        self._backend = backend
        self._shelf = shelf
        self._limits = limits
        self._answers: dict[str, Answer] = {}

    @property
    def under_way(self) -> int:
        """Questions that wait or are being answered."""
        return sum(not answer.finished for answer in self._answers.values())

    def ask(self, client: str, request: AskRequest) -> Answer:
        """Take a question; its answer is stopped if nobody begins to read it.

        Raises:
            ModelNotReady: when there is no model to answer.
            UnknownVolume: when its volume is not held.
            TooMany: when the client, or all clients, ask too much at once.
        """
        self._check_room(client)
        self._check_model()
        let_go = self._shelf.hold(client, request.volume)
        grace_s = min(request.grace_s, self._limits.max_grace_s)
        identity = secrets.token_urlsafe(16)
        options: GenerationOptions = request.options
        answer = Answer(Job(identity, client, request.volume, request.question, options), grace_s)
        self._answers[identity] = answer
        answer.add(Accepted(identity, grace_s))
        answer.task = asyncio.create_task(self._answer(answer))
        answer.task.add_done_callback(lambda _: let_go())
        self._expire_after(answer, max(grace_s, _FIRST_READ_S))
        return answer

    def find(self, question: str) -> Answer:
        """A question that was asked.

        Raises:
            UnknownQuestion: when it is not known any more.
        """
        answer = self._answers.get(question)
        if answer is None:
            raise UnknownQuestion(
                "The engine does not know this question (any more).", hint="Ask it again."
            )
        return answer

    def read(self, answer: Answer, after: int = 0) -> tuple[int, AsyncGenerator[bytes, None]]:
        """Become the one who reads an answer; who read it before gets no more.

        Args:
            answer: whose events.
            after: number of the last event that the client has.

        Returns:
            The reader's number, for :meth:`left`, and the bytes to send.
        """
        answer.reader += 1
        if answer.expiry is not None:
            answer.expiry.cancel()
        answer.wake()
        return answer.reader, answer.chunks(answer.reader, after, self._limits.ping_s)

    def left(self, answer: Answer, reader: int) -> None:
        """The reader has all events, or its connection broke."""
        if answer.reader == reader:
            self._expire_after(answer, answer.grace_s)

    def cancel(self, question: str) -> None:
        """Stop a question, or forget the answer of one that has ended; unknown is no error."""
        answer = self._answers.get(question)
        if answer is None:
            return
        if answer.finished:
            self._expire_after(answer, 0)
        else:
            self._backend.cancel(question)

    async def stop(self) -> None:
        """End every question; their clients are told."""
        stopped = Failed(EngineUnreachable("The engine was stopped.", hint="Ask again later."))
        tasks = [answer.task for answer in self._answers.values() if answer.task]
        for answer in self._answers.values():
            answer.add(stopped)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, answer: Answer) -> None:
        job = answer.job
        try:
            events = cast("AsyncGenerator[Event, None]", self._backend.ask(job))
            async with aclosing(events):
                async for event in events:
                    answer.add(event)
            answer.add(Failed(Med2E3Error("The model ended without an answer.", hint="Ask again.")))
        except Med2E3Error as error:
            _log.warning("a question failed: %s", error.code)
            answer.add(Failed(error))
        except Exception as error:
            _log.exception("a question failed unexpectedly")
            answer.add(
                Failed(
                    Med2E3Error(
                        f"Something unexpected happened in the engine ({type(error).__name__}).",
                        hint="Ask again; the engine's log says more.",
                    )
                )
            )
        self._keep_few(job.client)

    def _check_room(self, client: str) -> None:
        active = [answer for answer in self._answers.values() if not answer.finished]
        own = sum(answer.job.client == client for answer in active)
        if own >= self._limits.questions_per_client:
            raise TooMany(
                f"{own} questions of yours are under way, which is as many as one client may ask "
                "at once.",
                hint="Wait for an answer, or stop a question.",
            )
        if len(active) >= self._limits.questions:
            raise TooMany("The engine has too many questions waiting.", hint="Try again soon.")

    def _check_model(self) -> None:
        status = self._backend.status()
        if status.state in ("ready", "restarting"):
            return
        if status.state == "loading":
            raise ModelNotReady("The model is still being loaded.", hint="Try again in a moment.")
        raise ModelNotReady(
            status.problem or "No model is loaded.", hint="Load a model, then ask again."
        )

    def _expire_after(self, answer: Answer, seconds: float) -> None:
        if answer.expiry is not None:
            answer.expiry.cancel()
        if seconds > 0:
            loop = asyncio.get_running_loop()
            answer.expiry = loop.call_later(seconds, self._forget, answer)
        else:
            self._forget(answer)

    def _forget(self, answer: Answer) -> None:
        self._answers.pop(answer.job.id, None)
        if answer.expiry is not None:
            answer.expiry.cancel()
        if answer.task is not None:
            answer.task.cancel()  # closes the backend's iterator, which frees the place

    def _keep_few(self, client: str) -> None:
        ended = [a for a in self._answers.values() if a.finished and a.job.client == client]
        # one that is being read has no running expiry and is not counted as kept
        kept = [a for a in ended if a.expiry is not None and not a.expiry.cancelled()]
        for answer in kept[:-_KEPT_ANSWERS]:
            self._forget(answer)
