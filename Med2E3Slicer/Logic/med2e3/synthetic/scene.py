"""One CT volume in Hounsfield units with what is known about it, before the model's view of it.

Knows the type that phantoms, composites and real volumes share.  Knows nothing of how one is made
or of questions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Affine = npt.NDArray[np.float64]


@dataclass
class Lesion:
    """A lesion that was put in.

    Args:
        kind: one of :data:`~med2e3.synthetic.anatomy.KINDS`.
        organ: the organ in the singular; None when it is not known.
        paired_side: the patient's side of a paired organ, else None.
        center_lps_mm: its middle in the patient.
        diameter_mm: mean diameter.
        mask: (K, J, I).
    """

    kind: str
    organ: str | None
    paired_side: str | None
    center_lps_mm: tuple[float, float, float]
    diameter_mm: float
    mask: Mask


@dataclass
class Scene:
    """Voxels and truth.

    Args:
        hu: (K, J, I) float32, Hounsfield units.
        labels: (K, J, I) of :data:`~med2e3.synthetic.anatomy.LABELS`, or ``UNKNOWN``.
        ijk_to_lps: 4x4, voxel indices (i, j, k) to LPS (mm).
        region: one of :data:`~med2e3.synthetic.anatomy.REGIONS`.
        phase: one of :data:`~med2e3.synthetic.anatomy.PHASES`; None when it is not known.
        source: what it was made from, for the index.
        present: organs whose presence is known without labels.
        labelled: organs whose labels are complete in this volume.
        lesion: at most one.
    """

    hu: Float32
    labels: Labels
    ijk_to_lps: Affine
    region: str
    phase: str | None
    source: str
    present: dict[str, bool] = field(default_factory=dict)
    labelled: frozenset[str] = frozenset()
    lesion: Lesion | None = None

    @property
    def spacing_kji(self) -> npt.NDArray[np.float64]:
        """Distance of neighbouring voxels along k, j, i (mm)."""
        spacing: npt.NDArray[np.float64] = np.linalg.norm(self.ijk_to_lps[:3, :3], axis=0)[::-1]
        return spacing
