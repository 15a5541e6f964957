"""Answers that are decoded together, one token of each at a time.

One pass of the language model reads its weights once for all rows, which is what decoding
spends its time on.  Rows join after their prompt and leave when they end, in any order.  Knows
nothing of clients or of turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from med2e3.asking import Event
from med2e3.errors import Med2E3Error
from med2e3.session.batch_answer import Answer
from med2e3.session.batch_cache import BatchCache

if TYPE_CHECKING:
    from med2e3.session.session import Session


class Batch:
    """Answers with a first token that go on together.

    Args:
        session: the loaded model.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        window = getattr(session.config.language, "sliding_window", None)
        self._cache = BatchCache(window)
        #: row by row
        self.answers: list[Answer] = []

    @property
    def num_bytes(self) -> int:
        """Memory of keys and values."""
        return self._cache.num_bytes

    @torch.inference_mode()
    def join(self, answer: Answer) -> None:
        """Take an answer in, with its keys and values.

        Raises:
            ResourceError: when there is no memory for it; the others go on.
        """
        row = answer.row
        assert row is not None
        device = self._session.model.device
        self._session.with_memory(
            lambda: self._cache.join([(k.to(device), v.to(device)) for k, v in row])
        )
        answer.row = None
        self.answers.append(answer)

    @torch.inference_mode()
    def park(self, answer: Answer) -> None:
        """Take an answer out with its keys and values, to join again later.

        From a GPU they go to the computer's memory, so that its place becomes free.
        """
        row = self._cache.row(self.answers.index(answer))
        answer.row = [(k.cpu(), v.cpu()) for k, v in row]
        self.remove(answer)

    @torch.inference_mode()
    def remove(self, answer: Answer) -> None:
        """Take an answer out for good."""
        place = self.answers.index(answer)
        self._cache.leave(place)
        last = self.answers.pop()
        if last is not answer:
            self.answers[place] = last

    def step(self) -> list[tuple[Answer, Event | Med2E3Error]]:
        """One more token of every answer.

        Returns:
            What happened to which answer.  ``Done`` or an error is an answer's last, and it has
            left the batch.

        Raises:
            ResourceError: when memory ran out twice; nothing happened, and taking out an answer
                helps.
            DeviceLostError: when the device stopped working.
        """
        outcomes: list[tuple[Answer, Event | Med2E3Error]] = []
        for answer in [answer for answer in self.answers if answer.cancel.is_set()]:
            self.remove(answer)
            outcomes.append((answer, answer.done()))
        if not self.answers:
            return outcomes
        logits = self._session.with_memory(self._logits)
        self._cache.close_step()
        for answer, row in zip(list(self.answers), logits, strict=True):
            try:
                outcomes.append((answer, answer.take(row)))
            except Med2E3Error as error:
                outcomes.append((answer, error))
                self.remove(answer)
                continue
            if answer.reason is not None:
                outcomes.append((answer, answer.done()))
                self.remove(answer)
        return outcomes

    @torch.inference_mode()
    def _logits(self) -> torch.Tensor:
        """(rows, vocabulary), on the CPU."""
        model = self._session.model
        positions, seen = self._cache.open_step()
        last = [[answer.last_token] for answer in self.answers]
        ids = torch.tensor(last, device=model.device)
        output = model.language_model(
            inputs_embeds=model.embed(ids, None),
            attention_mask=seen,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1].float().cpu()
        return logits
