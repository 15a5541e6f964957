"""Reads a whole store and tells what is missing, damaged, or contradicts itself.

Knows what a store promises.  Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from med2e3.data.refusals import Refusal
from med2e3.data.sample import Sample, read_samples
from med2e3.data.store import VolumeEntry, VolumeStore
from med2e3.errors import InputError

#: called with volumes checked and volumes in all
OnProgress = Callable[[int, int], None]


@dataclass
class CheckReport:
    """What was found.

    Args:
        volumes: number of volumes of the index.
        samples: number of samples.
        problems: one for each thing that is not as it should be.
    """

    volumes: int = 0
    samples: int = 0
    problems: list[Refusal] = field(default_factory=list)


def check_store(store: VolumeStore, on_progress: OnProgress) -> CheckReport:
    """Read every volume, label and sample.

    Raises:
        InputError: when there is no index or no file of samples that can be read at all.
    """
    report = CheckReport()
    entries = store.entries
    for number, entry in enumerate(entries.values(), 1):
        on_progress(number - 1, len(entries))
        report.volumes += 1
        report.problems += [Refusal(entry.key, text) for text in _about_volume(store, entry)]
    on_progress(len(entries), len(entries))
    seen: set[str] = set()
    try:
        for number, sample in enumerate(read_samples(store.root / "samples.jsonl"), 1):
            report.samples += 1
            report.problems += [
                Refusal("samples.jsonl", text, number)
                for text in _about_sample(store, sample, seen)
            ]
            seen.add(sample.id)
    except InputError as error:
        report.problems.append(Refusal("samples.jsonl", error.sentence))
    return report


def _about_volume(store: VolumeStore, entry: VolumeEntry) -> Iterator[str]:
    try:
        if not store.has(entry.key):
            yield "The volume is missing."
            return
        if store.content_sha256(entry.key) != entry.sha256:
            yield "The voxels are not those that were stored (the checksum differs)."
    except InputError:
        yield "The volume is damaged or has another size."
    try:
        labels = store.labels(entry.key)
    except InputError:
        yield "The labels are damaged or have another size."
        return
    names = store.description.get("labels", ())
    if labels is not None and int(labels.max()) >= len(names):
        yield f"The labels run to {int(labels.max())}, but {len(names)} have a name."


def _about_sample(store: VolumeStore, sample: Sample, seen: set[str]) -> Iterator[str]:
    if sample.id in seen:
        yield f"Another sample has the id {sample.id!r}, too."
    if sample.volume not in store.entries:
        yield f"There is no volume {sample.volume!r} in the index."
    if not sample.answer.strip():
        yield "The answer is empty."
    if sample.slices and not 0 <= min(sample.slices) <= max(sample.slices) < store.size[0]:
        yield "It names slices that the volume does not have."
    if sample.question:
        try:
            question = sample.as_question()
        except InputError as error:
            yield error.sentence
            return
        if (
            sample.choices
            and dict(zip(question.letters, sample.choices, strict=True)).get(sample.answer_choice)
            is None
        ):
            yield "The letter of the right choice is not among the choices."
