"""What a file reader hands over: voxels and what the header said about them, not yet judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from med2e3.errors import VolumeError
from med2e3.volume.volume import Voxels


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image as a file describes it.

    Args:
        voxels: (K, J, I), or more dimensions if the file has more.
        ijk_to_lps: 4x4 in mm, ``None`` if the file does not tell the orientation.
        modality: DICOM modality, if the file tells it.
        display_window: (center, width), if the file tells it.
        declares_hu: whether the file says that its values are HU; ``None`` if it is silent.
        warnings: sentences for the person.
    """

    voxels: Voxels
    ijk_to_lps: npt.NDArray[np.float64] | None
    modality: str | None = None
    display_window: tuple[float, float] | None = None
    declares_hu: bool | None = None
    warnings: tuple[str, ...] = ()


def at_most_three(sizes: Sequence[int]) -> tuple[int, ...]:
    """A file's sizes, in its own order, without trailing dimensions of one beyond the third.

    Raises:
        VolumeError: more than three dimensions are left.
    """
    kept = tuple(sizes)
    while len(kept) > 3 and kept[-1] == 1:
        kept = kept[:-1]
    if len(kept) > 3:
        raise VolumeError(
            f"The file holds {len(kept)} dimensions ({' x '.join(map(str, kept))}), such as "
            "several time points or channels; one volume of 3 dimensions is needed.",
            hint="Export one of them as a volume.",
        )
    return kept


def cut_short(detail: str = "") -> VolumeError:
    """The error for a file that ends before its image does."""
    return VolumeError(
        "The file is cut short or damaged: it does not hold all the voxels its header promises.",
        hint="Copy or export it again.",
        detail=detail,
    )


def not_a(kind: str, detail: str = "") -> VolumeError:
    """The error for a file whose content is not what its name says."""
    return VolumeError(
        f"The file is named as {kind}, but its content is not.",
        hint="Give the original file, or export the volume again.",
        detail=detail,
    )


def impossible_position() -> VolumeError:
    """The error for spacing, directions or an origin that no image can have."""
    return VolumeError(
        "The header does not describe a possible position of the voxels in space "
        "(spacing or directions are zero, missing or contradictory).",
        hint="Export the volume again from the original images.",
    )
