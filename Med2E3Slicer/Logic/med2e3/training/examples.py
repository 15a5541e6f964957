"""Which samples are learned from, and in which order.

Knows the data set, epochs and random draws; every example is a function of the seed and of its
place, so that a run that was killed goes on with exactly what it would have seen.  Knows nothing
of tokens or of models.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from med2e3.data.augment import Augmentation, augment
from med2e3.data.sample import Sample
from med2e3.data.store import VolumeStore
from med2e3.errors import InputError
from med2e3.training.recipe import StageData


@dataclass(frozen=True)
class Example:
    """One volume and what is asked about it this time.

    Args:
        voxels: (slices, rows, columns), float32.
        samples: questions with their answers; ``slices`` fit the voxels as they are here.
        labels: label of each voxel, or None where it is not known.
        attributes: what is known of the whole volume.
    """

    voxels: npt.NDArray[np.float32]
    samples: tuple[Sample, ...]
    labels: npt.NDArray[np.uint8] | None
    attributes: dict[str, object]


class Examples:
    """A data set of a stage, all epochs one after the other (a map-style torch dataset).

    Args:
        store: prepared volumes and questions.
        data: what is taken of them.
        epochs: how often each example is seen.
        seed: of order, draws and augmentation.
        with_labels: whether volumes without labels are left out (a ``dense`` stage).

    Raises:
        InputError: when nothing is left to learn from.
    """

    def __init__(
        self,
        store: VolumeStore,
        data: StageData,
        *,
        epochs: int,
        seed: int,
        with_labels: bool = False,
    ) -> None:
        self.store = store
        self.data = data
        self.seed = seed
        self.epochs = epochs
        self.augmentation: Augmentation = getattr(Augmentation, data.augmentation)()
        groups = _groups(store, data, with_labels)
        self.groups = [group for group in groups if self._weights(group).any()]
        if not self.groups:
            raise InputError(
                f"The training data hold no samples of the split {data.split!r} that this stage "
                "can learn from.",
                hint="Check the recipe's 'split', 'tasks' and weights against the data.",
            )
        self._order: tuple[int, npt.NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return len(self.groups) * self.epochs

    def __getitem__(self, place: int) -> Example:
        epoch, position = divmod(place, len(self.groups))
        group = self.groups[self._order_of(epoch)[position]]
        rng = np.random.default_rng((self.seed, epoch, position))
        samples = self._draw(group, rng)
        key = group[0].volume
        labels = self.store.labels(key)
        voxels, moved = augment(self.store.voxels(key), self.augmentation, rng)
        if labels is not None:
            labels = np.ascontiguousarray(moved.apply(labels))
        samples = tuple(
            replace(sample, slices=moved.map_slices(sample.slices))
            if sample.slices is not None
            else sample
            for sample in samples
        )
        return Example(voxels, samples, labels, self.store.entries[key].attributes)

    def _order_of(self, epoch: int) -> npt.NDArray[np.int64]:
        if self._order is None or self._order[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch))
            self._order = epoch, rng.permutation(len(self.groups))
        return self._order[1]

    def _draw(self, group: tuple[Sample, ...], rng: np.random.Generator) -> tuple[Sample, ...]:
        wanted = self.data.questions_per_volume
        if wanted is None:
            return group
        weights = self._weights(group)
        fewer = wanted > int(np.count_nonzero(weights))
        drawn = rng.choice(len(group), wanted, replace=fewer, p=weights / weights.sum())
        return tuple(group[i] for i in drawn)

    def _weights(self, group: tuple[Sample, ...]) -> npt.NDArray[np.float64]:
        """(samples,): how often each is drawn, relative to the others of its volume."""
        if self.data.questions_per_volume is None:  # all are taken
            return np.ones(len(group))
        topics, tasks = self.data.topic_weights, self.data.task_weights
        weights = [topics.get(s.topic, 1.0) * tasks.get(s.task, 1.0) for s in group]
        return np.array(weights, np.float64)


def _groups(store: VolumeStore, data: StageData, with_labels: bool) -> list[tuple[Sample, ...]]:
    """The samples that make up one example each, in the order of the file."""
    samples = [s for s in store.samples(data.split) if s.task in data.tasks]
    if data.image_alone:
        samples = [replace(s, question="") if s.task == "report" else s for s in samples]
    by_volume: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_volume[sample.volume].append(sample)
    if with_labels:
        by_volume = {k: v for k, v in by_volume.items() if store.labels(k) is not None}
    if data.limit is not None:
        by_volume = dict(list(by_volume.items())[: data.limit])
    if data.questions_per_volume is None and not with_labels:
        return [(s,) for group in by_volume.values() for s in group]
    return [tuple(group) for group in by_volume.values()]
