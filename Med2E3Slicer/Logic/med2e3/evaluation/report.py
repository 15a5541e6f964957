"""Results as files: a table of all samples, a summary for programs, a report for people.

Knows columns and wording; knows nothing of how figures come about.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from med2e3.evaluation import measure, summary
from med2e3.evaluation.intervals import Estimate
from med2e3.evaluation.measure import Result
from med2e3.evaluation.retrieval import Retrieval
from med2e3.evaluation.summary import Figure
from med2e3.evaluation.text_metrics import TITLES

SAMPLES_FILE, SUMMARY_FILE, REPORT_FILE = "samples.csv", "summary.json", "report.md"

_TASK_TITLES = {
    "report": "Report generation",
    "open_vqa": "Open questions",
    "closed_vqa": "Multiple-choice questions",
    summary.SCORES: "Slice scores",
}
_TITLES = TITLES | {
    measure.STRICT: "accuracy (strict)",
    measure.LOOSE: "accuracy (loose)",
    measure.LETTER_PROBABILITY: "probability of the right letter",
    measure.STATEMENTS: "statements right",
    summary.DISTINCT: "distinct answers",
    summary.MOST_FREQUENT: "most frequent answer",
    summary.MASS_RATIO: "mass on relevant slices ÷ uniform",
    measure.RELEVANT: "mass on relevant slices",
    measure.HOTTEST: "hottest slice is relevant",
    summary.VARIATION: "total variation between questions",
    summary.DIVERGENCE: "Jensen-Shannon divergence between questions (bits)",
}
#: metrics that are no shares and so not shown as percentages
_PLAIN = (summary.MASS_RATIO, summary.VARIATION, summary.DIVERGENCE)
_MEANINGS = (
    "Intervals are 95 %: whole volumes are drawn with replacement 1000 times (percentiles); for "
    "the share of distinct answers each volume is left out once (jackknife).",
    "*micro* is the mean over all samples, *macro* the mean over topics. Text metrics are means "
    "of the samples' own scores; an answer without a word counts 0.",
    "*strict* takes the letter with which the answer begins, or an answer that is exactly one "
    "choice; *loose* is the reference implementation's match: the right letter with a period "
    "anywhere in the answer.",
    "*chance* is a blind guess; *prior* is the most frequent right answer to the same question "
    "text among its choices (for reports: the most frequent report), which needs no look at the "
    "volume.",
    "*distinct answers* is the share of different answers among all; a low share with a high "
    "*most frequent answer* means that the model repeats a template.",
)

#: columns of the table before and after those of the metrics
_FIRST = (
    *("id", "volume", "split", "task", "topic", "question", "choices", "reference", "answer"),
    *("finish_reason", "token_probability"),
)
_LAST = ("relevant_slices", "scores", "model", "model_sha256", "notice")


@dataclass(frozen=True)
class Heading:
    """What a report says before its figures.

    Args:
        model: the model's name.
        model_sha256: checksum of its weights.
        data: name of the data.
        split: which part of it.
        prior_source: what the prior was learned from.
        notes: sentences about what is missing or special.
        notice: the notice.
    """

    model: str
    model_sha256: str
    data: str
    split: str
    prior_source: str
    notes: tuple[str, ...]
    notice: str


def samples_table(results: Sequence[Result], heading: Heading) -> str:
    """One row for each sample, as CSV; what does not apply is an empty cell."""
    names = list(dict.fromkeys(name for result in results for name in result.metrics))
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow((*_FIRST, *names, *_LAST))
    for result in results:
        sample, answered = result.sample, result.answered
        writer.writerow(
            [sample.id, sample.volume, sample.split, sample.task, sample.topic, sample.question]
            + [" | ".join(sample.choices), sample.target, answered.answer]
            + [answered.finish_reason, answered.token_probability]
            + [result.metrics.get(name) for name in names]
            + [" ".join(map(str, sample.slices or ())), " ".join(map(str, answered.scores))]
            + [heading.model, heading.model_sha256, heading.notice]
        )
    return stream.getvalue()


def summary_text(
    figures: Sequence[Figure], heading: Heading, extra: dict[str, Any] | None = None
) -> str:
    """Everything for programs, as JSON."""
    values: dict[str, Any] = {
        "notice": heading.notice,
        "model": heading.model,
        "model_sha256": heading.model_sha256,
        "data": heading.data,
        "split": heading.split,
        "prior_source": heading.prior_source,
        "notes": list(heading.notes),
        "figures": [figure.as_dict() for figure in figures],
    }
    return json.dumps(values | (extra or {}), indent=1, ensure_ascii=False) + "\n"


def report_text(figures: Sequence[Figure], heading: Heading, sections: Sequence[str] = ()) -> str:
    """Everything for people, as Markdown.

    Args:
        figures: of :func:`~med2e3.evaluation.summary.summarise`.
        heading: what stands above them.
        sections: further parts of the report, each with its own title.
    """
    parts = [
        f"# Evaluation of {heading.model}",
        f"**{heading.notice}**",
        f"Model `{heading.model}` (SHA-256 `{heading.model_sha256}`) on the data "
        f"`{heading.data}`, split `{heading.split}`.",
        "\n".join(f"- {note}" for note in heading.notes),
    ]
    for task, title in _TASK_TITLES.items():
        own = [figure for figure in figures if figure.task == task]
        if own:
            parts += [f"## {title}", _table(own)]
    parts += sections
    about_prior = f"The prior was learned from {heading.prior_source}."
    parts += ["## How to read this", "\n".join(f"- {text}" for text in (*_MEANINGS, about_prior))]
    return "\n\n".join(part for part in parts if part) + "\n"


def shown(metric: str, estimate: Estimate) -> str:
    """A figure with its interval as people read it: shares as percentages."""
    factor, digits = (1, 3) if metric in _PLAIN else (100, 2)
    value = f"{estimate.value * factor:.{digits}f}"
    if math.isnan(estimate.low):
        return value
    return f"{value} [{estimate.low * factor:.{digits}f}, {estimate.high * factor:.{digits}f}]"


def title(metric: str) -> str:
    """A metric's name for people, with its unit."""
    return _TITLES.get(metric, metric) + ("" if metric in _PLAIN else " (%)")


