"""Every metric of every sample.

Knows which metrics a task has; knows nothing of means, intervals or files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from med2e3.data.sample import Sample
from med2e3.evaluation import attention, choices, reports
from med2e3.evaluation.answers import Answered
from med2e3.evaluation.radiology import RadiologyMetrics
from med2e3.evaluation.text_metrics import TextMetrics

STRICT, LOOSE, PRIOR, CHANCE = "accuracy", "accuracy_loose", "prior", "chance"
LETTER_PROBABILITY = "right_letter_probability"
STATEMENTS, STATEMENTS_PRIOR = "statements", "statements_prior"
RELEVANT, UNIFORM, HOTTEST = "relevant_mass", "uniform_mass", "hottest_relevant"


@dataclass(frozen=True)
class Result:
    """One finished sample.

    Args:
        sample: what was asked.
        answered: what was said.
        metrics: values by name; what does not apply to the sample is missing.
    """

    sample: Sample
    answered: Answered
    metrics: dict[str, float]


class BlindAnswers:
    """What could be answered without the volume, learned from other samples.

    Args:
        samples: with known answers.
        source: where they come from, a noun phrase for the report.
    """

    def __init__(self, samples: Iterable[Sample], source: str) -> None:
        self.source = source
        closed: list[Sample] = []
        self._texts: dict[tuple[str, str], Counter[str]] = {}
        for sample in samples:
            if sample.choices:
                closed.append(sample)
            elif reports.has_statements(sample):
                for key in ((sample.task, sample.question), (sample.task, "")):
                    self._texts.setdefault(key, Counter())[sample.answer] += 1
        self.choices = choices.Prior(closed)

    def text(self, sample: Sample) -> str:
        """The most frequent answer to the same question, else to any question of the task."""
        for key in ((sample.task, sample.question), (sample.task, "")):
            if known := self._texts.get(key):
                return min(known, key=lambda text: (-known[text], text))
        return ""


def measure(
    samples: Sequence[Sample],
    answers: Mapping[str, Answered],
    text_metrics: TextMetrics,
    blind: BlindAnswers,
    radiology: RadiologyMetrics | None = None,
) -> list[Result]:
    """Every metric of every sample, in the samples' order.

    Args:
        samples: all of them answered.
        answers: by sample id.
        text_metrics: for answers without choices.
        blind: for the prior.
        radiology: for reports.
    """
    free = [sample for sample in samples if not sample.choices]
    texts = text_metrics.compute(
        [answers[sample.id].answer for sample in free], [sample.answer for sample in free]
    )
    reported = [sample for sample in samples if sample.task == "report"]
    special = (
        radiology.compute(
            [answers[sample.id].answer for sample in reported],
            [sample.answer for sample in reported],
        )
        if radiology is not None
        else {}
    )
    results = []
    for sample in samples:
        answered = answers[sample.id]
        if sample.choices:
            metrics = _closed(sample, answered, blind)
        else:
            pair = (answered.answer, sample.answer)
            metrics = {name: values[pair] for name, values in texts.items()}
        if sample.task == "report":
            pair = (answered.answer, sample.answer)
            metrics |= {name: values[pair] for name, values in special.items()}
        if reports.has_statements(sample):
            metrics[STATEMENTS] = float(reports.statements_right(answered.answer, sample))
            if not sample.choices:
                guess = blind.text(sample)
                metrics[STATEMENTS_PRIOR] = float(reports.statements_right(guess, sample))
        if sample.slices and answered.scores:
            metrics |= {
                RELEVANT: attention.relevant_mass(answered.scores, sample.slices),
                UNIFORM: attention.uniform_mass(answered.scores, sample.slices),
                HOTTEST: attention.hottest_is_relevant(answered.scores, sample.slices),
            }
        results.append(Result(sample, answered, metrics))
    return results


def _closed(sample: Sample, answered: Answered, blind: BlindAnswers) -> dict[str, float]:
    metrics = {
        STRICT: float(choices.strict_match(answered.answer, sample)),
        LOOSE: float(choices.loose_match(answered.answer, sample)),
        PRIOR: blind.choices.expected(sample),
        CHANCE: choices.chance(sample),
    }
    if answered.choice_probabilities:
        metrics[LETTER_PROBABILITY] = answered.choice_probabilities[sample.answer_choice]
    return metrics
