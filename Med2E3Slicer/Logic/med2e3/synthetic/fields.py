"""Smooth random fields and light blurring on a voxel grid, with numpy only.

Knows arrays; knows nothing of anatomy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from med2e3.synthetic.scene import Float32

Rng = np.random.Generator


def smooth_field(rng: Rng, shape: Sequence[int], knots: Sequence[int]) -> Float32:
    """A random field of about unit standard deviation that is smooth between knots.

    Args:
        rng: source of chance.
        shape: of the result, (K, J, I).
        knots: random values along each axis, at least 2; few give a smooth field.
    """
    field = rng.standard_normal([max(2, n) for n in knots], dtype=np.float32)
    for axis, size in enumerate(shape):
        matrix = _interpolation(field.shape[axis], size)
        field = np.moveaxis(np.tensordot(matrix, field, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(field, dtype=np.float32)


def blur(array: Float32, strength: float) -> Float32:
    """Mix every voxel with its six-neighbourhood, axis by axis.

    Args:
        array: (K, J, I); left as it is.
        strength: weight of the two neighbours together, 0 to about 0.6.
    """
    for axis in range(3):
        size = array.shape[axis]
        if size < 3:
            continue
        line = [slice(None)] * 3
        inner, before, after = list(line), list(line), list(line)
        inner[axis], before[axis], after[axis] = slice(1, -1), slice(0, -2), slice(2, None)
        mixed = array * np.float32(1 - strength)
        half = np.float32(strength / 2)
        mixed[tuple(inner)] += half * (array[tuple(before)] + array[tuple(after)])
        for end, neighbour in ((0, 1), (size - 1, size - 2)):
            edge, other = list(line), list(line)
            edge[axis], other[axis] = slice(end, end + 1), slice(neighbour, neighbour + 1)
            mixed[tuple(edge)] += np.float32(strength) * array[tuple(other)]
        array = mixed
    return array


def _interpolation(knots: int, size: int) -> Float32:
    """(size, knots) weights of smooth (cosine) interpolation between equidistant knots."""
    place = np.linspace(0, knots - 1, size)
    first = np.minimum(place.astype(int), knots - 2)
    weight = (1 - np.cos(np.pi * (place - first))) / 2
    matrix = np.zeros((size, knots), dtype=np.float32)
    rows = np.arange(size)
    matrix[rows, first] = 1 - weight
    matrix[rows, first + 1] = weight
    return matrix
