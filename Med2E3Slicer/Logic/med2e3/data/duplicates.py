"""Finds the same volume in several places of a store, above all in training and test.

Knows checksums (exact copies), signatures (copies that were saved again, brightened a little, or
have their slices in the opposite order), and what a leak is.  Two scans of one patient, or two
windows of one scan, are no copies and are not found.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from med2e3.atomic import write_text
from med2e3.data.annotations import is_training
from med2e3.data.drops import read_drops, write_drops
from med2e3.data.journal import read_journal
from med2e3.data.prepare import UNASSIGNED, split_of_volume
from med2e3.data.sample import read_samples, write_samples
from med2e3.data.signature import Vector, reversed_order, signature, vector
from med2e3.data.store import VolumeEntry, VolumeStore

#: correlation of signatures from which two volumes count as copies: what was saved again gave
#: 0.997 and more, other windows of the same scan 0.987 and less (docs/training-data.md)
THRESHOLD = 0.99
TABLE_NAME = "duplicates.csv"
_BLOCK = 2048


@dataclass(frozen=True)
class Copy:
    """One volume that is there more than once; the columns of the table.

    Args:
        group: number of the group of copies, 1 first.
        key: of the volume.
        splits: that it is in, joined by ``+``.
        kind: ``first`` of its group; ``exact`` or ``near`` copy of that one.
        similarity: correlation of its signature with the first one's.
        slice_order: ``same`` as the first one's, or ``reversed``.
        leak: ``yes`` when the group is in several splits.
    """

    group: int
    key: str
    splits: str
    kind: str
    similarity: str
    slice_order: str
    leak: str


def find_duplicates(store: VolumeStore, threshold: float = THRESHOLD) -> list[Copy]:
    """All groups of copies, and single volumes that are in several splits.

    Args:
        store: with its index and samples.
        threshold: correlation of signatures from which two volumes count as copies.

    Returns:
        by group; in each the volume to be kept first: one that is not learned from.

    Raises:
        InputError: when the store is damaged.
    """
    entries = sorted(store.entries.values(), key=lambda entry: entry.key)
    vectors = _vectors(store, entries)
    splits = _splits(store, entries)
    groups = _Groups(len(entries))
    first_of: dict[str, int] = {}
    for index, entry in enumerate(entries):
        groups.join(first_of.setdefault(entry.sha256, index), index)
    for one, other in _near_pairs(vectors, sorted(first_of.values()), threshold):
        groups.join(one, other)

    copies: list[Copy] = []
    number = 0
    for members in groups.all():
        found = {split for index in members for split in splits[entries[index].key]}
        if len(members) == 1 and len(found) == 1:
            continue
        number += 1
        members.sort(key=lambda i: (is_training(split_of_volume(splits[entries[i].key])), i))
        leak = "yes" if len(found - {UNASSIGNED}) > 1 else "no"
        first = members[0]
        backwards = reversed_order(vectors[first][None])[0]
        for index in members:
            entry = entries[index]
            same = float(vectors[index] @ vectors[first])
            opposite = float(vectors[index] @ backwards)
            exact = entry.sha256 == entries[first].sha256
            copies.append(
                Copy(
                    number,
                    entry.key,
                    "+".join(sorted(splits[entry.key])),
                    "first" if index == first else "exact" if exact else "near",
                    f"{1.0 if exact else max(same, opposite):.4f}",
                    "same" if exact or same >= opposite else "reversed",
                    leak,
                )
            )
    return copies


def write_duplicates(root: Path, copies: Sequence[Copy]) -> None:
    """Write the table ``duplicates.csv`` into a store, whole or not at all.

    Raises:
        InputError: when the file cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(field.name for field in fields(Copy))
    table.writerows(astuple(copy) for copy in copies)
    write_text(root / TABLE_NAME, text.getvalue())


def leaking(copies: Sequence[Copy]) -> dict[str, str]:
    """Volumes that are learned from and are in another split, too, with their group's first one."""
    groups: dict[int, list[Copy]] = defaultdict(list)
    for copy in copies:
        groups[copy.group].append(copy)
    drops: dict[str, str] = {}
    for members in groups.values():
        found = {split for copy in members for split in copy.splits.split("+")} - {UNASSIGNED}
        if any(not is_training(split) for split in found):
            drops |= {
                copy.key: members[0].key
                for copy in members
                if any(is_training(split) for split in copy.splits.split("+"))
            }
    return drops


def drop_from_training(store: VolumeStore, drops: Mapping[str, str]) -> tuple[int, int]:
    """Take volumes out of what is learned from; the files stay, and so do other splits' samples.

    Later runs of ``med2e3 data prepare`` leave them out, too (:mod:`med2e3.data.drops`).

    Args:
        store: is changed.
        drops: what :func:`leaking` gave.

    Returns:
        the numbers of volumes and of samples that were taken out.
    """
    write_drops(store.root, {**read_drops(store.root), **drops})
    file = store.root / "samples.jsonl"
    before = sum(1 for _ in read_samples(file))
    write_samples(
        file,
        (s for s in read_samples(file) if not (s.volume in drops and is_training(s.split))),
    )
    entries = list(store.entries.values())
    kept = [e for e in entries if not (e.key in drops and is_training(e.split))]
    store.write_index(kept)
    return len(entries) - len(kept), before - sum(1 for _ in read_samples(file))


def _vectors(store: VolumeStore, entries: Sequence[VolumeEntry]) -> Vector:
    """Signatures as (volumes, length); of volumes whose signature is not noted, it is computed."""
    noted = read_journal(store.root)
    texts = []
    for entry in entries:
        row = noted.get(entry.key)
        known = row is not None and row.sha256 == entry.sha256
        texts.append(row.signature if row and known else signature(store.voxels(entry.key)))
    return np.stack([vector(text) for text in texts]) if texts else np.zeros((0, 0), np.float32)


def _splits(store: VolumeStore, entries: Sequence[VolumeEntry]) -> dict[str, set[str]]:
    """The splits of each volume's samples; of the index where it has none."""
    splits: dict[str, set[str]] = defaultdict(set)
    for sample in read_samples(store.root / "samples.jsonl"):
        splits[sample.volume].add(sample.split)
    return {entry.key: splits.get(entry.key) or {entry.split} for entry in entries}


def _near_pairs(
    vectors: Vector, chosen: Sequence[int], threshold: float
) -> Iterator[tuple[int, int]]:
    """Pairs of volumes whose signatures agree in either order of slices; a block at a time."""
    places = np.array(chosen, dtype=np.intp)
    for start in range(0, len(places), _BLOCK):
        rows = places[start : start + _BLOCK]
        both = (vectors[rows], reversed_order(vectors[rows]))
        for begin in range(start, len(places), _BLOCK):
            columns = places[begin : begin + _BLOCK]
            similar = np.maximum(*(side @ vectors[columns].T for side in both)) >= threshold
            for one, other in zip(*np.nonzero(similar), strict=True):
                if rows[one] < columns[other]:
                    yield int(rows[one]), int(columns[other])


class _Groups:
    """Numbers that belong together (union-find)."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self._top(one), self._top(other)))
        self._above[second] = first

    def all(self) -> list[list[int]]:
        groups: dict[int, list[int]] = defaultdict(list)
        for index in range(len(self._above)):
            groups[self._top(index)].append(index)
        return list(groups.values())

    def _top(self, index: int) -> int:
        while self._above[index] != index:
            self._above[index] = self._above[self._above[index]]
            index = self._above[index]
        return index
