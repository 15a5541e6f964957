"""The questions that a service has accepted and not yet answered.

Knows what each asker was told already, so that an answer can be begun again unnoticed, or ended
without whatever computed it.  An answer that is computed again must agree with what was told;
tokens that were told are compared and not told again.  Knows nothing of processes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from med2e3.asking import Done, Event, Progress, Scores, Stage, Token
from med2e3.engine.backend import Job
from med2e3.errors import EngineCrashedError, Med2E3Error


@dataclass(eq=False)
class Pending:
    """One question.

    Args:
        job: what is asked.
        sent: whether the process with the model has it.
        crashes: how often the process ended while it was being answered.
        cancelled: whether the asker wants no more of it.
    """

    job: Job
    sent: bool = False
    crashes: int = 0
    cancelled: bool = False
    outcomes: asyncio.Queue[Event | Med2E3Error] = field(default_factory=asyncio.Queue)
    _told: list[Event] = field(default_factory=list)
    _tokens: list[Token] = field(default_factory=list)
    #: tokens that came since the answer was begun, or begun again
    _heard: int = 0
    _begun: bool = False
    _finished: bool = False

    @property
    def begun(self) -> bool:
        """Whether the process with the model works on it."""
        return self._begun

    @property
    def finished(self) -> bool:
        """Whether nothing will follow."""
        return self._finished

    @property
    def has_tokens(self) -> bool:
        """Whether a part of the answer was told, which cannot be taken back."""
        return bool(self._tokens)

    def tell(self, outcome: Event | Med2E3Error) -> None:
        """Pass on what happened, but nothing that was told before a crash.

        An answer that contradicts what was told ends with an error instead.
        """
        if self._finished:
            return
        self._begun = True
        if isinstance(outcome, Done):
            outcome = self._agreeing(outcome)
        elif isinstance(outcome, Token):
            self._heard += 1
            if self._heard <= len(self._tokens):
                if self._tokens[self._heard - 1].id == outcome.id:
                    return
                outcome = _contradiction()
            else:
                self._tokens.append(outcome)
        elif not isinstance(outcome, Med2E3Error):
            if self._was_told(outcome):
                return
            self._told.append(outcome)
        self._finished = isinstance(outcome, Done | Med2E3Error)
        self.outcomes.put_nowait(outcome)

    def take_back(self) -> None:
        """It is nowhere any more: the process with the model is gone."""
        self.sent = self._begun = False
        self._heard = 0

    def end(self) -> None:
        """End it as cancelled, with what was told."""
        self._heard = len(self._tokens)
        self.tell(self._cancelled())

    def _cancelled(self) -> Done:
        return Done(
            answer="".join(token.text for token in self._tokens),
            token_ids=tuple(token.id for token in self._tokens),
            token_probabilities=tuple(token.probability for token in self._tokens),
            scores=self._scores() or (),
            finish_reason="cancelled",
        )

    def _scores(self) -> tuple[float, ...] | None:
        return next((e.values for e in self._told if isinstance(e, Scores)), None)

    def _agreeing(self, done: Done) -> Done | Med2E3Error:
        """The whole answer with the numbers that were told, or an error if it is another one.

        Probabilities and scores that are computed again elsewhere may differ in their last digits.
        """
        told = tuple(token.id for token in self._tokens)
        if done.token_ids[: len(told)] != told:
            if done.finish_reason == "cancelled":  # before it came as far again
                return self._cancelled()
            return _contradiction()
        probabilities = tuple(token.probability for token in self._tokens)
        scores = self._scores()
        return replace(
            done,
            token_probabilities=probabilities + done.token_probabilities[len(told) :],
            scores=done.scores if scores is None else scores,
        )

    def _was_told(self, event: Event) -> bool:
        if isinstance(event, Stage):
            return event in self._told
        if isinstance(event, Scores):
            return any(isinstance(told, Scores) for told in self._told)
        if isinstance(event, Progress):
            return any(isinstance(e, Progress) and e.done >= event.done for e in self._told)
        return False


def _contradiction() -> Med2E3Error:
    return EngineCrashedError(
        "What computed this answer was lost, and computed again the answer goes another way.",
        hint="Ask again.",
    )