def _table(figures: Sequence[Figure]) -> str:
    lines = [
        "| metric | group | value [95 % interval] | chance | prior [95 % interval] "
        "| samples | volumes |",
        "|---|---|---|---|---|---|---|",
    ]
    for figure in figures:
        chance = Estimate(figure.chance or 0.0, math.nan, math.nan, 0, 0)
        cells = [
            title(figure.metric),
            figure.group,
            shown(figure.metric, figure.estimate),
            "" if figure.chance is None else shown(figure.metric, chance),
            "" if figure.prior is None else shown(figure.metric, figure.prior),
            str(figure.estimate.samples),
            str(figure.estimate.volumes),
        ]
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def retrieval_section(found: Retrieval) -> str:
    """The report's part about retrieval, as Markdown."""
    lines = [
        "## Image-text retrieval",
        "",
        f"{found.images} volumes, {found.texts} different texts. Recall depends on how many are "
        "searched. Ties count against the model.",
    ]
    if found.repeated_texts:
        lines.append(
            f"{found.repeated_texts} volumes share their text with another one: such a text is "
            "one candidate, right for each of them, and any of them is right for it."
        )
    lines += [
        "",
        "| direction | recall | value (%) [95 % interval] | chance |",
        "|---|---|---|---|",
    ]
    directions = (
        ("volume to text", found.image_to_text, found.texts),
        ("text to volume", found.text_to_image, found.images),
    )
    for title, recalls, searched in directions:
        for rank, estimate in recalls.items():
            by_chance = min(1.0, rank / searched) * 100
            lines.append(f"| {title} | R@{rank} | {shown('', estimate)} | {by_chance:.2f} |")
    return "\n".join(lines)
