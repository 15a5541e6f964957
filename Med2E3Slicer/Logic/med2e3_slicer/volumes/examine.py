"""What a person should know about a volume before anything is run.

Goes through the whole preparation with a thinned volume, in a few milliseconds, and adds what can
be said of the geometry. The final word, from all voxels, is in the model input's own warnings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from slicer.i18n import tr as _

from med2e3.errors import Med2E3Error
from med2e3.volume import MODEL_SIZE
from med2e3_slicer.volumes.node import VolumeSnapshot, view_volume
from med2e3_slicer.volumes.options import PreparationOptions
from med2e3_slicer.volumes.preparing import make_model_input

#: slices, rows, columns that are looked at, at most about twice as many
_MOST = (32, 128, 128)
#: rows and columns of the picture that is thrown away
_TRIAL_PIXELS = 16
#: of the angle between two axes of the volume
_TILT_DEG = 1.0
#: narrower pictures show a part of a body; the model was trained on whole sections
_NARROW_MM = 150.0
#: a shorter stack shows less than an organ
_SHORT_MM = 40.0


@dataclass(frozen=True)
class Examination:
    """What was found.

    Args:
        refusal: why the volume cannot be used with these choices; ``None`` if it can.
        warnings: sentences to show before running, most important first.
    """

    refusal: Med2E3Error | None
    warnings: tuple[str, ...] = ()


def examine(
    node: Any,
    options: PreparationOptions | None = None,
    size: tuple[int, int, int] = MODEL_SIZE,
) -> Examination:
    """Look at a volume node, quickly enough for the main thread.

    Args:
        node: a volume node, or ``None``.
        options: the choices it would be prepared with.
        size: (slices, rows, columns) of the model.
    """
    options = options or PreparationOptions()
    try:
        snapshot = view_volume(node)
        trial = make_model_input(
            _thinned(snapshot), (size[0], _TRIAL_PIXELS, _TRIAL_PIXELS), options
        )
    except Med2E3Error as error:
        return Examination(error)
    axis = "ijk".index(trial.preprocessing["slice_axis"])
    warnings = [
        *trial.warnings,
        *_about_tilt(snapshot.ijk_to_ras),
        *_about_extent(snapshot, axis),
        *_about_count(snapshot, axis, size[0], str(trial.preprocessing["plane"])),
    ]
    return Examination(None, tuple(dict.fromkeys(warnings)))


def _thinned(snapshot: VolumeSnapshot) -> VolumeSnapshot:
    """Every n-th voxel along each axis, with the matrix that belongs to them."""
    steps = [max(1, n // most) for n, most in zip(snapshot.voxels.shape, _MOST, strict=True)]
    voxels = np.ascontiguousarray(snapshot.voxels[:: steps[0], :: steps[1], :: steps[2]])
    scale = np.diag([steps[2], steps[1], steps[0], 1.0])
    return replace(snapshot, voxels=voxels, ijk_to_ras=snapshot.ijk_to_ras @ scale)


def _about_tilt(ijk_to_ras: npt.NDArray[np.float64]) -> list[str]:
    axes = ijk_to_ras[:3, :3] / np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    cosines = np.abs([axes[:, 0] @ axes[:, 1], axes[:, 0] @ axes[:, 2], axes[:, 1] @ axes[:, 2]])
    tilt = float(np.degrees(np.arcsin(min(1.0, cosines.max()))))
    if tilt < _TILT_DEG:
        return []
    return [
        _(
            "The slices are tilted by {angle} degrees against the direction in which they are "
            "stacked; the model gets them as they are, and their positions are right."
        ).format(angle=f"{tilt:.0f}")
    ]


def _about_extent(snapshot: VolumeSnapshot, axis: int) -> list[str]:
    spacing = np.linalg.norm(snapshot.ijk_to_ras[:3, :3], axis=0)
    extent = spacing * snapshot.voxels.shape[::-1]
    width, height = np.delete(extent, axis)
    found = []
    if min(width, height) < _NARROW_MM:
        found.append(
            _(
                "The pictures show only {width} x {height} mm; the model was trained on whole "
                "cross sections of the body."
            ).format(width=f"{width:.0f}", height=f"{height:.0f}")
        )
    if extent[axis] < _SHORT_MM:
        found.append(
            _("The slices cover only {length} mm of the body.").format(length=f"{extent[axis]:.0f}")
        )
    return found


def _about_count(snapshot: VolumeSnapshot, axis: int, wanted: int, plane: str) -> list[str]:
    count = snapshot.voxels.shape[2 - axis]
    if count >= wanted:
        return []
    return [
        _(
            "The volume has {count} {plane} slices, fewer than the {wanted} that the model looks "
            "at; some of its pictures are interpolated between two slices."
        ).format(count=count, plane=plane, wanted=wanted)
    ]
