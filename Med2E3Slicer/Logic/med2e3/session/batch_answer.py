"""One question on its way to an answer.

Knows its stages and what it has so far, and turns logits into events.  Knows neither which
answers are decoded beside it nor who asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Protocol

import numpy as np
from torch import Tensor

from med2e3.asking import Done, Event, GenerationOptions, Question, Scores, Stage, Token
from med2e3.asking.events import FinishReason, Progress
from med2e3.errors import InputError, NumericalError
from med2e3.session.caches import KeyValues
from med2e3.session.decoding import GrowingText, TokenChooser, check_finite

if TYPE_CHECKING:
    from med2e3.session.session import Session


class VolumeInput(Protocol):
    """What a session needs of a model input (``med2e3.volume.ModelInput`` has it)."""

    @property
    def voxels(self) -> np.ndarray:
        """(slices, rows, columns), float32."""

    @property
    def sha256(self) -> str:
        """Hash of the content."""


class _Clock:
    """Seconds of each stage of one answer."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self._start = self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.timings[name] = self.timings.get(name, 0.0) + now - self._last
        self._last = now

    def since_start(self, name: str) -> None:
        self.timings[name] = time.perf_counter() - self._start


class Answer:
    """A question that was checked, and its answer as far as it is.

    Args:
        session: the loaded model.
        volume: the model input, of the model's size.
        question: what is asked.
        options: how to generate.
        cancel: set it from any thread to stop.

    Raises:
        InputError: when the question does not fit into the model's context, or the volume has
            another size.
    """

    def __init__(
        self,
        session: Session,
        volume: VolumeInput,
        question: Question,
        options: GenerationOptions,
        cancel: threading.Event,
    ) -> None:
        if volume.voxels.shape != session.input_size:
            raise InputError(
                f"The volume was prepared as {volume.voxels.shape}, "
                f"but this model takes {session.input_size}.",
                hint="Prepare it with the model's own input size.",
            )
        processor, context = session.processor, session.config.context_length
        self.prompt_ids: list[int] = processor.encode_prompt(processor.conversation(question))
        room = context - len(self.prompt_ids)
        if room < 1:
            raise InputError(
                f"The question is too long: with the volume it takes {len(self.prompt_ids)} "
                f"tokens, and the model's limit is {context}.",
                hint="Shorten the question, its choices or the earlier conversation.",
            )
        self.volume = volume
        self.cancel = cancel
        #: tokens of prompt and answer at most
        self.max_length = len(self.prompt_ids) + min(options.max_new_tokens, room)
        #: whether the volume is being encoded for this question right now
        self.encoding = False
        #: keys and values after :meth:`prepare`, until a batch takes them
        self.row: KeyValues | None = None
        self.reason: FinishReason | None = None
        self._session = session
        self._question = question
        self._chooser = TokenChooser(options)
        self._text = GrowingText(processor.decode_answer, options.stop, processor.unsettled)
        self._probabilities: list[float] = []
        self._scores: tuple[float, ...] = ()
        self._letters: dict[str, float] = {}
        self._hits: list[str] = []
        self._clock = _Clock()

    @property
    def last_token(self) -> int:
        """The newest token, which the next step reads."""
        return self._text.ids[-1]

    @property
    def num_tokens(self) -> int:
        """Tokens of the answer so far."""
        return len(self._text.ids)

    def prepare(self) -> Generator[Event | None, None, None]:
        """Everything up to the first token, in steps; ends with ``Done`` if that ends it.

        Yields:
            What happens; None after each piece of work, where other answers can have a turn.

        Raises:
            Med2E3Error: when memory ran out twice, the device is lost, or numbers are not finite.
        """
        for event in self._until_the_first_token():
            yield event
            if self.cancel.is_set() and self.reason is None:
                self.reason = "cancelled"
                break
        self.encoding = False
        if self.reason is not None:
            yield self.done()

    def _until_the_first_token(self) -> Generator[Event | None, None, None]:
        session, config = self._session, self._session.config
        features = session.known_features(self.volume.sha256)
        if features is not None:
            self._hits.append("volume")
        else:
            self.encoding = True
            yield Stage("encoding")
            steps = session.encode(self.volume)
            while features is None:
                try:
                    done = next(steps)
                except StopIteration as finished:
                    features = finished.value
                else:
                    yield Progress(done, config.num_slices)
                    yield None
            self.encoding = False
            self._clock.lap("encode")
        yield Stage("scoring")
        image = session.image_features(features, self._question, self._chooser.seed)
        if image.scores is not None:
            scores = image.scores[0].float()
            self._check(scores)
            self._scores = tuple(scores.tolist())
            yield Scores(self._scores)
        self._clock.lap("score")
        yield None
        yield Stage("generating")
        logits, self.row = yield from session.prefill(
            self.volume, self.prompt_ids, image, self._hits
        )
        self._clock.lap("prefill")
        self._letters = session.letter_probabilities(self._question, self.prompt_ids, logits)
        yield self.take(logits)

    def take(self, logits: Tensor) -> Token:
        """Choose the next token; sets :attr:`reason` when it is the last.

        Args:
            logits: (vocabulary,).

        Raises:
            NumericalError: when the logits are not finite.
        """
        self._check(logits)
        token, probability = self._chooser.choose(logits)
        if not self._probabilities:
            self._clock.since_start("first_token")
        self._probabilities.append(probability)
        ended = token in self._session.end_tokens
        full = len(self.prompt_ids) + len(self._probabilities) == self.max_length
        piece = self._text.add(token, last=ended or full)
        if ended or full or self._text.stopped:
            self.reason = "end" if ended else "stop" if self._text.stopped else "length"
        return Token(token, piece, probability)

    def done(self) -> Done:
        """The answer as it is; without a reason so far, it was cancelled."""
        self._clock.lap("generate")
        self._clock.since_start("total")
        drawn = self._session.draws_scores or not self._chooser.greedy
        return Done(
            answer=self._text.text,
            token_ids=tuple(self._text.ids),
            token_probabilities=tuple(self._probabilities),
            scores=self._scores,
            finish_reason=self.reason or "cancelled",
            choice_probabilities=self._letters,
            timings_s=self._clock.timings,
            cache_hits=tuple(self._hits),
            seed=self._chooser.seed if drawn else None,
        )

    def _check(self, numbers: Tensor) -> None:
        try:
            check_finite(numbers)
        except NumericalError:  # what is kept of the volume may be the cause
            self._session.forget_volume(self.volume.sha256)
            raise
