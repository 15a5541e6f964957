"""What the deletion test found out about one sample, and which slices it removes.

Knows orders and counts; loads no model (:mod:`med2e3.evaluation.faithfulness` runs it).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

HIGHEST, RANDOM, LOWEST = "highest", "random", "lowest"
ORDERS = (HIGHEST, RANDOM, LOWEST)
#: how many slices are removed
REMOVED = (0, 1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Deletion:
    """One sample's curves.

    Args:
        id: the sample's.
        removed: how many slices were removed at each point, 0 first.
        confidence: for each of :data:`ORDERS` one number for each point: the probability of the
            letter chosen before, among the letters; for other answers the mean probability of
            the tokens given before.
        right: the same for whether the most probable letter is the right one; empty for
            questions without choices.
    """

    id: str
    removed: tuple[int, ...]
    confidence: dict[str, list[float]]
    right: dict[str, list[float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For a line of JSON."""
        return asdict(self)

    @classmethod
    def of_dict(cls, values: dict[str, Any]) -> Deletion:
        """What :meth:`as_dict` gave."""
        return cls(**(values | {"removed": tuple(values["removed"])}))


def slices_to_remove(
    scores: Sequence[float], order: str, count: int, volume: str, draw: int
) -> tuple[int, ...]:
    """Which slices are removed, sorted.

    Args:
        scores: one for each slice; of equal ones the first counts as higher.
        order: one of :data:`ORDERS`.
        count: how many.
        volume: the volume's hash; it decides, with ``draw``, which slices are random, so that all
            questions about a volume meet the same ones.
        draw: number of the random draw.
    """
    if order == RANDOM:
        seed = int.from_bytes(hashlib.sha256(f"{volume} {draw}".encode()).digest()[:8])
        ranked = np.random.default_rng(seed).permutation(len(scores))
    else:
        ranked = np.argsort(-np.asarray(scores), kind="stable")
        ranked = ranked if order == HIGHEST else ranked[::-1]
    return tuple(sorted(int(index) for index in ranked[:count]))
