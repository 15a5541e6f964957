"""Confidence intervals of figures whose samples come in clusters: many questions, one volume.

Knows the percentile bootstrap that draws whole volumes, and the jackknife that leaves out one
volume at a time.  Knows nothing of what is averaged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: the interval holds the middle 95 % of the draws
_PERCENTILES = (2.5, 97.5)
_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval.

    Args:
        value: the figure.
        low, high: ends of the interval; NaN where one volume alone gives none.
        samples: how many samples it rests on.
        volumes: how many volumes these come from.
    """

    value: float
    low: float
    high: float
    samples: int
    volumes: int


class Bootstrap:
    """Draws volumes with replacement; the same draws serve every figure.

    Args:
        volumes: the volume of every sample, in the samples' order.
        draws: how many times volumes are drawn.
        seed: makes the draws repeatable.
    """

    def __init__(self, volumes: Sequence[str], *, draws: int = 1000, seed: int = 0) -> None:
        names, self._cluster = np.unique(np.asarray(volumes, dtype=np.str_), return_inverse=True)
        self._count = len(names)
        rng = np.random.default_rng(seed)
        drawn = rng.integers(0, max(self._count, 1), (draws, self._count))
        self._weights = np.stack([np.bincount(row, minlength=self._count) for row in drawn])

    def mean(self, values: Array, chosen: npt.NDArray[np.intp]) -> Estimate:
        """The mean of ``values`` (S,) over the samples with the indices ``chosen`` (S,)."""
        return self.ratio(values, np.ones_like(values), chosen)

    def ratio(self, above: Array, below: Array, chosen: npt.NDArray[np.intp]) -> Estimate:
        """The sum of ``above`` (S,) divided by that of ``below`` (S,)."""
        return self._estimate([(above, below, chosen)])

    def macro(self, groups: Sequence[tuple[Array, npt.NDArray[np.intp]]]) -> Estimate:
        """The mean over groups of each group's mean."""
        return self._estimate([(v, np.ones_like(v), chosen) for v, chosen in groups])

    def largest_share(self, texts: Sequence[str], chosen: npt.NDArray[np.intp]) -> Estimate:
        """The share of the most frequent text.

        Only the 50 most frequent texts can become the most frequent one of a draw.
        """
        ones = np.ones(len(texts))
        common = [text for text, _ in Counter(texts).most_common(50)]
        shares = []
        for text in common:
            held = np.asarray([t == text for t in texts], dtype=np.float64)
            shares.append(self._draws(held, ones, chosen))
        return self._of_draws(
            Counter(texts)[common[0]] / len(texts), np.max(np.stack(shares), axis=0), chosen
        )

    def distinct_share(self, texts: Sequence[str], chosen: npt.NDArray[np.intp]) -> Estimate:
        """Different texts divided by texts, with a jackknife interval.

        A draw with replacement holds volumes twice, whose texts cannot be different: the
        bootstrap would be biased.  So each volume is left out once.
        """
        clusters = self._cluster[chosen]
        total, groups = Counter(texts), np.unique(clusters)
        value = len(total) / len(texts)
        if len(groups) < 2:
            return Estimate(value, np.nan, np.nan, len(texts), len(groups))
        own: dict[int, list[str]] = {}
        for text, cluster in zip(texts, clusters, strict=True):
            own.setdefault(int(cluster), []).append(text)
        left = []
        for part in own.values():
            gone = sum(total[text] == count for text, count in Counter(part).items())
            if len(part) < len(texts):
                left.append((len(total) - gone) / (len(texts) - len(part)))
        spread = np.sqrt((len(left) - 1) * np.var(left)) if left else np.nan
        low, high = value - _NORMAL_95 * spread, value + _NORMAL_95 * spread
        return Estimate(value, max(low, 0.0), min(high, 1.0), len(texts), len(groups))

    def _estimate(self, parts: Sequence[tuple[Array, Array, npt.NDArray[np.intp]]]) -> Estimate:
        chosen = np.concatenate([part[2] for part in parts])
        value = float(np.mean([above.sum() / below.sum() for above, below, _ in parts]))
        draws = np.stack([self._draws(*part) for part in parts])
        known = ~np.isnan(draws).all(axis=0)
        return self._of_draws(value, np.nanmean(draws[:, known], axis=0), chosen)

    def _draws(self, above: Array, below: Array, chosen: npt.NDArray[np.intp]) -> Array:
        """The ratio in each draw (draws,); NaN where a draw has none of these samples."""
        clusters = self._cluster[chosen]
        sums = [np.bincount(clusters, weights=v, minlength=self._count) for v in (above, below)]
        over, under = (self._weights @ part for part in sums)
        result: Array = np.full(len(over), np.nan)
        np.divide(over, under, out=result, where=under > 0)
        return result

    def _of_draws(self, value: float, draws: Array, chosen: npt.NDArray[np.intp]) -> Estimate:
        volumes = len(np.unique(self._cluster[chosen]))
        draws = draws[~np.isnan(draws)]
        low, high = (
            np.percentile(draws, _PERCENTILES) if volumes > 1 and len(draws) else (np.nan, np.nan)
        )
        return Estimate(value, float(low), float(high), len(chosen), volumes)
