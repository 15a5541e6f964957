"""What an engine says while it answers: stage, progress, scores, token, done.

The order is fixed: ``scores`` comes before the first ``token``; ``done`` is last.  A failure is
an exception of :mod:`med2e3.errors`, not an event, so that it cannot be overlooked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

StageName = Literal["encoding", "scoring", "generating"]
FinishReason = Literal["end", "length", "stop", "cancelled"]


@dataclass(frozen=True)
class Stage:
    """The work now under way."""

    name: StageName


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` steps of the present stage (slices while encoding)."""

    done: int
    total: int


@dataclass(frozen=True)
class Scores:
    """TG-IS scores, one for each model slice in the model's slice order; they sum to 1."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class Token:
    """One generated token.

    Args:
        id: the token's id.
        text: what it adds to the answer so far (may be empty inside a multi-byte character).
        probability: the probability that the model gave it, after temperature 1.
    """

    id: int
    text: str
    probability: float


@dataclass(frozen=True)
class Done:
    """The whole answer.

    Args:
        answer: the text.
        token_ids: new tokens only, with the final end token if there is one.
        token_probabilities: one for each token.
        scores: as in :class:`Scores`; empty when the model gives none (3D only).
        finish_reason: why it ended.
        choice_probabilities: for multiple choice, the probability of each letter, summing to 1.
        timings_s: seconds of each stage, and ``first_token`` from the question's arrival.
        cache_hits: which of ``volume`` and ``prefix`` were reused.
        seed: the seed that sampling used; None for greedy.
    """

    answer: str
    token_ids: tuple[int, ...]
    token_probabilities: tuple[float, ...]
    scores: tuple[float, ...]
    finish_reason: FinishReason
    choice_probabilities: dict[str, float] = field(default_factory=dict)
    timings_s: dict[str, float] = field(default_factory=dict)
    cache_hits: tuple[str, ...] = ()
    seed: int | None = None


Event = Stage | Progress | Scores | Token | Done
