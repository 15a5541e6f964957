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
#: what is brighter is taken for body; JPEG makes its surroundings a little brighter than black
_BODY = 0.1
#: a slice, row or column belongs to the body's box when it has this part of the fullest one's body
_OF_FULLEST = 0.05

Vector = npt.NDArray[np.float32]


def signature(voxels: npt.NDArray[np.float32]) -> str:
    """Describe a volume in 344 letters.

    Args:
        voxels: (slices, rows, columns) in 0..1.
    """
    body = voxels > _BODY
    means = voxels.astype(np.float64)
    for axis, parts in enumerate(GRID):
        others = tuple(a for a in range(3) if a != axis)
        pooling = _pooling(body.mean(axis=others), parts)
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


def _pooling(fullness: npt.NDArray[np.float64], parts: int) -> npt.NDArray[np.float64]:
    """Weights (parts, positions) that take the mean of each part of the body's box on an axis."""
    inside = np.flatnonzero(fullness > _OF_FULLEST * fullness.max())
    start, stop = (int(inside[0]), int(inside[-1]) + 1) if inside.size else (0, fullness.size)
    edges = np.linspace(start, stop, parts + 1)
    position = np.arange(fullness.size)
    overlap = np.minimum(position + 1, edges[1:, None]) - np.maximum(position, edges[:-1, None])
    weights = overlap.clip(0)
    pooled: npt.NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return pooled
