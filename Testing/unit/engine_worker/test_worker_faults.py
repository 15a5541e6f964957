"""What breaks in the process with the model costs one question, not the others or the volumes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from unit.engine_worker.harness import VOLUMES, Scan, a_backend, run

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


def right(session: Session, text: str = GOOD, volume: str = VOLUMES[0], tokens: int = 12) -> Any:
    options = GenerationOptions(max_new_tokens=tokens)
    return list(session.ask(Scan(volume), Question(text), options))[-1]


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
    ("fault", "error"),
    [
        ({"kind": "cuda-memory", "at": "question"}, ResourceError),
        ({"kind": "cpu-memory", "at": "question"}, ResourceError),
        ({"kind": "not-finite", "at": "question"}, NumericalError),
        ({"kind": "bug", "at": "question"}, Med2E3Error),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else value.__name__,
)
def test_one_question_fails_and_the_others_go_on(
    faulty: Callable[..., Any], session: Session, fault: dict[str, str], error: type[Exception]
) -> None:
    async def work() -> None:
        async with faulty(text=BAD, **fault) as ask:
            asked = [ask(GOOD, client="x"), ask(BAD, client="y"), ask(GOOD, volume=VOLUMES[1])]
            first, bad, second = await asyncio.gather(*asked)
            assert type(bad[-1]) is error
            assert isinstance(bad[-1], Med2E3Error) and bad[-1].sentence and bad[-1].hint
            check(first, right(session))
            check(second, right(session, volume=VOLUMES[1]))
            check(await ask(GOOD), right(session))
            assert ask.backend.status().restarts == 0

    run(work())


@pytest.mark.parametrize("at", ["encode", "prompt", "token"])
def test_memory_that_runs_out_once_is_not_noticed(
    faulty: Callable[..., Any], session: Session, tmp_path: Path, at: str
) -> None:
    async def work() -> None:
        fault = {"kind": "cuda-memory", "at": at, "after": 1, "once": str(tmp_path / "done")}
        async with faulty(**fault) as ask:
            answers = await asyncio.gather(ask(GOOD), ask(GOOD, volume=VOLUMES[1]))
            for events, volume in zip(answers, VOLUMES, strict=True):
                check(events, right(session, volume=volume))
            assert (tmp_path / "done").exists()

    run(work())


def test_memory_that_stays_short_while_decoding_costs_the_youngest(
    faulty: Callable[..., Any],
) -> None:
    """With every step failing each answer gives way in turn, each with its own error."""

    async def work() -> None:
        async with faulty(kind="cpu-memory", at="token") as ask:
            answers = await asyncio.gather(ask(GOOD), ask(BAD, volume=VOLUMES[1]))
            assert all(type(events[-1]) is ResourceError for events in answers)
            assert ask.backend.status().running == 0

    run(work())


def test_numbers_that_overflow_while_decoding(faulty: Callable[..., Any], tmp_path: Path) -> None:
    async def work() -> None:
        fault = {"kind": "not-finite", "at": "token", "after": 3, "once": str(tmp_path / "done")}
        async with faulty(**fault) as ask:
            events = await ask(GOOD)
            assert type(events[-1]) is NumericalError
            assert isinstance((await ask(GOOD))[-1], Done)

    run(work())


@pytest.mark.parametrize("kind", ["kill", "segfault", "lost"])
@pytest.mark.parametrize("at", ["encode", "prompt"])
def test_a_crash_before_the_first_token_is_not_noticed(
    faulty: Callable[..., Any], session: Session, tmp_path: Path, kind: str, at: str
) -> None:
    async def work() -> None:
        fault = {"kind": kind, "at": at, "after": 1, "once": str(tmp_path / "done")}
        async with faulty(**fault) as ask:
            answers = await asyncio.gather(ask(GOOD), ask(BAD, volume=VOLUMES[1], client="y"))
            check(answers[0], right(session))
            check(answers[1], right(session, BAD, VOLUMES[1]))
            status = ask.backend.status()
            assert (status.restarts, status.volumes, status.state) == (1, 2, "ready")

    run(work())


@pytest.mark.parametrize(
    ("kind", "error"), [("segfault", EngineCrashedError), ("lost", DeviceLostError)]
)
def test_a_crash_within_an_answer_is_said(
    faulty: Callable[..., Any],
    session: Session,
    tmp_path: Path,
    kind: str,
    error: type[Exception],
) -> None:
    async def work() -> None:
        fault = {"kind": kind, "at": "token", "after": 3, "once": str(tmp_path / "done")}
        async with faulty(**fault) as ask:
            events = await ask(GOOD)
            assert type(events[-1]) is error
            assert sum(isinstance(event, Token) for event in events) == 4
            check(await ask(GOOD), right(session))
            assert ask.backend.status().restarts == 1

    run(work())


def test_a_question_that_kills_the_process_dies_alone(
    faulty: Callable[..., Any], session: Session
) -> None:
    async def work() -> None:
        async with faulty(kind="segfault", at="question", text=BAD) as ask:
            asked = [
                ask(GOOD, client="x"),
                ask(BAD, client="y"),
                ask(GOOD, volume=VOLUMES[1], client="z"),
            ]
            first, bad, second = await asyncio.gather(*asked)
            assert type(bad[-1]) is EngineCrashedError
            check(first, right(session))
            check(second, right(session, volume=VOLUMES[1]))
            assert ask.backend.status().restarts == 2

    run(work())


def test_a_process_killed_from_outside_comes_back(session: Session) -> None:
    async def work() -> None:
        async with a_backend() as ask:

            def kill_at_the_third_token(event: Any, _: str) -> None:
                if isinstance(event, Token):
                    tokens.append(event)
                    if len(tokens) == 3:
                        os.kill(ask.backend.worker_pid, signal.SIGKILL)

            tokens: list[Token] = []
            events = await ask(GOOD, on_event=kill_at_the_third_token, max_new_tokens=250,
                               temperature=30.0, seed=1)  # fmt: skip
            assert type(events[-1]) is EngineCrashedError
            check(await ask(GOOD), right(session))

    run(work())


def test_a_process_that_crashes_again_and_again_is_given_up(faulty: Callable[..., Any]) -> None:
    async def work() -> None:
        async with faulty(kind="kill", at="question") as ask:
            answers = await asyncio.gather(*(ask(GOOD) for _ in range(4)))
            assert all(type(events[-1]) is EngineCrashedError for events in answers)
            status = ask.backend.status()
            assert (status.state, status.model, status.volumes) == ("failed", None, 2)
            assert "again and again" in status.problem
            refused = await ask(GOOD)
            assert len(refused) == 1 and type(refused[0]) is ModelNotReady
            assert "again and again" in refused[0].sentence
            await ask.backend.load("embedded")  # a person may try once more
            assert ask.backend.status().state == "ready"

    run(work())


def test_a_model_that_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')

    async def work() -> None:
        async with a_backend() as ask:
            for name, error in (("nothing of this name", InputError), (tmp_path, CheckpointError)):
                with pytest.raises(error):
                    await ask.backend.load(str(name))
                status = ask.backend.status()
                assert status.state == "failed" and status.problem and status.model is None
                assert (status.restarts, status.volumes) == (0, 2)
            await ask.backend.load("embedded")
            assert isinstance((await ask(GOOD))[-1], Done)

    run(work())
