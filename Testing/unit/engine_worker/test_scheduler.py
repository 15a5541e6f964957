"""Turns, places and memory: what one step does for whom, counted in steps and not in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from unit.engine_worker.harness import VOLUMES, Scan

from med2e3.asking import Done, Event, GenerationOptions, Progress, Question, Token
from med2e3.engine.scheduling import Scheduler, scheduler
from med2e3.engine.scheduling.turns import Turns
from med2e3.errors import InputError, Med2E3Error
from med2e3.session import Session

TEXT = "Where is the nodule?"
LONG = GenerationOptions(max_new_tokens=200, temperature=30.0, seed=1)
SHORT = GenerationOptions(max_new_tokens=3)


class Log:
    """What was said, in order, with the step in which it was."""

    def __init__(self, session: Session, **options: Any) -> None:
        self.steps = 0
        self.said: list[tuple[int, str, Event | Med2E3Error]] = []
        self.scheduler = Scheduler(session, self._say, **options)

    def _say(self, name: str, event: Event | Med2E3Error) -> None:
        self.said.append((self.steps, name, event))

    def add(
        self, name: str, client: str, options: GenerationOptions = SHORT, volume: int = 0
    ) -> None:
        self.scheduler.add(name, client, Scan(VOLUMES[volume]), Question(TEXT), options)

    def step(self) -> None:
        self.steps += 1
        self.scheduler.step()

    def run(self) -> None:
        for _ in range(5000):
            if not self.scheduler.busy:
                return
            self.step()
        pytest.fail("it never came to an end")

    def events(self, name: str) -> list[Any]:
        return [event for _, who, event in self.said if who == name]

    def done_at(self, name: str) -> int:
        return next(
            step for step, who, event in self.said if who == name and isinstance(event, Done)
        )

    def first_at(self, name: str, kind: type = Token) -> int:
        return next(
            step for step, who, event in self.said if who == name and isinstance(event, kind)
        )


@pytest.fixture
def fresh(session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """It remembers nothing, and no answer ends before its longest."""
    monkeypatch.setattr(session.model.generation_config, "eos_token_id", -1)
    session.forget()
    yield session
    session.forget()


def test_clients_take_turns() -> None:
    turns: Turns[int] = Turns()
    for client, item in (("a", 1), ("a", 2), ("b", 3), ("c", 4)):
        turns.add(client, item)
    assert [item for _, item in turns.heads()] == [1, 3, 4]
    turns.had_its_turn("a")
    assert [client for client, _ in turns.heads()] == ["b", "c", "a"]
    turns.remove("a", 1)
    assert dict(turns.heads())["a"] == 2
    turns.add("a", 9, first=True)
    assert dict(turns.heads())["a"] == 9 and len(turns) == 4


def test_a_short_question_does_not_wait_for_a_long_answer(fresh: Session) -> None:
    log = Log(fresh)
    log.add("report", "x", LONG)
    while not any(isinstance(event, Token) for event in log.events("report")):
        log.step()
    asked_at = log.steps
    log.add("short", "y")
    log.run()
    assert log.done_at("short") - asked_at <= 12
    assert log.done_at("report") - asked_at > 150
    tokens_meanwhile = [
        step
        for step, who, event in log.said
        if who == "report" and isinstance(event, Token) and asked_at < step <= log.done_at("short")
    ]
    assert len(tokens_meanwhile) == log.done_at("short") - asked_at, "one in every step"


def test_encoding_takes_turns_with_other_clients_questions(fresh: Session) -> None:
    log = Log(fresh)
    log.add("known", "y")
    log.run()
    log.add("new volume", "x", SHORT, volume=1)
    log.add("known again", "y")
    log.run()
    assert log.first_at("known again") < max(
        step for step, who, event in log.said if who == "new volume" and isinstance(event, Progress)
    )


def test_a_volume_is_encoded_once_for_all_who_wait(fresh: Session) -> None:
    log = Log(fresh)
    for number in range(4):
        log.add(f"q{number}", f"client {number}")
    log.run()
    encoded = [n for n in range(4) if any(isinstance(e, Progress) for e in log.events(f"q{n}"))]
    assert encoded == [0]
    for number in range(1, 4):
        assert "volume" in log.events(f"q{number}")[-1].cache_hits


def test_questions_that_wait_go_together(fresh: Session) -> None:
    passes = []
    handle = fresh.model.language_model.register_forward_pre_hook(
        lambda _, __, named: passes.append(tuple(named["inputs_embeds"].shape[:2])),
        with_kwargs=True,
    )
    log = Log(fresh)
    for number in range(6):
        options = GenerationOptions(max_new_tokens=40, temperature=30.0, seed=1)
        log.add(f"q{number}", f"client {number % 2}", options, volume=number % 2)
    log.run()
    handle.remove()
    assert max(rows for rows, length in passes if length == 1) == 6
    answers = [log.events(f"q{number}")[-1] for number in range(6)]
    decoded = sum(len(done.token_ids) - 1 for done in answers)
    assert sum(length == 1 for _, length in passes) < decoded / 2


def test_there_are_never_more_than_the_places(fresh: Session) -> None:
    log = Log(fresh, max_answers=3)
    for number in range(9):
        log.add(f"q{number}", "one client")
    while log.scheduler.busy:
        log.step()
        assert len(log.scheduler._placed()) <= 3
    assert all(isinstance(log.events(f"q{n}")[-1], Done) for n in range(9))


def test_a_client_with_many_long_answers_gives_places_to_another(fresh: Session) -> None:
    expected = list(fresh.ask(Scan(VOLUMES[0]), Question(TEXT), LONG))[-1]
    log = Log(fresh, max_answers=3, quantum=8)
    for number in range(6):
        log.add(f"report {number}", "greedy", LONG)
    for _ in range(40):
        log.step()
    asked_at = log.steps
    log.add("short", "patient")
    log.run()
    assert log.done_at("short") - asked_at < 30
    for number in range(6):
        done = log.events(f"report {number}")[-1]
        assert done.token_ids == expected.token_ids, "giving way changes nothing"  # type: ignore[union-attr]


def test_more_clients_than_places_share_them(fresh: Session) -> None:
    log = Log(fresh, max_answers=2, quantum=8)
    for number in range(5):
        log.add(f"report {number}", f"client {number}", LONG)
    log.run()
    first = [log.first_at(f"report {number}") for number in range(5)]
    ends = [log.done_at(f"report {number}") for number in range(5)]
    assert max(first) < min(ends), "all had begun before the first had ended"


def test_what_does_not_fit_into_the_memory_waits(
    fresh: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Log(fresh)
    first.add("first", "x", LONG)
    while not (placed := first.scheduler._placed()):
        first.step()
    length = placed[0].answer.max_length
    two_answers = 2.5 * length * scheduler.bytes_per_token(fresh.model)
    monkeypatch.setattr(
        scheduler, "room_in_bytes", lambda _: int(two_answers) - log.scheduler._batch.num_bytes
    )
    log = Log(fresh)
    for number in range(5):
        log.add(f"q{number}", f"client {number}", LONG)
    most = 0
    while log.scheduler.busy:
        log.step()
        most = max(most, len(log.scheduler._placed()))
    assert most == 2
    assert all(isinstance(log.events(f"q{n}")[-1], Done) for n in range(5))


def test_cancelling_takes_one_step_wherever_it_is(fresh: Session) -> None:
    log = Log(fresh, max_answers=2)
    log.add("decoding", "x", LONG)
    for _ in range(20):
        log.step()
    log.add("encoding", "y", LONG, volume=1)
    log.step()
    log.step()
    log.add("waiting", "z", LONG)
    log.step()
    names = ("decoding", "encoding", "waiting")
    for name in names:
        log.scheduler.cancel(name)
    log.step()
    for name in names:
        done = log.events(name)[-1]
        assert isinstance(done, Done) and done.finish_reason == "cancelled"
    assert not log.scheduler.busy and not log.scheduler._batch.num_bytes
    assert len(log.events("decoding")[-1].token_ids) > 1
    assert log.events("waiting")[-1].token_ids == ()
    log.scheduler.cancel("never asked")


def test_a_question_that_cannot_be_asked_fails_at_once(fresh: Session) -> None:
    log = Log(fresh)
    log.scheduler.add("long", "x", Scan(VOLUMES[0]), Question("nodule " * 2000), SHORT)
    assert isinstance(log.events("long")[-1], InputError)
    assert not log.scheduler.busy
