"""The display convention, and independence from how a file happens to store the same patient."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from med2e3.errors import InputError
from med2e3.volume import Volume, prepare
from med2e3.volume.orientation import view_of

SIZE = (12, 10, 14)
PERMUTATIONS = list(permutations(range(3)))
FLIPS = list(product([False, True], repeat=3))


def patient() -> tuple[np.ndarray, np.ndarray]:
    """Noise, and an affine with k to superior, j to posterior, i to left."""
    voxels = np.random.default_rng(1).integers(-900, 900, (21, 17, 25)).astype(np.int16)
    affine = np.diag([0.7, 0.9, 2.5, 1.0])
    affine[:3, 3] = -40, 15, 88
    return voxels, affine


def stored_otherwise(
    voxels: np.ndarray, affine: np.ndarray, order: tuple[int, ...], flips: tuple[bool, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The same patient with ijk axes permuted and flipped."""
    array = voxels.transpose([2 - a for a in order][::-1])
    change = np.zeros((4, 4))
    change[3, 3] = 1
    for new, old in enumerate(order):
        change[old, new] = -1 if flips[new] else 1
        if flips[new]:
            change[old, 3] = voxels.shape[2 - old] - 1
            array = np.flip(array, axis=2 - new)
    return array, affine @ change


@pytest.mark.parametrize("plane", ["axial", "sagittal", "coronal"])
@pytest.mark.parametrize("order", PERMUTATIONS)
def test_the_model_sees_the_same_however_the_file_stores_it(
    plane: str, order: tuple[int, ...]
) -> None:
    voxels, affine = patient()
    expected = prepare(Volume(voxels, affine, "HU"), SIZE, window="full", plane=plane)
    for flips in FLIPS:
        other = Volume(*stored_otherwise(voxels, affine, order, flips), "HU")
        result = prepare(other, SIZE, window="full", plane=plane)
        assert np.array_equal(result.voxels, expected.voxels)
        assert result.sha256 == expected.sha256
        for a, b in zip(result.slice_map.slices, expected.slice_map.slices, strict=True):
            assert a.position_lps_mm == pytest.approx(b.position_lps_mm)


@pytest.mark.parametrize(
    ("plane", "first_slice", "top", "left"),
    [
        ("axial", (2, +1), (1, -1), (0, -1)),
        ("coronal", (1, -1), (2, +1), (0, -1)),
        ("sagittal", (0, -1), (2, +1), (1, -1)),
    ],
)
def test_radiological_display(
    plane: str, first_slice: tuple[int, int], top: tuple[int, int], left: tuple[int, int]
) -> None:
    """A bright half of the patient appears where a radiologist expects it.

    Each expectation is (axis of LPS, sign of the bright half along it).
    """
    _, affine = patient()
    shape = (20, 20, 20)
    for (axis, sign), bright in [
        (first_slice, lambda v: v[: SIZE[0] // 2]),
        (top, lambda v: v[:, : SIZE[1] // 2]),
        (left, lambda v: v[:, :, : SIZE[2] // 2]),
    ]:
        coordinate = np.indices(shape)[2 - axis]  # k, j, i of the array are S, P, L
        voxels = np.where((coordinate >= 10) == (sign > 0), 900, 100).astype(np.int16)
        result = prepare(Volume(voxels, affine), SIZE, window=(500, 1000), plane=plane)
        half = bright(result.voxels)
        assert half.mean() > 0.8
        assert result.voxels.mean() == pytest.approx(0.5, abs=0.01)


def test_reversed_order_reverses_pictures_and_positions() -> None:
    volume = Volume(*patient(), "HU")
    standard = prepare(volume, SIZE, window="full")
    backwards = prepare(volume, SIZE, window="full", slice_order="reversed")
    assert np.allclose(backwards.voxels, standard.voxels[::-1], atol=1e-6)
    positions = [s.position_lps_mm for s in standard.slice_map.slices]
    other = [s.position_lps_mm for s in backwards.slice_map.slices]
    assert np.allclose(other, positions[::-1])


def test_file_order_follows_the_index_of_the_file() -> None:
    voxels, affine = patient()
    for flips in FLIPS:
        volume = Volume(*stored_otherwise(voxels, affine, (0, 1, 2), flips), "HU")
        slices = prepare(volume, SIZE, window="full", slice_order="file").slice_map.slices
        firsts = [s.source_first for s in slices]
        assert firsts == sorted(firsts)


@pytest.mark.parametrize("order", PERMUTATIONS)
def test_native_is_the_plane_of_the_files_slices(order: tuple[int, ...]) -> None:
    voxels, affine = patient()
    volume = Volume(*stored_otherwise(voxels, affine, order, (True, False, True)), "HU")
    plane = {0: "sagittal", 1: "coronal", 2: "axial"}[order[2]]
    native = prepare(volume, SIZE, window="full", plane="native")
    assert native.preprocessing["plane"] == plane
    assert native.preprocessing["plane_requested"] == "native"
    assert native.slice_map.source_axis == "k"
    assert np.array_equal(native.voxels, prepare(volume, SIZE, window="full", plane=plane).voxels)


def test_a_strongly_oblique_image_is_announced() -> None:
    voxels, affine = patient()
    angle = np.radians(40)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    result = prepare(Volume(voxels, turn @ affine, "HU"), SIZE, window="full")
    assert any("40 degrees" in w for w in result.warnings)
    assert not any(
        "degrees" in w for w in prepare(Volume(voxels, affine, "HU"), SIZE, window="full").warnings
    )


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="native, axial"):
        view_of(np.eye(4), "oblique", "standard")
    with pytest.raises(InputError, match="standard, reversed"):
        view_of(np.eye(4), "axial", "upwards")


def test_unknown_orientation_allows_only_the_slices_as_stored() -> None:
    volume = Volume(patient()[0], None, "HU")
    with pytest.raises(InputError, match="does not tell how the image lies"):
        prepare(volume, SIZE, window="full")
    native = prepare(volume, SIZE, window="full", plane="native")
    assert native.slice_map.slices[0].position_lps_mm is None
    assert native.slice_map.slices[0].source_first == 0
