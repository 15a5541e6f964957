"""From metrics of samples to figures with intervals: per topic, macro, micro.

Knows what is averaged over what; knows nothing of how figures are shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np

from med2e3.evaluation import measure
from med2e3.evaluation.attention import mean_distances
from med2e3.evaluation.intervals import Bootstrap, Estimate
from med2e3.evaluation.measure import Result
from med2e3.evaluation.plan import TASKS
from med2e3.evaluation.radiology import PREFIX
from med2e3.evaluation.text_metrics import TITLES

MICRO, MACRO = "micro", "macro"
#: the pseudo-task of figures about slice scores
SCORES = "scores"
DISTINCT, MOST_FREQUENT = "distinct_answers", "most_frequent_answer"
MASS_RATIO = "mass_over_uniform"
VARIATION, DIVERGENCE = "total_variation", "jensen_shannon"
_TASK_METRICS = (
    measure.STRICT,
    measure.LOOSE,
    measure.LETTER_PROBABILITY,
    *TITLES,
    measure.STATEMENTS,
)
#: the metric that is what a blind answer reaches, for those that have one
_PRIORS = {
    measure.STRICT: measure.PRIOR,
    measure.LOOSE: measure.PRIOR,
    measure.STATEMENTS: measure.STATEMENTS_PRIOR,
}


@dataclass(frozen=True)
class Figure:
    """One number of the report.

    Args:
        task: of :data:`~med2e3.evaluation.plan.TASKS`, or :data:`SCORES`.
        metric: its name.
        group: a topic, :data:`MACRO` (mean over topics) or :data:`MICRO` (over all samples).
        estimate: value and interval.
        prior: what the best answer without the volume reaches, where that is known.
        chance: what a blind guess reaches, where that is known.
    """

    task: str
    metric: str
    group: str
    estimate: Estimate
    prior: Estimate | None = None
    chance: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON; an interval that one volume alone cannot give is null."""
        values = asdict(self)
        for part in (values["estimate"], values["prior"]):
            if part is not None:
                part |= {k: None for k in ("low", "high") if math.isnan(part[k])}
        return values


def summarise(results: Sequence[Result], *, seed: int = 0) -> list[Figure]:
    """Every figure that the results give.

    Args:
        results: at least one.
        seed: of the intervals.
    """
    bootstrap = Bootstrap([result.sample.volume for result in results], seed=seed)
    figures: list[Figure] = []
    for task in TASKS:
        chosen = [i for i, result in enumerate(results) if result.sample.task == task]
        if chosen:
            figures += _of_task(task, results, chosen, bootstrap)
    return figures + _of_scores(results, bootstrap) + _of_distances(results, seed)


def _of_task(
    task: str, results: Sequence[Result], chosen: list[int], bootstrap: Bootstrap
) -> list[Figure]:
    figures = []
    special = {n for i in chosen for n in results[i].metrics if n.startswith(PREFIX)}
    for metric in (*_TASK_METRICS, *sorted(special)):
        held = [i for i in chosen if metric in results[i].metrics]
        if not held:
            continue
        prior = _PRIORS.get(metric, "")
        for group, parts in _groups(results, held).items():
            figures.append(
                Figure(
                    task,
                    metric,
                    group,
                    _mean(metric, results, parts, bootstrap),
                    _mean(prior, results, parts, bootstrap)
                    if prior in results[held[0]].metrics
                    else None,
                    _mean(measure.CHANCE, results, parts, bootstrap).value
                    if prior == measure.PRIOR
                    else None,
                )
            )
    answers = [results[i].answered.answer for i in chosen]
    where = np.asarray(chosen)
    figures.append(Figure(task, DISTINCT, MICRO, bootstrap.distinct_share(answers, where)))
    figures.append(Figure(task, MOST_FREQUENT, MICRO, bootstrap.largest_share(answers, where)))
    return figures


def _groups(results: Sequence[Result], held: list[int]) -> dict[str, list[list[int]]]:
    """The parts whose means are averaged, for each topic, macro and micro."""
    topics: dict[str, list[int]] = {}
    for i in held:
        topics.setdefault(results[i].sample.topic, []).append(i)
    named = {topic: part for topic, part in topics.items() if topic}
    groups = {topic: [part] for topic, part in named.items()}
    if len(named) > 1:
        groups[MACRO] = list(named.values())
    return groups | {MICRO: [held]}


def _mean(
    metric: str, results: Sequence[Result], parts: list[list[int]], bootstrap: Bootstrap
) -> Estimate:
    return bootstrap.macro([(_values(metric, results, part), np.asarray(part)) for part in parts])


def _values(metric: str, results: Sequence[Result], part: Sequence[int]) -> np.ndarray:
    return np.asarray([results[i].metrics[metric] for i in part], dtype=np.float64)


def _of_scores(results: Sequence[Result], bootstrap: Bootstrap) -> list[Figure]:
    held = [i for i, result in enumerate(results) if measure.RELEVANT in result.metrics]
    if not held:
        return []
    figures = []
    for group, parts in _groups(results, held).items():
        if group == MACRO:
            continue
        (part,) = parts
        where = np.asarray(part)
        mass, uniform, hottest = (
            _values(name, results, part)
            for name in (measure.RELEVANT, measure.UNIFORM, measure.HOTTEST)
        )
        by_chance = float(uniform.mean())
        figures += [
            Figure(SCORES, MASS_RATIO, group, bootstrap.ratio(mass, uniform, where), chance=1.0),
            Figure(SCORES, measure.RELEVANT, group, bootstrap.mean(mass, where), chance=by_chance),
            Figure(
                SCORES, measure.HOTTEST, group, bootstrap.mean(hottest, where), chance=by_chance
            ),
        ]
    return figures


def _of_distances(results: Sequence[Result], seed: int) -> list[Figure]:
    """How the scores of different questions about one volume differ; each volume counts once."""
    scored = sorted(
        (r for r in results if r.answered.scores), key=lambda result: result.sample.volume
    )
    rows: list[tuple[str, tuple[float, float]]] = []
    for volume, group in groupby(scored, key=lambda result: result.sample.volume):
        different = {_scoring_text(r): r.answered.scores for r in group}
        distances = mean_distances(list(different.values()))
        if distances is not None:
            rows.append((volume, distances))
    if not rows:
        return []
    bootstrap = Bootstrap([volume for volume, _ in rows], seed=seed)
    every = np.arange(len(rows))
    values = np.asarray([distances for _, distances in rows])
    return [
        Figure(SCORES, name, MICRO, bootstrap.mean(values[:, i].copy(), every))
        for i, name in enumerate((VARIATION, DIVERGENCE))
    ]


def _scoring_text(result: Result) -> str:
    sample = result.sample
    return sample.scoring_text or sample.as_question().scoring_text
