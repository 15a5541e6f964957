"""The crop and the resize against torch and against the plain definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med2e3.volume.resample import foreground_box, resample

torch = pytest.importorskip("torch")


def by_torch(array: np.ndarray, size: tuple[int, int, int]) -> np.ndarray:
    tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))[None, None]
    result = torch.nn.functional.interpolate(
        tensor, size=size, mode="trilinear", align_corners=False
    )
    return result[0, 0].numpy()


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 90)] * 3),
    size=st.tuples(*[st.integers(1, 70)] * 3),
    seed=st.integers(0, 99),
)
def test_resize_equals_torch(
    shape: tuple[int, int, int], size: tuple[int, int, int], seed: int
) -> None:
    array = np.random.default_rng(seed).random(shape, dtype=np.float32)
    assert np.abs(resample(array, size, lambda p: p) - by_torch(array, size)).max() < 1e-5


@pytest.mark.parametrize("shape", [(41, 200, 230), (5, 699, 511), (70, 333, 418)])
def test_resize_to_the_model_size_equals_torch(shape: tuple[int, int, int]) -> None:
    array = np.random.default_rng(0).random(shape, dtype=np.float32)
    size = (32, 256, 256)
    result = resample(array, size, lambda p: p)
    assert np.abs(result - by_torch(array, size)).max() < 1e-5
    assert result.dtype == np.float32
    assert result.flags.c_contiguous


def test_the_model_size_is_passed_through_bit_for_bit() -> None:
    array = np.random.default_rng(0).random((32, 256, 256), dtype=np.float32)
    assert np.array_equal(resample(array, (32, 256, 256), lambda p: p), array)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 30)] * 3),
    points=st.lists(st.tuples(*[st.integers(0, 29)] * 3), min_size=1, max_size=4),
    order=st.permutations(range(3)),
    flips=st.tuples(*[st.booleans()] * 3),
)
def test_foreground_box_is_the_bounding_box(
    shape: tuple[int, ...],
    points: list[tuple[int, ...]],
    order: list[int],
    flips: tuple[bool, ...],
) -> None:
    array = np.full(shape, -1000, dtype=np.int16)
    for point in points:
        array[tuple(p % n for p, n in zip(point, shape, strict=True))] = 50
    view = array.transpose(order)[tuple(slice(None, None, -1 if f else 1) for f in flips)]
    where = np.argwhere(view > 0)
    expected = tuple(zip(where.min(axis=0), where.max(axis=0) + 1, strict=True))
    assert foreground_box(view, 0.0) == expected


def test_foreground_is_strictly_above_the_threshold() -> None:
    array = np.zeros((4, 4, 4), dtype=np.float32)
    assert foreground_box(array, 0.0) is None
    array[1, 2, 3] = 1e-30
    assert foreground_box(array, 0.0) == ((1, 2), (2, 3), (3, 4))
