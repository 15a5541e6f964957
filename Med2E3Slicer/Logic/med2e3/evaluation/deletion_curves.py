"""The deletion test's curves: means with intervals, areas between them, table and picture.

Knows curves of samples and how they are shown; knows nothing of models.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from med2e3.data.sample import Sample
from med2e3.evaluation.deletions import HIGHEST, LOWEST, ORDERS, RANDOM, Deletion
from med2e3.evaluation.intervals import Bootstrap, Estimate
from med2e3.evaluation.summary import MICRO

CONFIDENCE, ACCURACY = "confidence", "accuracy"
CURVES_FILE, PICTURE_FILE = "faithfulness.csv", "faithfulness.png"
_COLUMNS = (
    *("task", "group", "measure", "removed_slices", "count", "value", "low", "high"),
    *("samples", "volumes", "notice"),
)
_COLOURS = {HIGHEST: "#c0392b", RANDOM: "#7f8c8d", LOWEST: "#2471a3"}
_LABELS = {
    HIGHEST: "highest-scored removed",
    RANDOM: "random removed",
    LOWEST: "lowest-scored removed",
}


@dataclass(frozen=True)
class Curve:
    """One measure against the number of removed slices.

    Args:
        task: the samples' task.
        group: a topic, or :data:`~med2e3.evaluation.summary.MICRO` for all samples of the task.
        measure: :data:`CONFIDENCE` or :data:`ACCURACY`.
        order: which slices were removed.
        removed: how many, at each point.
        points: the mean at each point.
    """

    task: str
    group: str
    measure: str
    order: str
    removed: tuple[int, ...]
    points: tuple[Estimate, ...]


@dataclass(frozen=True)
class Area:
    """How much lower the curve for the highest-scored slices lies than another one.

    Args:
        task, group, measure: as in :class:`Curve`.
        against: the other curve's order.
        estimate: the mean difference of the two curves over the removed share of slices, from
            none to the most that were removed (trapezoids); above 0 when removing the
            highest-scored slices costs more.
    """

    task: str
    group: str
    measure: str
    against: str
    estimate: Estimate


def curves_of(
    samples: Mapping[str, Sample], deletions: Sequence[Deletion], *, seed: int = 0
) -> tuple[list[Curve], list[Area]]:
    """Curves and areas for each task, by topic and over all its samples.

    Args:
        samples: by id.
        deletions: of samples of one model, so with the same points.
        seed: of the intervals.
    """
    curves: list[Curve] = []
    areas: list[Area] = []
    for task, group, own in _groups(samples, deletions):
        bootstrap = Bootstrap([samples[d.id].volume for d in own], seed=seed)
        for measure in (CONFIDENCE, ACCURACY):
            held = [i for i, d in enumerate(own) if measure == CONFIDENCE or d.right]
            if not held:
                continue
            chosen = np.asarray(held)
            removed = own[held[0]].removed
            rows = {
                order: np.asarray([_values(own[i], measure)[order] for i in held])
                for order in ORDERS
            }
            for order, values in rows.items():
                points = tuple(bootstrap.mean(column.copy(), chosen) for column in values.T)
                curves.append(Curve(task, group, measure, order, removed, points))
            for other in (RANDOM, LOWEST):
                between = _area(rows[other] - rows[HIGHEST], removed)
                areas.append(Area(task, group, measure, other, bootstrap.mean(between, chosen)))
    return curves, areas


def _groups(
    samples: Mapping[str, Sample], deletions: Sequence[Deletion]
) -> Iterator[tuple[str, str, list[Deletion]]]:
    """Each task's topics, then all its samples."""
    for task in sorted({samples[d.id].task for d in deletions}):
        own = [d for d in deletions if samples[d.id].task == task]
        for topic in sorted({samples[d.id].topic for d in own} - {""}):
            yield task, topic, [d for d in own if samples[d.id].topic == topic]
        yield task, MICRO, own


def _values(deletion: Deletion, measure: str) -> dict[str, list[float]]:
    return deletion.confidence if measure == CONFIDENCE else deletion.right


def _area(differences: np.ndarray, removed: Sequence[int]) -> np.ndarray:
    """Mean height of each row of ``differences`` (S, points) between its first and last point."""
    if len(removed) < 2:
        return np.zeros(len(differences))
    area: np.ndarray = np.trapezoid(differences, x=removed, axis=1)
    return area / (removed[-1] - removed[0])


def curves_table(curves: Sequence[Curve], notice: str) -> str:
    """Every point with its interval, as CSV."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(_COLUMNS)
    for curve in curves:
        for count, point in zip(curve.removed, curve.points, strict=True):
            ends = [None if np.isnan(end) else end for end in (point.low, point.high)]
            about = (curve.task, curve.group, curve.measure, curve.order)
            counts = (point.samples, point.volumes)
            writer.writerow((*about, count, point.value, *ends, *counts, notice))
    return stream.getvalue()


def section(areas: Sequence[Area]) -> str:
    """The report's part about the test, as Markdown."""
    lines = [
        "## Faithfulness of the scores",
        "",
        "Slices are blanked in the model's input and the whole model runs again. *confidence* is "
        "the probability of the letter chosen before, or the mean probability of the tokens given "
        "before; *accuracy* is that of the most probable letter. The area is the mean difference "
        "between two curves; above 0, removing the highest-scored slices costs more than removing "
        "the others, as it should where the answer rests on them.",
        "",
        "| task | group | measure | highest-scored against | area (points) [95 % interval] "
        "| samples |",
        "|---|---|---|---|---|---|",
    ]
    for area in areas:
        e = area.estimate
        ends = "" if np.isnan(e.low) else f" [{e.low * 100:.2f}, {e.high * 100:.2f}]"
        lines.append(
            f"| {area.task} | {area.group} | {area.measure} | {area.against} "
            f"| {e.value * 100:.2f}{ends} | {e.samples} |"
        )
    return "\n".join([*lines, "", f"![deletion curves]({PICTURE_FILE})"])


def as_json(curves: Sequence[Curve], areas: Sequence[Area]) -> dict[str, Any]:
    """For the summary; an interval that one volume alone cannot give is null."""
    values = {
        "curves": [asdict(curve) for curve in curves],
        "areas": [asdict(area) for area in areas],
    }
    estimates = [p for curve in values["curves"] for p in curve["points"]]
    for estimate in (*estimates, *(area["estimate"] for area in values["areas"])):
        estimate |= {k: None for k in ("low", "high") if np.isnan(estimate[k])}
    return values


def picture(curves: Sequence[Curve], notice: str) -> bytes:
    """The tasks' curves with their intervals, one panel for each measure, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    whole = [curve for curve in curves if curve.group == MICRO]
    panels = list(dict.fromkeys((curve.task, curve.measure) for curve in whole))
    figure = Figure(figsize=(4.2 * len(panels), 3.6), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    for number, (task, measure) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), number + 1)
        for curve in whole:
            if (curve.task, curve.measure) != (task, measure):
                continue
            colour, where = _COLOURS[curve.order], range(len(curve.removed))
            axes.plot(
                where,
                [p.value for p in curve.points],
                color=colour,
                marker="o",
                markersize=3,
                label=_LABELS[curve.order],
            )
            low, high = ([getattr(p, e) for p in curve.points] for e in ("low", "high"))
            axes.fill_between(where, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.set_xticks(where, [str(count) for count in curve.removed])
        axes.set(title=task, xlabel="slices removed", ylabel=measure)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        if number == 0:
            axes.legend(frameon=False, fontsize=8)
    figure.supxlabel(notice, fontsize=7)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()
