"""How an answer is to be generated (independent of model and device)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from med2e3.errors import InputError

#: what torch's generators and readers of JSON both hold
_SEEDS = 2**63


@dataclass(frozen=True)
class GenerationOptions:
    """Decoding settings.

    Args:
        max_new_tokens: longest answer in tokens, the end token included; the model's own
            context limit may end it sooner.
        temperature: 0 takes the most probable token each time (greedy); above 0 samples.
        top_p: sampling keeps the smallest set of tokens whose probabilities reach this sum.
        seed: makes sampling repeatable; ``None`` draws one, which the record then holds.
        stop: texts that end the answer when they appear in it (they are not kept).

    Raises:
        InputError: for values out of range.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise InputError("The answer's length must be at least one token.")
        if not 0 <= self.temperature < math.inf:
            raise InputError("The temperature must be 0 (greedy) or a larger number.")
        if not 0 < self.top_p <= 1:
            raise InputError("top-p must be above 0 and at most 1.")
        if self.seed is not None and not 0 <= self.seed < _SEEDS:
            raise InputError(f"The seed must be a whole number from 0 to {_SEEDS - 1}.")

    def as_dict(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self) | {"stop": list(self.stop)}
