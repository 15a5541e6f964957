"""Positions and source ranges, on grids of every direction, spacing and obliquity."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med2e3.errors import InputError
from med2e3.volume import SliceMap, SlicePlace, Volume, prepare, volume_from_slicer

SIZE = (32, 16, 16)


@st.composite
def affines(draw: Any, tilt: bool = False) -> np.ndarray:
    """Signed permutation, turned by up to 25 degrees, with spacing and, if asked, a shear."""
    order = draw(st.sampled_from(list(permutations(range(3)))))
    signs = draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    matrix = np.zeros((3, 3))
    for column, (row, sign) in enumerate(zip(order, signs, strict=True)):
        matrix[row, column] = sign
    axis = np.add(draw(st.tuples(*[st.floats(-1, 1)] * 3)), (1e-3, 0, 0))
    axis /= np.linalg.norm(axis)
    angle = np.radians(draw(st.floats(0, 25)))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    matrix = rotation @ matrix
    if tilt:
        matrix[:, 2] += matrix[:, 1] * draw(st.floats(-0.35, 0.35))
    spacing = draw(st.tuples(*[st.floats(0.4, 6.0)] * 3))
    affine = np.eye(4)
    affine[:3, :3] = matrix * spacing
    affine[:3, 3] = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    return affine


shapes = st.tuples(*[st.integers(5, 90)] * 3)
planes = st.sampled_from(["native", "axial", "sagittal", "coronal"])
orders = st.sampled_from(["standard", "reversed", "file"])


def padded(core: np.ndarray, margin: tuple[int, ...]) -> np.ndarray:
    """The core with margins of air, different on each side, to be cropped away."""
    widths = [(margin[a], margin[a + 3]) for a in range(3)]
    return np.pad(core, widths, constant_values=-1000.0)


def centre_value(picture: np.ndarray) -> float:
    """The value of a linear field at the middle of an even-sized picture."""
    rows, columns = picture.shape
    middle = picture[rows // 2 - 1 : rows // 2 + 1, columns // 2 - 1 : columns // 2 + 1]
    return float(middle.mean())


@settings(max_examples=60, deadline=None)
@given(
    shape=shapes,
    affine=affines(tilt=True),
    plane=planes,
    order=orders,
    margin=st.tuples(*[st.integers(0, 7)] * 6),
)
def test_positions_are_where_the_pictures_were_taken(
    shape: tuple[int, int, int],
    affine: np.ndarray,
    plane: str,
    order: str,
    margin: tuple[int, ...],
) -> None:
    """The voxels hold their own patient coordinate; each picture must show its position."""
    whole = tuple(n + margin[a] + margin[a + 3] for a, n in enumerate(shape))
    k, j, i = np.indices(whole, dtype=np.float64)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    measured = np.zeros((SIZE[0], 3))
    for axis in range(3):
        field = affine[axis, 0] * i + affine[axis, 1] * j + affine[axis, 2] * k + affine[axis, 3]
        low, high = field.min() - 1.0, field.max() + 1.0
        core = tuple(slice(margin[a], margin[a] + shape[a]) for a in range(3))
        voxels = np.full(whole, low - 1.0)
        voxels[core] = field[core]
        volume = Volume(voxels, affine)
        result = prepare(
            volume, SIZE, window=((low + high) / 2, high - low), plane=plane, slice_order=order
        )
        measured[:, axis] = [centre_value(p) * (high - low) + low for p in result.voxels]
    source_axis = "ijk".index(result.slice_map.source_axis)
    expected = np.array([s.position_lps_mm for s in result.slice_map.slices])
    error = np.linalg.norm(measured - expected, axis=1)
    assert error.max() <= 0.5 * spacing[source_axis] + 1e-2
    n = shape[2 - source_axis]
    inner = [s for s in range(SIZE[0]) if 0 <= (s + 0.5) * n / SIZE[0] - 0.5 <= n - 1]
    assert error[inner].max() < 1e-2  # away from the held edges it is exact


@settings(max_examples=60, deadline=None)
@given(
    shape=shapes,
    affine=affines(),
    plane=planes,
    order=orders,
    margin=st.tuples(*[st.integers(0, 7)] * 6),
)
def test_source_ranges_hold_the_slices_that_are_seen(
    shape: tuple[int, int, int],
    affine: np.ndarray,
    plane: str,
    order: str,
    margin: tuple[int, ...],
) -> None:
    """The voxels hold their own index along the slice axis, as the file counts it."""
    whole = tuple(n + margin[a] + margin[a + 3] for a, n in enumerate(shape))
    core = tuple(slice(margin[a], margin[a] + shape[a]) for a in range(3))
    probe = prepare(
        Volume(padded(np.ones(shape), margin), affine), SIZE, plane=plane, window=(0, 2)
    )
    array_axis = 2 - "ijk".index(probe.slice_map.source_axis)
    voxels = np.full(whole, -5.0)
    voxels[core] = np.indices(whole, dtype=np.float64)[array_axis][core]
    width = float(whole[array_axis] + 1)
    result = prepare(
        Volume(voxels, affine),
        SIZE,
        window=(width / 2 - 1, width),
        plane=plane,
        slice_order=order,
    )
    start, stop = margin[array_axis], margin[array_axis] + shape[array_axis]
    covered: set[int] = set()
    for entry, shown in zip(result.slice_map.slices, result.voxels, strict=True):
        seen = centre_value(shown) * width - 1
        assert start <= entry.source_first <= entry.source_last < stop
        assert entry.source_first - 0.5 - 1e-3 <= seen <= entry.source_last + 0.5 + 1e-3
        covered |= set(range(entry.source_first, entry.source_last + 1))
    assert covered == set(range(start, stop))
    firsts = [s.source_first for s in result.slice_map.slices]
    assert firsts == sorted(firsts) or firsts == sorted(firsts, reverse=True)


@settings(max_examples=60, deadline=None)
@given(
    affine=affines(tilt=True),
    plane=st.sampled_from(["axial", "sagittal", "coronal"]),
    order=orders,
    where=st.tuples(*[st.floats(0.15, 0.85)] * 3),
)
def test_a_planted_cube_is_brightest_in_the_slice_nearest_to_it(
    affine: np.ndarray, plane: str, order: str, where: tuple[float, ...]
) -> None:
    shape = (48, 52, 60)
    centre = np.array([round(w * (n - 1)) for w, n in zip(where, shape, strict=True)])
    voxels = np.zeros(shape, dtype=np.int16)
    voxels[tuple(slice(c - 1, c + 2) for c in centre)] = 1000
    landmark = (affine @ [*centre[::-1], 1.0])[:3]
    result = prepare(
        Volume(voxels, affine), SIZE, window=(450, 1100), plane=plane, slice_order=order
    )
    excess = result.voxels.reshape(SIZE[0], -1).sum(axis=1)
    excess -= excess.min()
    brightest = float(excess @ np.arange(SIZE[0]) / excess.sum())
    nearest = result.slice_map.nearest(landmark)
    assert abs(brightest - nearest) <= 1.0
    entry = result.slice_map.slices[nearest]
    source = int(centre[2 - "ijk".index(result.slice_map.source_axis)])
    assert entry.source_first <= source <= entry.source_last
    normal = np.array(result.slice_map.normal_lps)
    offset = abs(normal @ (landmark - np.array(entry.position_lps_mm)))
    assert result.slice_map.spacing_mm is not None
    assert offset <= 0.5 * result.slice_map.spacing_mm + 1e-6


@settings(max_examples=40, deadline=None)
@given(affine=affines(), plane=planes, order=orders)
def test_the_normal_points_from_the_first_slice_to_the_last(
    affine: np.ndarray, plane: str, order: str
) -> None:
    voxels = np.random.default_rng(0).integers(1, 99, (20, 24, 28)).astype(np.int16)
    slice_map = prepare(
        Volume(voxels, affine), SIZE, window="full", plane=plane, slice_order=order
    ).slice_map
    positions = np.array([s.position_lps_mm for s in slice_map.slices])
    steps = np.diff(positions, axis=0) @ np.array(slice_map.normal_lps)
    assert slice_map.spacing_mm is not None
    assert np.allclose(steps, slice_map.spacing_mm, atol=1e-6)
    for entry in slice_map.slices:
        assert slice_map.nearest(entry.position_lps_mm or ()) == entry.index


def test_far_points_belong_to_the_first_or_last_slice() -> None:
    slice_map = prepare(
        Volume(np.ones((40, 20, 20)) * 500, np.eye(4)), SIZE, window=(0, 99)
    ).slice_map
    assert slice_map.nearest((0, 0, 1e6)) == 0  # superior comes first
    assert slice_map.nearest((0, 0, -1e6)) == 31


def test_ras_is_lps_with_two_signs_changed() -> None:
    ijk_to_ras = np.diag([2.0, 2.0, 3.0, 1.0])
    ijk_to_ras[:3, 3] = 10, 20, 30
    voxels = np.random.default_rng(0).integers(-1000, 900, (20, 20, 20)).astype(np.int16)
    slices = prepare(volume_from_slicer(voxels, ijk_to_ras), SIZE, window="full").slice_map.slices
    x, y, z = slices[0].position_ras_mm or (0.0, 0.0, 0.0)
    assert (x, y) == (10 + 2 * 9.5, 20 + 2 * 9.5)
    assert z == pytest.approx(30 + 3 * (19 - (0.5 * 20 / 32 - 0.5)))
    assert slices[0].position_lps_mm == (-x, -y, z)


def test_a_record_holds_all_of_the_map() -> None:
    affine = np.diag([1.0, 1.0, 2.5, 1.0])
    affine[1, 2] = 0.8  # a tilt, which positions alone cannot tell
    result = prepare(Volume(np.ones((9, 20, 20)) * 5, affine), SIZE, window=(0, 5))
    slice_map = result.slice_map
    made, places = json.loads(json.dumps([result.preprocessing, slice_map.as_records()]))
    assert slice_map == SliceMap(
        tuple(map(SlicePlace.from_dict, places)),
        made["slice_axis"],
        tuple(made["slice_normal_lps"]),
        made["slice_spacing_mm"],
    )
    keys = {"index", "position_lps_mm", "position_ras_mm", "source_first", "source_last"}
    assert all(set(record) == keys for record in slice_map.as_records())


def test_a_position_of_zero_has_no_sign() -> None:
    place = SlicePlace(0, (0.0, 0.0, 0.0), 0, 0)
    assert "-" not in json.dumps(place.to_dict())


def test_without_geometry_there_are_ranges_but_no_positions() -> None:
    array = np.random.default_rng(0).random((50, 20, 20), dtype=np.float32)
    slice_map = prepare(Volume(array, None, "normalized"), SIZE).slice_map
    assert slice_map.slices[0].position_lps_mm is None
    assert slice_map.slices[0].position_ras_mm is None
    assert (slice_map.slices[0].source_first, slice_map.slices[-1].source_last) == (0, 49)
    with pytest.raises(InputError, match="no known position"):
        slice_map.nearest((0, 0, 0))
