"""Makes a store of training volumes from files, in parallel, and goes on where a run was ended.

Knows the order: what there is, what is done already, what is left to do, the samples, the index.
How one volume is prepared, and how annotations are read, is elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from med2e3.data.annotations import AnnotationFile, Assembler, is_training, read_annotations
from med2e3.data.drops import read_drops
from med2e3.data.journal import Done, Journal, read_journal
from med2e3.data.keys import KeyFinder
from med2e3.data.m3d_cap import Asking
from med2e3.data.m3d_vqa import Form
from med2e3.data.masks import find_labels
from med2e3.data.one_volume import Outcome, Piece, Preparation, prepare_one
from med2e3.data.pool import run_in_processes
from med2e3.data.refusals import Refusal, write_table
from med2e3.data.sample import Sample, write_samples
from med2e3.data.sources import TrainingSource, find_training_sources
from med2e3.data.store import VolumeEntry, VolumeStore
from med2e3.errors import InputError, ResourceError
from med2e3.sizes import human_bytes

#: split of volumes about which nothing is known
UNASSIGNED = "unassigned"
#: bytes of the header of an array file
_HEADER = 128


@dataclass(frozen=True)
class PrepareRequest:
    """What is to be prepared, and how.

    Args:
        source: folder of volumes.
        store: folder of the store; is created.
        preparation: size, window, plane.
        dtype: how voxels are stored.
        prefix: put before every key.
        labels: folder of label volumes.
        label_names: name of each label value, 0 (background) first.
        annotations: files of questions and reports; without any, samples are left as they are.
        texts: folder of M3D-Cap's text files; by default the source.
        asking: how reports are asked for.
        form: of M3D-VQA's rows.
        split: of volumes that no sample tells the split of.
        workers: number of processes.
    """

    source: Path
    store: Path
    preparation: Preparation
    dtype: str = "uint8"
    prefix: str = ""
    labels: Path | None = None
    label_names: tuple[str, ...] = ()
    annotations: tuple[AnnotationFile, ...] = ()
    texts: Path | None = None
    asking: Asking = "drawn"
    form: Form = "both"
    split: str = UNASSIGNED
    workers: int = 1


@dataclass
class Summary:
    """What came of a run.

    Args:
        prepared: volumes stored in this run.
        kept: volumes that were stored before.
        refused: volumes, annotation rows and samples that were left out, with the reason.
        remarks: about volumes that are used.
        volumes: number of volumes of the index by split.
        samples: number of samples by split and task; empty when samples were left as they are.
    """

    prepared: int = 0
    kept: int = 0
    refused: list[Refusal] = field(default_factory=list)
    remarks: list[Refusal] = field(default_factory=list)
    volumes: Counter[str] = field(default_factory=Counter)
    samples: Counter[tuple[str, str]] = field(default_factory=Counter)


#: called with volumes done, volumes in all, and volumes refused so far
OnProgress = Callable[[int, int, int], None]


def prepare_store(request: PrepareRequest, on_progress: OnProgress) -> Summary:
    """Prepare all volumes of a folder and write samples and index.

    Volumes that were stored before from the same files with the same choices are kept.  After
    Ctrl-C (KeyboardInterrupt) or a kill every stored volume is whole, and the same call goes on.

    Raises:
        InputError: for a folder or file that cannot be used as a whole.
        ResourceError: when the disk is too small.
    """
    summary = Summary()
    _check(request)
    sources = find_training_sources(
        request.source, prefix=request.prefix, refuse=summary.refused.append
    )
    if not sources:
        raise InputError(
            f"The folder {request.source.name!r} holds no volumes.",
            hint="Give a folder of NIfTI, NRRD, MetaImage or .npy files, DICOM folders, or folders "
            "of PNG or JPEG pictures.",
        )
    store = VolumeStore.create(
        request.store,
        request.preparation.size,
        dtype=request.dtype,
        labels=request.label_names,
        preparation=request.preparation.as_dict(),
    )
    _remove_parts(request.store)
    done = read_journal(request.store)
    pieces = _to_do(request, sources, store, done, summary)
    _check_disk(request, len(pieces))
    _work(request, pieces, done, summary, on_progress)
    stored = {key: row for key, row in done.items() if store.has(key)}
    _finish(request, store, stored, summary)
    return summary


def _check(request: PrepareRequest) -> None:
    if not request.source.is_dir():
        raise InputError(
            f"There is no folder {request.source.name!r}.", hint="Give a folder of volumes."
        )
    if request.store.resolve().is_relative_to(request.source.resolve()):
        raise InputError(
            "The store would lie in the folder of the volumes and be taken for a part of it.",
            hint="Give another folder for the store.",
        )
    if request.labels is not None and not request.labels.is_dir():
        raise InputError(f"There is no folder of labels {request.labels.name!r}.")
    if request.labels is not None and not request.label_names:
        raise InputError(
            "What the values of the label volumes mean is not told.",
            hint="Name the labels, value 1 first.",
        )
    if len(request.label_names) > 256 or len(set(request.label_names)) < len(request.label_names):
        raise InputError("There can be 255 labels, each with a name of its own.")
    if len(request.preparation.size) != 3 or min(request.preparation.size) < 1:
        raise InputError("The size is three numbers above 0: slices, rows, columns.")
    if request.workers < 1:
        raise InputError("At least one process is needed.")


def _to_do(
    request: PrepareRequest,
    sources: Sequence[TrainingSource],
    store: VolumeStore,
    done: dict[str, Done],
    summary: Summary,
) -> list[Piece]:
    """What is not stored yet, or was made of other files."""
    pieces = []
    root = request.source.resolve().name
    for source in sources:
        before = done.get(source.key)
        if before is not None and before.root != root:
            reason = f"A volume of the folder {before.root!r} has the same name in the store."
            summary.refused.append(Refusal(source.name, f"{reason} Give a --prefix."))
            continue
        labels = find_labels(request.labels, source.name) if request.labels else None
        if request.labels and labels is None:
            summary.remarks.append(Refusal(source.name, "It has no label volume."))
        try:
            made_from = _made_from(request, source, labels)
        except OSError as error:
            summary.refused.append(Refusal(source.name, f"It cannot be read: {error.strerror}."))
            continue
        if before is not None and before.made_from == made_from and store.is_whole(source.key):
            summary.kept += 1
            summary.remarks += [Refusal(source.name, text) for text in before.remarks]
            continue
        pieces.append(
            Piece(
                source, labels, request.label_names, request.store, request.preparation, made_from
            )
        )
    return pieces


def _made_from(request: PrepareRequest, source: TrainingSource, labels: Path | None) -> str:
    label_stat = None if labels is None else labels.stat()
    facts: list[Any] = [
        source.signature(),
        source.kind,
        request.preparation.as_dict(),
        request.preparation.size,
        request.dtype,
        None if label_stat is None else [label_stat.st_size, label_stat.st_mtime_ns],
        request.label_names if labels is not None else None,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _work(
    request: PrepareRequest,
    pieces: Sequence[Piece],
    done: dict[str, Done],
    summary: Summary,
    on_progress: OnProgress,
) -> None:
    total = summary.kept + len(pieces)
    refused = 0
    on_progress(summary.kept, total, refused)
    root = request.source.resolve().name
    for piece in pieces:  # what was made of other files is not to be used, whatever comes
        done.pop(piece.source.key, None)
    workers = min(request.workers, max(1, len(pieces)))
    with (
        Journal(request.store, done) as journal,
        closing(run_in_processes(pieces, prepare_one, workers)) as results,
    ):
        for number, (piece, result) in enumerate(results, 1):
            outcome = result or Outcome(
                reason="The process that prepared it was ended, probably for lack of memory."
            )
            name, key = piece.source.name, piece.source.key
            if outcome.reason:
                refused += 1
                summary.refused.append(Refusal(name, outcome.reason))
            else:
                summary.prepared += 1
                summary.remarks += [Refusal(name, text) for text in outcome.remarks]
                done[key] = Done(
                    key,
                    root,
                    piece.made_from,
                    outcome.sha256,
                    outcome.signature,
                    outcome.attributes,
                    outcome.remarks,
                )
                journal.add(done[key])
            on_progress(summary.kept + number, total, refused)


def _finish(
    request: PrepareRequest, store: VolumeStore, stored: dict[str, Done], summary: Summary
) -> None:
    """Write samples, index, and what was left out."""
    drops = read_drops(request.store)
    splits: dict[str, str] = {}
    if request.annotations:
        finder = KeyFinder(stored, {row.root for row in stored.values()})
        attributes = {key: row.attributes for key, row in stored.items()}
        assembler = Assembler(finder, attributes, summary.refused.append)

        def samples() -> Iterator[Sample]:
            for file in request.annotations:
                found = read_annotations(
                    file,
                    request.texts or request.source,
                    asking=request.asking,
                    form=request.form,
                    refuse=summary.refused.append,
                )
                for sample in assembler.assemble(file.path.name, found):
                    if not (sample.volume in drops and is_training(sample.split)):
                        summary.samples[sample.split, sample.task] += 1
                        yield sample

        write_samples(request.store / "samples.jsonl", samples())
        splits = {key: split_of_volume(found) for key, found in assembler.splits.items()}
    elif (request.store / "samples.jsonl").exists():
        splits = _splits_before(store)
    else:
        write_samples(request.store / "samples.jsonl", ())
    entries = [
        VolumeEntry(key, splits.get(key, request.split), row.sha256, row.attributes)
        for key, row in sorted(stored.items())
    ]
    entries = [e for e in entries if not (e.key in drops and is_training(e.split))]
    store.write_index(entries)
    summary.volumes.update(entry.split for entry in entries)
    write_table(request.store / "refused.csv", summary.refused)
    write_table(request.store / "remarks.csv", summary.remarks)


def split_of_volume(splits: set[str]) -> str:
    """The split of a volume that has samples of several: the one that must not be learned from."""
    return min(splits, key=lambda split: (is_training(split), not split.startswith("test"), split))


def _splits_before(store: VolumeStore) -> dict[str, str]:
    try:
        return {key: entry.split for key, entry in store.entries.items()}
    except InputError:
        return {}


def _remove_parts(root: Path) -> None:
    """Delete what a killed run left half written."""
    for folder in ("volumes", "labels"):
        for place, _, files in os.walk(root / folder):
            for name in files:
                if name.startswith(".") and name.endswith(".part"):
                    (Path(place) / name).unlink(missing_ok=True)


def _check_disk(request: PrepareRequest, count: int) -> None:
    voxels = prod(request.preparation.size)
    each = _HEADER + voxels * np.dtype(request.dtype).itemsize
    each += _HEADER + voxels if request.labels else 0
    free = shutil.disk_usage(request.store).free
    if count * each > free:
        raise ResourceError(
            f"{count} volumes need {human_bytes(count * each)} of disk, and "
            f"{human_bytes(free)} are free.",
            hint="Free some space, or prepare to another disk; what is done is kept.",
        )
