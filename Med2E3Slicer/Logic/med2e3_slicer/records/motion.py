"""Where a volume lies, as a record keeps it, and how it has moved since.

Knows a volume's size and its matrix to the world, parent transforms included. A linear transform
that is changed, added, removed or hardened moves the slices with it, exactly. After anything else
(a transform that bends, other voxels) nobody can say where the slices are now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from med2e3.errors import Med2E3Error
from med2e3_slicer.volumes.node import ijk_to_world

Matrix = npt.NDArray[np.float64]
#: of an element of the matrix, in mm
_SAME_MM = 1e-3


@dataclass(frozen=True, eq=False)
class Motion:
    """What happened to a volume since a question was asked about it.

    Args:
        matrix: 4x4, from where a point of the patient was to where it is now, mm RAS; ``None`` when
            that cannot be said.
        moved: whether the volume is not where it was.
    """

    matrix: Matrix | None
    moved: bool


#: the volume is where it was, or it is gone and nothing is known of it
STILL = Motion(np.eye(4), False)
_UNKNOWN = Motion(None, True)


def geometry_text(volume: Any) -> str:
    """Size and matrix of a volume node as text; empty for one whose slices have no plain place."""
    try:
        matrix = ijk_to_world(volume)
    except Med2E3Error:
        return ""
    size = volume.GetImageData().GetDimensions()
    return " ".join(repr(float(value)) for value in (*size, *matrix[:3].ravel()))


def motion(before: str, volume: Any) -> Motion:
    """How a volume has moved.

    Args:
        before: of :func:`geometry_text` when the question was asked.
        volume: the volume node as it is now; ``None`` if it is gone.
    """
    if volume is None:
        return STILL
    then, now = _parsed(before), _parsed(geometry_text(volume))
    if then is None or now is None or then[0] != now[0]:
        return _UNKNOWN
    if np.allclose(then[1], now[1], rtol=0, atol=_SAME_MM):
        return STILL
    return Motion(now[1] @ np.linalg.inv(then[1]), True)


def _parsed(text: str) -> tuple[tuple[float, ...], Matrix] | None:
    try:
        values = [float(value) for value in text.split()]
    except ValueError:
        return None
    if len(values) != 15 or not np.isfinite(values).all():  # 3 for the size, 12 for the matrix
        return None
    matrix = np.vstack([np.array(values[3:]).reshape(3, 4), [0.0, 0.0, 0.0, 1.0]])
    return (tuple(values[:3]), matrix) if abs(np.linalg.det(matrix)) > 0 else None
