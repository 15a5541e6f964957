"""Sorts DICOM headers into stacks, and finds the geometry of a stack or why it has none.

Knows positions, orientations and gaps between slices. Opens no files and decodes no pixels.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from med2e3.errors import VolumeError
from med2e3.volume.dicom_header import DicomHeader

#: fewer slices than this are a scout or a single picture, not a volume
FEWEST_SLICES = 3

_SAME_DIRECTION = 2e-3
#: a gap may differ from the usual one by this part of it (positions are often rounded)
_GAP_TOLERANCE = 0.2
#: a slice may lie off the regular grid by this part of a gap
_GRID_TOLERANCE = 0.15
_SAME_PLACE_MM = 0.01
_TILT_DEG = 0.5
_MOST_TILT_DEG = 45.0


@dataclass(eq=False)
class Slice:
    """One image file that knows its place."""

    path: Path
    header: DicomHeader
    position: npt.NDArray[np.float64]
    orientation: npt.NDArray[np.float64]


@dataclass(eq=False)
class Stack:
    """Images of one series, size, direction and pixel spacing, in no order yet."""

    key: tuple[object, ...]
    orientation: npt.NDArray[np.float64]
    slices: list[Slice] = field(default_factory=list)

    @property
    def is_scout(self) -> bool:
        """Whether this is a localizer, or too few images for a volume."""
        types = self.slices[0].header.text("image_type").upper().split("\\")
        return "LOCALIZER" in types or len(self.slices) < FEWEST_SLICES


def group_stacks(files: list[tuple[Path, DicomHeader]]) -> list[Stack]:
    """Sort images into stacks; images without a place in the patient are left out."""
    stacks: list[Stack] = []
    for path, header in files:
        position = np.array(header.numbers("position"))
        orientation = np.array(header.numbers("orientation"))
        spacing = header.numbers("pixel_spacing")
        if position.shape != (3,) or orientation.shape != (6,) or len(spacing) != 2:
            continue
        is_localizer = "LOCALIZER" in header.text("image_type").upper().split("\\")
        key = (
            header.text("series_uid"),
            header.number("rows"),
            header.number("columns"),
            tuple(round(s, 4) for s in spacing),
            is_localizer,
        )
        stack = next((s for s in stacks if s.key == key and _parallel(s, orientation)), None)
        if stack is None:
            stack = Stack(key, orientation)
            stacks.append(stack)
        stack.slices.append(Slice(path, header, position, orientation))
    return stacks


def _parallel(stack: Stack, orientation: npt.NDArray[np.float64]) -> bool:
    return bool(np.abs(stack.orientation - orientation).max() < _SAME_DIRECTION)


def sort_and_check(stack: Stack) -> tuple[list[Slice], npt.NDArray[np.float64], list[str]]:
    """The slices in order along their normal, their IJK-to-LPS matrix, and what to tell.

    A gantry tilt is kept as it is: the matrix is then sheared, which describes the voxels exactly.

    Raises:
        VolumeError: directions that are not perpendicular, several images at one place, missing
            slices, uneven spacing, or slices that do not lie behind one another.
    """
    rows, columns = stack.orientation[:3], stack.orientation[3:]
    lengths = np.linalg.norm(rows), np.linalg.norm(columns)
    if min(lengths) < 0.9 or max(lengths) > 1.1 or abs(float(rows @ columns)) > 0.02:
        raise VolumeError(
            "The directions of the image rows and columns in the DICOM headers are impossible.",
            hint="Export the series again.",
        )
    rows, columns = rows / lengths[0], columns / lengths[1]
    normal = np.cross(rows, columns)
    slices = sorted(stack.slices, key=lambda s: float(normal @ s.position))
    slices, warnings = _without_copies(slices, normal)
    if len(slices) < FEWEST_SLICES:
        raise VolumeError(
            f"The series has only {len(slices)} images at different places; a volume is needed.",
            hint="Give the whole series.",
        )
    positions = np.array([s.position for s in slices])
    _check_gaps(positions @ normal)

    index = np.arange(len(slices))
    step, origin = np.polyfit(index, positions, 1)
    gap = float(step @ normal)
    residual = positions - (origin + index[:, None] * step)
    tolerance = max(_GRID_TOLERANCE * gap, 0.05)
    if np.abs(residual @ normal).max() > tolerance:
        raise _uneven(np.diff(positions @ normal))
    off_grid = np.linalg.norm(residual, axis=1)
    if off_grid.max() > tolerance:
        raise VolumeError(
            f"The slices do not lie in a straight row (one is {off_grid.max():.2g} mm beside it), "
            "so they do not form one volume.",
            hint="Give one series of one scan.",
        )
    tilt = float(np.degrees(np.arccos(np.clip(gap / np.linalg.norm(step), -1, 1))))
    if tilt > _MOST_TILT_DEG:
        raise VolumeError(
            f"The slices are shifted against each other as if by a tilt of {tilt:.0f} degrees, "
            "so they do not form one volume.",
            hint="Give one series of one scan.",
        )
    if tilt > _TILT_DEG:
        warnings.append(
            f"The scan was made with a gantry tilt of {tilt:.1f} degrees; positions allow for it, "
            "pictures across the slices are sheared by it."
        )
    between_rows, between_columns = slices[0].header.numbers("pixel_spacing")
    matrix = np.eye(4)
    matrix[:3, 0] = rows * between_columns
    matrix[:3, 1] = columns * between_rows
    matrix[:3, 2] = step
    matrix[:3, 3] = origin
    return slices, matrix, warnings


def _without_copies(
    slices: list[Slice], normal: npt.NDArray[np.float64]
) -> tuple[list[Slice], list[str]]:
    """Drop files that are copies of one another; refuse different images at one place."""
    kept: list[Slice] = []
    seen: set[str] = set()
    for one in slices:
        uid = one.header.text("instance_uid")
        if uid and uid in seen:
            continue
        seen.add(uid)
        kept.append(one)
    along = np.array([float(normal @ s.position) for s in kept])
    places = Counter(np.cumsum(np.diff(along, prepend=along[0]) > _SAME_PLACE_MM).tolist())
    most = max(places.values())
    if most > 1:
        raise VolumeError(
            f"The series holds up to {most} different images at the same place ({len(kept)} images "
            f"at {len(places)} places), such as several phases or time points.",
            hint="Export one of them as a series of its own.",
        )
    copies = len(slices) - len(kept)
    return kept, [f"{copies} files are copies of other files and were left out."] * bool(copies)


def _check_gaps(along: npt.NDArray[np.float64]) -> None:
    gaps = np.diff(along)
    usual = float(np.median(gaps))
    smallest, largest = float(gaps.min()), float(gaps.max())
    if max(largest - usual, usual - smallest) <= _GAP_TOLERANCE * usual:
        return
    multiples = gaps / usual
    wide = multiples > 1 + _GAP_TOLERANCE
    if np.abs(multiples - np.rint(multiples)).max() <= _GAP_TOLERANCE and smallest > usual / 2:
        missing = int(np.rint(multiples[wide] - 1).sum())
        raise VolumeError(
            f"{missing} slices seem to be missing: gaps between slices run from {smallest:.2f} to "
            f"{largest:.2f} mm.",
            hint="Give the whole series.",
        )
    raise _uneven(gaps)


def _uneven(gaps: npt.NDArray[np.float64]) -> VolumeError:
    return VolumeError(
        f"The slices are unevenly spaced: gaps run from {gaps.min():.2f} to {gaps.max():.2f} mm.",
        hint="Give a series with even spacing, or resample it to even spacing first.",
    )
