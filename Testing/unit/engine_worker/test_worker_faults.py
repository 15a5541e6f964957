"""What breaks in the process with the model costs one question, not the others or the volumes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from unit.engine_worker.harness import VOLUMES, Scan, Worker

from med2e3.asking import Done, GenerationOptions, Question, Scores, Stage, Token
from med2e3.errors import (
    CheckpointError,
    DeviceLostError,
    EngineCrashedError,
    InputError,
    Med2E3Error,
    NumericalError,
    ResourceError,
)
from med2e3.protocol import ModelNotReady
from med2e3.session import Session

BAD = "Is there free fluid in the abdomen?"
GOOD = "Where is the nodule?"


def right(session: Session, text: str = GOOD, volume: str = VOLUMES[0]) -> Done:
    options = GenerationOptions(max_new_tokens=12)
    done = list(session.ask(Scan(volume), Question(text), options))[-1]
    assert isinstance(done, Done)
    return done


def check(events: Sequence[Any], expected: Done) -> None:
    """Whole, in order, nothing twice."""
    done = events[-1]
    assert isinstance(done, Done), done
    assert done.token_ids == expected.token_ids
    assert tuple(e.id for e in events if isinstance(e, Token)) == done.token_ids
    kinds = [type(e) for e in events]
    assert kinds.count(Scores) == 1 and kinds.index(Scores) < kinds.index(Token)
    stages = [e.name for e in events if isinstance(e, Stage)]
    assert len(stages) == len(set(stages))


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("cuda-memory", ResourceError),
        ("cpu-memory", ResourceError),
        ("not-finite", NumericalError),
        ("bug", Med2E3Error),
    ],
)
def test_one_question_fails_and_the_others_go_on(
    worker: Worker, session: Session, kind: str, error: type[Med2E3Error]
) -> None:
    async def work() -> list[list[Any]]:
        return await asyncio.gather(
            worker.ask(GOOD, client="x"),
            worker.ask(BAD, client="y"),
            worker.ask(GOOD, client="z", volume=VOLUMES[1]),
        )

    before = worker.backend.status().restarts
    with worker.fault(kind=kind, at="question", text=BAD):
        first, bad, second = worker.run(work())
    assert type(bad[-1]) is error
    assert bad[-1].sentence and bad[-1].hint
    check(first, right(session))
    check(second, right(session, volume=VOLUMES[1]))
    check(worker.run(worker.ask(BAD)), right(session, BAD))
    assert worker.backend.status().restarts == before


@pytest.mark.parametrize("at", ["encode", "prompt", "token"])
def test_memory_that_runs_out_once_is_not_noticed(
    worker: Worker, session: Session, at: str
) -> None:
    async def work() -> list[list[Any]]:
        return await asyncio.gather(worker.ask(GOOD), worker.ask(GOOD, volume=VOLUMES[1]))

    with worker.fault(kind="cuda-memory", at=at, after=1, once=True) as fault:
        answers = worker.run(work())
        assert not fault.exists(), "it did happen"
    for events, volume in zip(answers, VOLUMES, strict=True):
        check(events, right(session, volume=volume))


def test_memory_that_stays_short_while_decoding_costs_each_its_own_error(worker: Worker) -> None:
    async def work() -> list[list[Any]]:
        return await asyncio.gather(worker.ask(GOOD), worker.ask(BAD, volume=VOLUMES[1]))

    with worker.fault(kind="cpu-memory", at="token"):
        answers = worker.run(work())
    assert all(type(events[-1]) is ResourceError for events in answers)
    status = worker.backend.status()
    assert (status.running, status.waiting, status.state) == (0, 0, "ready")


def test_numbers_that_overflow_while_decoding(worker: Worker, session: Session) -> None:
    with worker.fault(kind="not-finite", at="token", after=3, once=True):
        events = worker.run(worker.ask(GOOD))
    assert type(events[-1]) is NumericalError
    check(worker.run(worker.ask(GOOD)), right(session))


@pytest.mark.parametrize(("kind", "at"), [("kill", "encode"), ("lost", "prompt")])
def test_a_crash_before_the_first_token_is_not_noticed(
    worker: Worker, session: Session, kind: str, at: str
) -> None:
    async def work() -> list[list[Any]]:
        return await asyncio.gather(
            worker.ask(GOOD), worker.ask(BAD, volume=VOLUMES[1], client="y")
        )

    before = worker.backend.status().restarts
    with worker.fault(kind=kind, at=at, once=True):
        answers = worker.run(work())
    check(answers[0], right(session))
    check(answers[1], right(session, BAD, VOLUMES[1]))
    status = worker.backend.status()
    assert (status.restarts, status.volumes, status.state) == (before + 1, 2, "ready")


@pytest.mark.parametrize(
    ("kind", "error"), [("segfault", EngineCrashedError), ("lost", DeviceLostError)]
)
def test_a_crash_within_an_answer_is_said(
    worker: Worker, session: Session, kind: str, error: type[Med2E3Error]
) -> None:
    before = worker.backend.status().restarts
    with worker.fault(kind=kind, at="token", after=3, once=True):
        events = worker.run(worker.ask(GOOD))
    assert type(events[-1]) is error
    assert sum(isinstance(event, Token) for event in events) == 4
    check(worker.run(worker.ask(GOOD)), right(session))
    assert worker.backend.status().restarts == before + 1


def test_a_question_that_kills_the_process_dies_alone(worker: Worker, session: Session) -> None:
    async def work() -> list[list[Any]]:
        return await asyncio.gather(
            worker.ask(GOOD, client="x"),
            worker.ask(BAD, client="y"),
            worker.ask(GOOD, volume=VOLUMES[1], client="z"),
        )

    before = worker.backend.status().restarts
    with worker.fault(kind="segfault", at="question", text=BAD):
        first, bad, second = worker.run(work())
    assert type(bad[-1]) is EngineCrashedError
    check(first, right(session))
    check(second, right(session, volume=VOLUMES[1]))
    assert worker.backend.status().restarts == before + 2


def test_a_process_killed_from_outside_comes_back(worker: Worker, session: Session) -> None:
    tokens = []

    def kill_at_the_third(event: Any, _: str) -> None:
        if isinstance(event, Token):
            tokens.append(event)
            if len(tokens) == 3:
                os.kill(worker.backend.worker_pid or 0, signal.SIGKILL)

    long = {"max_new_tokens": 250, "temperature": 30.0, "seed": 1}
    events = worker.run(worker.ask(GOOD, on_event=kill_at_the_third, **long))
    assert type(events[-1]) is EngineCrashedError
    check(worker.run(worker.ask(GOOD)), right(session))


def test_a_process_that_crashes_again_and_again_is_given_up(worker: Worker) -> None:
    async def work() -> list[list[Any]]:
        return await asyncio.gather(*(worker.ask(GOOD) for _ in range(3)))

    with worker.fault(kind="kill", at="question"):
        answers = worker.run(work())
    assert all(type(events[-1]) is EngineCrashedError for events in answers)
    status = worker.backend.status()
    assert (status.state, status.model, status.volumes) == ("failed", None, 2)
    assert "again and again" in status.problem
    refused = worker.run(worker.ask(GOOD))
    assert len(refused) == 1 and type(refused[0]) is ModelNotReady
    assert "again and again" in refused[0].sentence
    worker.run(worker.backend.load("embedded"))  # a person may try once more
    assert worker.backend.status().state == "ready"


def test_a_model_that_cannot_be_loaded_is_said(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    before = worker.backend.status().restarts
    for name, error in (("nothing of this name", InputError), (tmp_path, CheckpointError)):
        with pytest.raises(error):
            worker.run(worker.backend.load(str(name)))
        status = worker.backend.status()
        assert status.state == "failed" and status.problem and status.model is None
        assert (status.restarts, status.volumes) == (before, 2)
