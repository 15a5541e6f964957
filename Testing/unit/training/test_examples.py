"""Order, draws and augmentation of training examples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from med2e3.data import VolumeStore
from med2e3.errors import InputError
from med2e3.training.examples import Examples
from med2e3.training.recipe import AUGMENTATIONS, StageData

DATA = StageData(augmentation="none", questions_per_volume=2)


def test_each_epoch_shows_every_volume_once_in_another_order(tiny_store: VolumeStore) -> None:
    examples = Examples(tiny_store, DATA, epochs=2, seed=3)
    keys = [examples[i].samples[0].volume for i in range(len(examples))]
    half = len(keys) // 2
    train = {key for key, entry in tiny_store.entries.items() if entry.split == "train"}
    assert set(keys[:half]) == set(keys[half:]) == train
    assert half == len(train)
    assert keys[:half] != keys[half:]


def test_an_example_depends_on_seed_and_place_alone(tiny_store: VolumeStore) -> None:
    data = replace(DATA, augmentation="published")
    forward = Examples(tiny_store, data, epochs=3, seed=3)
    backward = Examples(tiny_store, data, epochs=3, seed=3)
    last = len(forward) - 1
    for place in (last, 0, last // 2):
        np.testing.assert_array_equal(forward[place].voxels, backward[place].voxels)
        assert forward[place].samples == backward[place].samples
    other = Examples(tiny_store, data, epochs=3, seed=4)
    assert any(other[i].samples != forward[i].samples for i in range(len(other)))


def test_labels_and_slices_follow_the_flips(tiny_store: VolumeStore) -> None:
    examples = Examples(tiny_store, replace(DATA, augmentation="published"), epochs=30, seed=0)
    moved = 0
    for place in range(len(examples)):
        example = examples[place]
        key = example.samples[0].volume
        assert example.labels is not None
        for sample in example.samples:
            if sample.slices is not None:
                held = np.flatnonzero((example.labels == 1).any(axis=(1, 2)))
                assert tuple(held) == sample.slices
                bright = example.voxels.max(axis=(1, 2))
                assert set(np.argsort(bright)[-2:]) == set(sample.slices)
        original = tiny_store.labels(key)
        moved += original is not None and not np.array_equal(original, example.labels)
    assert moved > 0, "the published augmentation moved nothing"


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_that_a_recipe_may_name_is_there(
    tiny_store: VolumeStore, name: str
) -> None:
    examples = Examples(tiny_store, replace(DATA, augmentation=name), epochs=1, seed=0)
    assert examples[0].voxels.shape == tiny_store.voxels(examples[0].samples[0].volume).shape


def test_topics_are_drawn_by_weight(tiny_store: VolumeStore) -> None:
    data = replace(DATA, questions_per_volume=1, topic_weights={"phase": 0.0, "": 0.0})
    examples = Examples(tiny_store, data, epochs=5, seed=0)
    assert {examples[i].samples[0].topic for i in range(len(examples))} == {"abnormality"}


def test_every_sample_is_an_example_of_its_own_by_default(tiny_store: VolumeStore) -> None:
    examples = Examples(tiny_store, StageData(), epochs=1, seed=0)
    ids = [examples[i].samples[0].id for i in range(len(examples))]
    assert sorted(ids) == sorted(sample.id for sample in tiny_store.samples("train"))


def test_a_split_without_samples_is_refused(tiny_store: VolumeStore) -> None:
    with pytest.raises(InputError, match="no samples of the split 'nowhere'"):
        Examples(tiny_store, StageData(split="nowhere"), epochs=1, seed=0)


def test_tasks_are_drawn_by_weight(tiny_store: VolumeStore) -> None:
    data = replace(DATA, questions_per_volume=2, task_weights={"report": 0.0, "open_vqa": 0.0})
    examples = Examples(tiny_store, data, epochs=2, seed=0)
    drawn = [s.task for i in range(len(examples)) for s in examples[i].samples]
    assert set(drawn) == {"closed_vqa"}


def test_a_volume_of_which_nothing_may_be_drawn_is_left_out(tiny_store: VolumeStore) -> None:
    every = Examples(tiny_store, DATA, epochs=1, seed=0)
    topic = every.groups[0][0].topic
    others = {s.topic: 0.0 for group in every.groups for s in group if s.topic != topic}
    data = replace(DATA, topic_weights=others)
    some = Examples(tiny_store, data, epochs=1, seed=0)
    drawn = [sample.topic for place in range(len(some)) for sample in some[place].samples]
    assert drawn and set(drawn) == {topic}
    with pytest.raises(InputError, match="no samples"):
        nothing = replace(DATA, topic_weights={**others, topic: 0.0})
        Examples(tiny_store, nothing, epochs=1, seed=0)
