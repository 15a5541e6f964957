"""The questions that a service has accepted and not yet answered.

Knows what each asker was told already, so that an answer can be begun again unnoticed, or ended
without the process with the model.  Knows nothing of processes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from med2e3.asking import Done, Event, Progress, Scores, Stage, Token
from med2e3.engine.backend import Job
from med2e3.errors import Med2E3Error


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
        return any(isinstance(event, Token) for event in self._told)

    def tell(self, outcome: Event | Med2E3Error) -> None:
        """Pass on what happened, but nothing that was told before a crash."""
        if self._finished:
            return
        self._begun = True
        if isinstance(outcome, Done | Med2E3Error):
            self._finished = True
        elif self._was_told(outcome):
            return
        else:
            self._told.append(outcome)
        self.outcomes.put_nowait(outcome)

    def take_back(self) -> None:
        """It is nowhere any more: the process with the model is gone."""
        self.sent = self._begun = False

    def end(self) -> None:
        """End it as cancelled, with what was told."""
        tokens = [event for event in self._told if isinstance(event, Token)]
        scores = next((e.values for e in self._told if isinstance(e, Scores)), ())
        self.tell(
            Done(
                answer="".join(token.text for token in tokens),
                token_ids=tuple(token.id for token in tokens),
                token_probabilities=tuple(token.probability for token in tokens),
                scores=scores,
                finish_reason="cancelled",
            )
        )

    def _was_told(self, event: Event) -> bool:
        if isinstance(event, Stage):
            return event in self._told
        if isinstance(event, Scores):
            return any(isinstance(told, Scores) for told in self._told)
        if isinstance(event, Progress):
            return any(isinstance(e, Progress) and e.done >= event.done for e in self._told)
        return False
