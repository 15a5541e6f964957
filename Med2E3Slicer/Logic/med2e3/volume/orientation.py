"""Which source axis becomes slice, row and column of the picture, and in which direction.

Knows patient axes and the radiological display convention. Only permutes and flips axes: it never
resamples, and it knows nothing of windows, crops or the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from med2e3.errors import InputError
from med2e3.volume.volume import Voxels

PLANES = ("native", "axial", "sagittal", "coronal")
SLICE_ORDERS = ("standard", "reversed", "file")

#: per plane: the patient direction (axis of LPS, sign) in which slices, rows and columns increase.
#: Axial slices run superior to inferior, coronal anterior to posterior, sagittal right to left;
#: rows and columns are the radiological display (patient's right at the left of the picture).
_DISPLAY = {
    "axial": ((2, -1), (1, +1), (0, +1)),
    "coronal": ((1, +1), (2, -1), (0, +1)),
    "sagittal": ((0, +1), (2, -1), (1, +1)),
}
_PLANE_OF_NORMAL = {0: "sagittal", 1: "coronal", 2: "axial"}


@dataclass(frozen=True)
class View:
    """Source axes in the order slice, row, column.

    Args:
        plane: ``axial``, ``sagittal`` or ``coronal``; ``native`` when the orientation of the
            source is not known and its axes are taken as they are.
        axes: for slice, row and column the source axis (0 = i, 1 = j, 2 = k).
        flips: whether that axis runs against the source's index.
        obliquity_deg: largest angle between a source axis and the patient axis it stands for.
    """

    plane: str
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    obliquity_deg: float = 0.0

    def apply(self, voxels: Voxels) -> Voxels:
        """The (K, J, I) array as (slice, row, column), without copying."""
        oriented = voxels.transpose([2 - axis for axis in self.axes])
        return oriented[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def oriented_to_lps(
        self, ijk_to_lps: npt.NDArray[np.float64], shape_kji: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        """4x4 matrix from (slice, row, column) indices of `apply`'s array to LPS (mm)."""
        ijk_from_oriented = np.zeros((4, 4))
        ijk_from_oriented[3, 3] = 1.0
        for position, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            ijk_from_oriented[axis, position] = -1.0 if flip else 1.0
            if flip:
                ijk_from_oriented[axis, 3] = shape_kji[2 - axis] - 1
        return ijk_to_lps @ ijk_from_oriented


def view_of(ijk_to_lps: npt.NDArray[np.float64] | None, plane: str, slice_order: str) -> View:
    """Choose axes and directions for a plane.

    Args:
        ijk_to_lps: 4x4, or ``None`` when the orientation is not known.
        plane: one of `PLANES`; ``native`` keeps the source's k axis as the slice axis, shown in
            the radiological display of the plane it is nearest to.
        slice_order: one of `SLICE_ORDERS`; ``file`` keeps the source's order of slices.

    Raises:
        InputError: for an unknown name, or for a plane other than ``native`` when the orientation
            is not known.
    """
    if plane not in PLANES:
        raise InputError(f"There is no plane called {plane!r}.", hint=_one_of(PLANES))
    if slice_order not in SLICE_ORDERS:
        raise InputError(f"There is no slice order {slice_order!r}.", hint=_one_of(SLICE_ORDERS))
    if ijk_to_lps is None:
        if plane != "native":
            raise InputError(
                "The file does not tell how the image lies in the patient, so its "
                f"{plane} slices and left and right are not known.",
                hint="Choose the plane 'native' to take the slices as they are stored, "
                "without positions.",
            )
        return View("native", (2, 1, 0), (slice_order == "reversed", False, False))

    directions = ijk_to_lps[:3, :3] / np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    source_axis = _nearest_axes(directions)
    if plane == "native":
        plane = _PLANE_OF_NORMAL[source_axis.index(2)]
    axes, flips, angles = [], [], []
    for patient_axis, sign in _DISPLAY[plane]:
        axis = source_axis[patient_axis]
        cosine = float(directions[patient_axis, axis]) * sign
        axes.append(axis)
        flips.append(cosine < 0)
        angles.append(float(np.degrees(np.arccos(min(abs(cosine), 1.0)))))
    if slice_order == "reversed":
        flips[0] = not flips[0]
    elif slice_order == "file":
        flips[0] = False
    return View(plane, (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]), max(angles))


def _nearest_axes(directions: npt.NDArray[np.float64]) -> tuple[int, ...]:
    """For each patient axis the source axis that stands for it, all three different."""
    cosines = np.abs(directions)
    return max(
        permutations(range(3)),
        key=lambda axes: sum(float(cosines[patient, axis]) for patient, axis in enumerate(axes)),
    )


def _one_of(names: tuple[str, ...]) -> str:
    return "Choose one of: " + ", ".join(names) + "."
