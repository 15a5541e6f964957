"""Foreground crop and trilinear resize, as the reference implementation computes them.

Knows arrays of shape (slice, row, column) only. The window is applied to the few source slices the
result is made of, so no float copy of the whole volume is ever made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from med2e3.volume.volume import Voxels

Indices = npt.NDArray[np.intp]
Float32 = npt.NDArray[np.float32]
#: half-open index ranges along slice, row, column
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

_CHUNK = 8


def foreground_box(oriented: Voxels, threshold: float) -> Box | None:
    """The bounding box of values above a threshold, or ``None`` if there are none.

    Args:
        oriented: array (slice, row, column), any real dtype.
        threshold: a voxel belongs to the foreground if its value is strictly above.
    """
    box = [(0, n) for n in oriented.shape]
    inner = oriented
    # along the slowest axis in memory first, so that later axes scan what is left of it
    for axis in sorted(range(3), key=lambda a: -abs(oriented.strides[a])):
        span = _span_above(inner, axis, threshold)
        if span is None:
            return None
        box[axis] = span
        inner = oriented[tuple(slice(*s) for s in box)]
    return box[0], box[1], box[2]


def _span_above(array: Voxels, axis: int, threshold: float) -> tuple[int, int] | None:
    """First and one-past-last index along an axis whose plane has a value above the threshold."""
    others = tuple(a for a in range(3) if a != axis)
    n = array.shape[axis]

    def hits(start: int, stop: int) -> Indices:
        block = array[tuple(slice(start, stop) if a == axis else slice(None) for a in range(3))]
        found: Indices = start + np.flatnonzero(block.max(axis=others) > threshold)
        return found

    first = None
    for start in range(0, n, _CHUNK):
        found = hits(start, min(start + _CHUNK, n))
        if found.size:
            first = int(found[0])
            break
    if first is None:
        return None
    for stop in range(n, first, -_CHUNK):
        found = hits(max(stop - _CHUNK, first), stop)
        if found.size:
            return first, int(found[-1]) + 1
    return first, first + 1


def taps(n_in: int, n_out: int) -> tuple[Indices, Indices, Float32]:
    """The two source indices and the weight of the second, for each output index of one axis.

    Half-pixel centres, no smoothing when shrinking, edges held. The arithmetic is single
    precision because the reference's is: at index 500 a double would give another weight.
    """
    scale = np.float32(n_in) / np.float32(n_out)
    centre = scale * (np.arange(n_out, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    centre = np.maximum(centre, np.float32(0))
    lower = np.minimum(centre.astype(np.intp), n_in - 1)
    upper = np.minimum(lower + 1, n_in - 1)
    return lower, upper, np.clip(centre - lower.astype(np.float32), 0, 1).astype(np.float32)


def resample(
    cropped: Voxels,
    size: tuple[int, int, int],
    to_unit: Callable[[Float32], Float32],
) -> Float32:
    """Window and trilinearly resize an array.

    Args:
        cropped: array (slice, row, column), any real dtype and memory order.
        size: shape of the result.
        to_unit: maps one float32 plane from voxel values to what is interpolated; it owns the
            plane it gets and may work in place.

    Returns:
        C-contiguous float32 array of shape `size`.
    """
    slice0, slice1, slice_weight = taps(cropped.shape[0], size[0])
    row0, row1, row_weight = taps(cropped.shape[1], size[1])
    col0, col1, col_weight = taps(cropped.shape[2], size[2])
    row_weight = row_weight[:, None]

    @lru_cache(maxsize=2)  # neighbouring results share a source slice when enlarging
    def plane(index: int) -> Float32:
        return to_unit(cropped[index].astype(np.float32, order="C"))

    result = np.empty(size, dtype=np.float32)
    for out, first, second, weight in zip(result, slice0, slice1, slice_weight, strict=True):
        picture = _blend(plane(int(first)), plane(int(second)), weight)
        picture = _blend(picture[row0], picture[row1], row_weight)
        out[...] = _blend(picture.take(col0, axis=1), picture.take(col1, axis=1), col_weight)
    return result


def _blend(a: Float32, b: Float32, weight: Float32 | np.float32) -> Float32:
    blended: Float32 = a * (np.float32(1) - weight) + b * weight
    return blended
