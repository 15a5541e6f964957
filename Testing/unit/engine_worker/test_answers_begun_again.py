"""An answer that is computed again continues what was told, or ends with an error."""

from __future__ import annotations

from dataclasses import replace

from med2e3.asking import Done, Event, GenerationOptions, Question, Scores, Stage, Token
from med2e3.engine.backend import Job
from med2e3.engine.worker.jobs import Pending
from med2e3.errors import EngineCrashedError, Med2E3Error

TOKENS = [Token(number, f" {number}", 0.5) for number in range(3)]
DONE = Done(" 0 1 2", (0, 1, 2), (0.5, 0.5, 0.5), (0.25, 0.75), "end")
RUN: list[Event] = [Stage("generating"), Scores((0.25, 0.75)), *TOKENS, DONE]


def interrupted(told: int) -> Pending:
    pending = Pending(Job("id", "client", "0" * 64, Question("Which?"), GenerationOptions()))
    for event in RUN[:told]:
        pending.tell(event)
    pending.take_back()
    return pending


def outcomes(pending: Pending) -> list[Event | Med2E3Error]:
    return [pending.outcomes.get_nowait() for _ in range(pending.outcomes.qsize())]


def test_what_was_told_is_not_told_again() -> None:
    for told in range(len(RUN)):
        pending = interrupted(told)
        for event in RUN:
            pending.tell(event)
        assert outcomes(pending) == RUN


def test_another_token_or_an_early_end_is_an_error() -> None:
    for wrong in (Token(7, " 7", 0.5), replace(DONE, token_ids=(0,), answer=" 0")):
        pending = interrupted(4)
        pending.tell(TOKENS[0])
        pending.tell(wrong)
        *before, last = outcomes(pending)
        assert before == RUN[:4]
        assert isinstance(last, EngineCrashedError)
        assert pending.finished


def test_last_digits_stay_as_told() -> None:
    pending = interrupted(5)
    for event in RUN[:-1]:
        pending.tell(event)
    pending.tell(replace(DONE, token_probabilities=(0.5001,) * 3, scores=(0.26, 0.74)))
    assert outcomes(pending)[-1] == DONE


def test_cancelled_while_it_is_computed_again_it_ends_with_what_was_told() -> None:
    pending = interrupted(4)
    pending.tell(TOKENS[0])
    pending.tell(replace(DONE, answer=" 0", token_ids=(0,), finish_reason="cancelled"))
    last = outcomes(pending)[-1]
    assert isinstance(last, Done)
    assert (last.answer, last.token_ids, last.finish_reason) == (" 0 1", (0, 1), "cancelled")
