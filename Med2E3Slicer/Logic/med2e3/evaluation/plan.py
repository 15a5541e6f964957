"""What is to be asked: the chosen samples, and what decides their answers.

Knows how samples are chosen and shared among processes, and refuses to mix the results of two
different evaluations in one folder.  Loads no model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from med2e3.atomic import write_text
from med2e3.data.sample import Sample
from med2e3.data.store import VolumeStore
from med2e3.errors import InputError
from med2e3.evaluation.answers import Shard

PLAN_FILE = "plan.json"
TASKS = ("report", "open_vqa", "closed_vqa")


@dataclass(frozen=True)
class Selection:
    """Which samples of a store are evaluated.

    Args:
        split: name of the split.
        tasks: of :data:`TASKS`; empty for all.
        limit: the first so many samples; None for all.

    Raises:
        InputError: for an unknown task or a limit below 1.
    """

    split: str = "test"
    tasks: tuple[str, ...] = ()
    limit: int | None = None

    def __post_init__(self) -> None:
        for task in self.tasks:
            if task not in TASKS:
                raise InputError(
                    f"There is no task {task!r}.", hint=f"Use one of {', '.join(TASKS)}."
                )
        if self.limit is not None and self.limit < 1:
            raise InputError("The limit must be at least one sample.")


def select(store: VolumeStore, selection: Selection) -> tuple[list[Sample], int]:
    """The samples to ask, in the order of the file, and how many were passed over.

    Samples without a question (the image alone, for alignment) are passed over.

    Raises:
        InputError: when there is none, an id occurs twice, or a volume is missing.
    """
    found = [s for s in store.samples(selection.split) if s.task in (selection.tasks or TASKS)]
    samples = [sample for sample in found if sample.question.strip()]
    passed_over = len(found) - len(samples)
    samples = samples[: selection.limit]
    if not samples:
        splits = sorted({sample.split for sample in store.samples()})
        raise InputError(
            f"The data {store.root.name!r} has no such questions in the split {selection.split!r}.",
            hint=f"Its splits are: {', '.join(splits) or 'none'}.",
        )
    if len({sample.id for sample in samples}) < len(samples):
        raise InputError(
            "Two samples have the same id.", hint="Make the data again with 'med2e3 data'."
        )
    for sample in samples:
        try:
            sample.as_question()
        except InputError as error:
            raise InputError(
                f"The sample {sample.id!r} cannot be asked: {error.sentence}",
                hint="Make the data again with 'med2e3 data'.",
            ) from error
        if sample.choices and sample.answer_choice not in sample.as_question().letters:
            raise InputError(
                f"The sample {sample.id!r} names no right choice.",
                hint="Make the data again with 'med2e3 data'.",
            )
    volumes = {sample.volume for sample in samples}
    missing = sorted(key for key in volumes if not store.has(key))
    if missing:
        raise InputError(
            f"{len(missing)} of {len(volumes)} volumes are missing from the data, "
            f"{missing[0]!r} first.",
            hint="Run the same 'med2e3 data' command again; it makes what is missing.",
        )
    return samples, passed_over


def share(samples: Sequence[Sample], shard: Shard) -> list[Sample]:
    """One process's part: whole volumes, their questions one after the other."""
    volumes = sorted({sample.volume for sample in samples})
    own = {volume: i for i, volume in enumerate(volumes) if i % shard.count == shard.index}
    return sorted((s for s in samples if s.volume in own), key=lambda s: own[s.volume])


def data_sha256(store: VolumeStore, samples: Sequence[Sample]) -> str:
    """One checksum of the samples and their volumes' content."""
    digest = hashlib.sha256()
    entries = store.entries
    for sample in samples:
        entry = entries.get(sample.volume)
        digest.update(f"{sample.to_json()}\n{entry.sha256 if entry else ''}\n".encode())
    return digest.hexdigest()


def keep_plan(folder: Path, plan: dict[str, Any]) -> None:
    """Write what decides the answers, or check that the folder's answers were decided by it.

    Args:
        folder: the results; is created.
        plan: JSON-able, by the names that a person is told.

    Raises:
        InputError: when the folder holds another evaluation, saying what differs.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The results folder {folder.name!r} cannot be made: {error.strerror or error}.",
            hint="Choose a folder that you may write to.",
            detail=repr(error),
        ) from error
    path = folder / PLAN_FILE
    if path.is_file():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"The results folder {folder.name!r} is damaged: {PLAN_FILE} cannot be read.",
                hint="Give another folder, or begin anew with --restart.",
                detail=repr(error),
            ) from error
        names = sorted({*plan, *kept})
        different = [name for name in names if plan.get(name) != kept.get(name)]
        if different:
            raise InputError(
                f"The results folder {folder.name!r} holds another evaluation: "
                f"{', '.join(different)} differs.",
                hint="Give another --output, or begin anew with --restart.",
                detail=repr({name: (kept.get(name), plan.get(name)) for name in different}),
            )
        return
    write_text(path, json.dumps(plan, indent=1, sort_keys=True) + "\n")
