"""A small description of a volume by which a second copy of it is recognised.

Knows arrays (slices, rows, columns) with values in 0..1.  The description is made of the mean
brightness of parts of the body's bounding box, so that another encoding, other brightness or
contrast, and noise hardly change it.  Knows nothing of stores.
"""

from __future__ import annotations

import base64
import binascii

import numpy as np
import numpy.typing as npt

#: parts along slices, rows, columns
GRID = (4, 8, 8)
LENGTH = GRID[0] * GRID[1] * GRID[2]
#: parts of the brightness that lie outside the box, at either end of an axis: so a table or noise
#: hardly moves it
_OUTSIDE = 0.02
_BINS = 64

Vector = npt.NDArray[np.float32]


def signature(voxels: npt.NDArray[np.float32]) -> str:
    """Describe a volume in 344 letters.

    Args:
        voxels: (slices, rows, columns) in 0..1.
    """
    means = voxels.astype(np.float64)
    bright = (means - _threshold(voxels)).clip(0)
    for axis, parts in enumerate(GRID):
        others = tuple(a for a in range(3) if a != axis)
        pooling = _pooling(bright.sum(axis=others), parts)
        means = np.moveaxis(np.tensordot(pooling, means, axes=(1, axis)), 0, axis)
    low, high = means.min(), means.max()
    scaled = (means - low) / (high - low) if high > low else means * 0
    return base64.b64encode(np.rint(scaled * 255).astype(np.uint8).tobytes()).decode("ascii")


def vector(text: str) -> Vector:
    """A signature as a vector of mean 0 and length 1, so that a product is a correlation.

    Returns:
        float32 of shape (LENGTH,); zeros for a volume without any difference of brightness.

    Raises:
        ValueError: when the text is no signature.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("no signature") from error
    if len(raw) != LENGTH:
        raise ValueError("no signature")
    values = np.frombuffer(raw, np.uint8).astype(np.float64)
    values -= values.mean()
    length = float(np.linalg.norm(values))
    return (values / length if length else values).astype(np.float32)


def reversed_order(vectors: Vector) -> Vector:
    """The vectors of the same volumes with their slices in the opposite order.

    Args:
        vectors: (volumes, LENGTH).
    """
    return np.ascontiguousarray(vectors.reshape(-1, *GRID)[:, ::-1].reshape(-1, LENGTH))


def _threshold(voxels: npt.NDArray[np.float32]) -> float:
    """The value that parts dark from bright best (Otsu's method), whatever the window."""
    counts, edges = np.histogram(voxels, _BINS, (0.0, 1.0))
    centres = (edges[1:] + edges[:-1]) / 2
    darker, sums = np.cumsum(counts), np.cumsum(counts * centres)
    brighter = darker[-1] - darker
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = sums / darker - (sums[-1] - sums) / brighter
        between = np.nan_to_num(darker * brighter * apart**2)
    return float(edges[1:][np.argmax(between)])


def _pooling(brightness: npt.NDArray[np.float64], parts: int) -> npt.NDArray[np.float64]:
    """Weights (parts, positions) that take the mean of each part of the body's box on an axis."""
    count = brightness.size
    start, stop = 0.0, float(count)
    if brightness.any():
        sums = np.concatenate([[0.0], np.cumsum(brightness)]) / brightness.sum()
        start, stop = np.interp([_OUTSIDE, 1 - _OUTSIDE], sums, np.arange(count + 1.0))
    edges = np.linspace(start, stop, parts + 1)
    position = np.arange(count)
    overlap = np.minimum(position + 1, edges[1:, None]) - np.maximum(position, edges[:-1, None])
    weights = overlap.clip(0)
    pooled: npt.NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return pooled
