"""The published augmentations, and where the slices go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med2e3.data.augment import Augmentation, Moved, augment

EVERYTHING = Augmentation(
    rotate_probability=1.0,
    flip_probability=(1.0, 1.0, 1.0),
    scale=0.1,
    scale_probability=1.0,
    shift=0.1,
    shift_probability=1.0,
    displacement=0.2,
)


def noise(shape: tuple[int, int, int] = (6, 8, 8)) -> np.ndarray:
    return np.random.default_rng(5).random(shape).astype(np.float32)


def test_published_recipe_is_the_papers() -> None:
    published = Augmentation.published()
    assert published.rotate_probability == 0.5
    assert published.flip_probability == (0.1, 0.1, 0.1)
    assert (published.scale, published.scale_probability) == (0.1, 0.5)
    assert (published.shift, published.shift_probability) == (0.1, 0.5)


@given(st.integers(0, 2**32 - 1))
def test_a_marked_slice_is_where_the_map_says(seed: int) -> None:
    voxels = np.zeros((7, 4, 4), np.float32)
    voxels[2], voxels[5] = 2.0, 5.0
    changed, moved = augment(
        voxels, Augmentation(0.5, (0.5, 0.5, 0.5)), np.random.default_rng(seed)
    )
    assert np.all(changed[moved.slice_at(2)] == 2.0)
    assert np.all(changed[moved.slice_at(5)] == 5.0)
    assert moved.map_slices((5, 2)) == tuple(np.flatnonzero(changed.any(axis=(1, 2))))


@given(st.integers(0, 2**32 - 1))
def test_labels_move_with_the_voxels(seed: int) -> None:
    voxels = noise()
    labels = (voxels > 0.7).astype(np.uint8)
    changed, moved = augment(
        voxels, Augmentation(0.7, (0.5, 0.5, 0.5)), np.random.default_rng(seed)
    )
    assert np.array_equal(moved.apply(labels), changed > 0.7)
    assert moved.apply(labels).dtype == np.uint8


def test_the_same_generator_gives_the_same_volume_and_another_does_not() -> None:
    voxels = noise()
    first, how = augment(voxels, EVERYTHING, np.random.default_rng(3))
    again, how_again = augment(voxels, EVERYTHING, np.random.default_rng(3))
    other, _ = augment(voxels, EVERYTHING, np.random.default_rng(4))
    assert np.array_equal(first, again)
    assert how == how_again
    assert not np.array_equal(first, other)


def test_as_many_numbers_are_drawn_whatever_happens() -> None:
    one, other = np.random.default_rng(9), np.random.default_rng(9)
    augment(noise(), Augmentation.none(), one)
    augment(noise(), EVERYTHING, other)
    assert one.random() == other.random()


def test_nothing_and_intensity_keep_every_voxel_at_its_place() -> None:
    voxels = noise()
    kept, moved = augment(voxels, Augmentation.none(), np.random.default_rng(0))
    assert np.array_equal(kept, voxels)
    assert kept is not voxels
    assert moved == Moved(6)
    for seed in range(20):
        changed, moved = augment(voxels, Augmentation.intensity(), np.random.default_rng(seed))
        assert (moved.quarter_turns, moved.flips) == (0, (False, False, False))
        expected = voxels * np.float32(moved.scale) + np.float32(moved.shift)
        np.testing.assert_allclose(changed, expected, rtol=1e-6)
        assert 0.9 <= moved.scale <= 1.1
        assert -0.1 <= moved.shift <= 0.1


def test_frequencies_are_those_of_the_recipe() -> None:
    rng = np.random.default_rng(0)
    count = 4000
    drawn = [augment(noise((2, 2, 2)), Augmentation.published(), rng)[1] for _ in range(count)]
    turns = np.bincount([moved.quarter_turns for moved in drawn], minlength=4) / count
    np.testing.assert_allclose(turns, [0.5, 1 / 6, 1 / 6, 1 / 6], atol=0.03)
    np.testing.assert_allclose(np.mean([m.flips for m in drawn], axis=0), [0.1] * 3, atol=0.02)
    assert np.mean([moved.scale != 1 for moved in drawn]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([moved.shift != 0 for moved in drawn]) == pytest.approx(0.5, abs=0.03)


def test_the_volume_given_is_not_changed() -> None:
    voxels = noise()
    before = voxels.copy()
    result, _ = augment(voxels, EVERYTHING, np.random.default_rng(1))
    assert np.array_equal(voxels, before)
    assert result.flags.c_contiguous
    assert result.dtype == np.float32


def test_slices_that_are_not_square_cannot_be_turned_by_90_degrees() -> None:
    always = Augmentation(rotate_probability=1.0)
    with pytest.raises(ValueError, match="square"):
        for seed in range(20):
            augment(noise((3, 4, 6)), always, np.random.default_rng(seed))


def test_impossible_slices_and_recipes_are_refused() -> None:
    with pytest.raises(IndexError):
        Moved(4).slice_at(4)
    with pytest.raises(ValueError, match="probability"):
        Augmentation(rotate_probability=1.5)
    with pytest.raises(ValueError, match="negative"):
        Augmentation(scale=-1)


@given(st.integers(0, 2**32 - 1))
def test_displaced_pictures_repeat_their_edges_and_take_their_labels_along(seed: int) -> None:
    voxels = noise((3, 64, 40))
    changed, moved = augment(voxels, Augmentation.displaced(), np.random.default_rng(seed))
    down, right = moved.displacement
    assert moved == Moved(3, displacement=(down, right))
    assert abs(down) <= 3
    assert abs(right) <= 2
    rows = [min(max(row - down, 0), 63) for row in range(64)]
    columns = [min(max(column - right, 0), 39) for column in range(40)]
    assert np.array_equal(changed, voxels[:, rows][:, :, columns])
    assert np.array_equal(moved.apply(voxels), changed)
    assert moved.map_slices((0, 2)) == (0, 2)


def test_pictures_are_displaced_to_all_sides() -> None:
    rng = np.random.default_rng(1)
    some = noise((1, 64, 64))
    drawn = [augment(some, Augmentation.displaced(), rng)[1].displacement for _ in range(300)]
    assert {rows for rows, _ in drawn} == {columns for _, columns in drawn} == set(range(-3, 4))


def test_a_displacement_is_a_share() -> None:
    with pytest.raises(ValueError, match="share"):
        Augmentation(displacement=3)
