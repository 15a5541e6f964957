"""From logits to tokens, one at a time, and from tokens to text as it grows."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

from med2e3.asking.options import GenerationOptions
from med2e3.errors import NumericalError

_DRAWN_SEEDS = 2**32  # short enough to be typed again
_UNFINISHED = "\ufffd"  # what an incomplete multi-byte character decodes to


def check_finite(numbers: Tensor) -> None:
    """Refuse numbers that are not finite.

    Raises:
        NumericalError: when one is infinite or not a number.
    """
    if not bool(torch.isfinite(numbers).all()):
        raise NumericalError(
            "The model's numbers overflowed, so there is no answer.",
            hint="Try --dtype bfloat16 or --dtype float32.",
        )


#: below this only the most probable token is ever drawn, and logits divided by it would overflow
_COLDEST = 1e-6


class TokenChooser:
    """Greedy by default; with a temperature it samples, repeatably for a seed.

    Sampling runs on the CPU in float32, so that a seed gives the same draw on every device (for
    the same logits).

    Args:
        options: temperature, top-p and seed.
    """

    def __init__(self, options: GenerationOptions) -> None:
        self.greedy = options.temperature < _COLDEST
        self._generator = torch.Generator()
        self.seed = options.seed if options.seed is not None else secrets.randbelow(_DRAWN_SEEDS)
        self._generator.manual_seed(self.seed)
        self._warpers = LogitsProcessorList()
        if not self.greedy:
            self._warpers.append(TemperatureLogitsWarper(options.temperature))
            if options.top_p < 1:
                self._warpers.append(TopPLogitsWarper(options.top_p))

    def choose(self, logits: Tensor) -> tuple[int, float]:
        """The next token and the probability that the model gave it.

        Args:
            logits: (vocabulary,).

        Raises:
            NumericalError: when the logits are not finite.
        """
        row = logits.float().cpu()
        check_finite(row)
        probabilities = torch.softmax(row, dim=-1)
        if self.greedy:
            token = int(row.argmax())
        else:
            warped = torch.softmax(self._warpers(None, row.unsqueeze(0))[0], dim=-1)
            token = int(torch.multinomial(warped, 1, generator=self._generator))
        return token, float(probabilities[token])


class GrowingText:
    """The answer's text while tokens arrive.

    Args:
        decode: token ids → text.
        stop: texts that end the answer; they and what follows are not part of it.
        unsettled: characters at the end that later tokens may still change.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        stop: tuple[str, ...] = (),
        unsettled: int = 0,
    ) -> None:
        self._decode = decode
        self._unsettled = unsettled
        self._stop = tuple(text for text in stop if text)
        self.ids: list[int] = []
        #: of all tokens so far, cut before a stop text
        self.text = ""
        self.shown = ""
        self.stopped = False

    def add(self, token: int, *, last: bool = False) -> str:
        """Take one more token; returns what can be shown now that could not before.

        A character whose bytes are not complete, the possible beginning of a stop text, and what
        is unsettled wait for the next tokens, unless this is the last.
        """
        self.ids.append(token)
        whole = self._decode(self.ids)
        places = [whole.index(stop) for stop in self._stop if stop in whole]
        self.stopped = bool(places)
        self.text = text = whole[: min(places)] if places else whole
        complete = self.stopped or last
        ready = text if complete else text[: max(0, len(text) - self._held_back(text))]
        piece = ready[len(self.shown) :] if ready.startswith(self.shown) else ""
        self.shown += piece
        return piece

    def _held_back(self, text: str) -> int:
        unfinished = len(text) - len(text.rstrip(_UNFINISHED))
        begun = [
            size
            for stop in self._stop
            for size in range(1, len(stop))
            if text.endswith(stop[:size])
        ]
        return max([unfinished, self._unsettled, *begun])
