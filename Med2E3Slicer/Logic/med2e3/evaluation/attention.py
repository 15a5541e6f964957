"""How well slice scores point at the relevant slices, and how they differ between questions.

Knows distributions over slices; knows nothing of models or data sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

Distribution = npt.NDArray[np.float64]


def relevant_mass(scores: Sequence[float], relevant: Sequence[int]) -> float:
    """The share of all score on the relevant slices."""
    return float(sum(scores[index] for index in set(relevant)) / sum(scores))


def uniform_mass(scores: Sequence[float], relevant: Sequence[int]) -> float:
    """The same for uniform scores: also how often a slice drawn at random is relevant."""
    return len(set(relevant)) / len(scores)


def hottest_is_relevant(scores: Sequence[float], relevant: Sequence[int]) -> float:
    """Whether the slice with the highest score is relevant; a share where several are highest."""
    highest = max(scores)
    hottest = [index for index, score in enumerate(scores) if score == highest]
    return sum(index in set(relevant) for index in hottest) / len(hottest)


def total_variation(one: Distribution, other: Distribution) -> float:
    """Half the sum of absolute differences: 0 for the same distribution, 1 for disjoint ones."""
    return float(np.abs(one - other).sum() / 2)


def jensen_shannon(one: Distribution, other: Distribution) -> float:
    """Jensen-Shannon divergence in bits: 0 for the same distribution, 1 for disjoint ones."""
    middle = (one + other) / 2
    return max(0.0, (_divergence(one, middle) + _divergence(other, middle)) / 2)


def mean_distances(distributions: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """Mean total variation and Jensen-Shannon divergence over all pairs; None without a pair."""
    rows = [np.asarray(row, np.float64) / np.sum(row) for row in distributions]
    pairs = list(combinations(rows, 2))
    if not pairs:
        return None
    variation = float(np.mean([total_variation(*pair) for pair in pairs]))
    return variation, float(np.mean([jensen_shannon(*pair) for pair in pairs]))


def _divergence(one: Distribution, other: Distribution) -> float:
    held = one > 0
    return float((one[held] * np.log2(one[held] / other[held])).sum())
