"""A volume in memory: voxels, where they lie in the patient, and how they are to be shown.

Knows the type every other part of this package takes or gives. Does not know file formats, what
is plausible, or what the model wants. Nothing of the patient is kept here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Units = Literal["HU", "normalized", "unknown"]

#: numbers of any real type, told apart only at run time
Voxels = npt.NDArray[Any]

#: LPS and RAS differ by the sign of the first two coordinates
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Volume:
    """A three-dimensional image.

    Args:
        voxels: array of shape (K, J, I), any real dtype, finite.
        ijk_to_lps: 4x4 float64, voxel indices (i, j, k) to patient coordinates (mm, LPS); its
            columns need not be orthogonal (gantry tilt). ``None`` when the position in the patient
            is not known.
        units: ``"HU"``; ``"normalized"`` for an M3D array, which the model takes as it is;
            ``"unknown"`` for everything else (MR, windowed pictures).
        modality: DICOM modality, such as ``"CT"`` or ``"MR"``, when the source tells it.
        display_window: (center, width) in units of the voxels, when the source tells it.
        warnings: sentences for the person, in the order in which they came up.
    """

    voxels: Voxels
    ijk_to_lps: npt.NDArray[np.float64] | None
    units: Units = "unknown"
    modality: str | None = None
    display_window: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest voxel value (NaN if a voxel is NaN)."""
        return float(self.voxels.min()), float(self.voxels.max())

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float] | None:
        """Distance between neighbouring voxels along i, j, k in mm; ``None`` if not known."""
        if self.ijk_to_lps is None:
            return None
        i, j, k = (float(x) for x in np.linalg.norm(self.ijk_to_lps[:3, :3], axis=0))
        return i, j, k
