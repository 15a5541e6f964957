"""Can these voxels be a CT (or another) image of a patient, and are they Hounsfield units?

Knows arrays and ranges of values. Does not know files; the size of the body is judged elsewhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from med2e3.errors import VolumeError
from med2e3.volume.decoded import impossible_position
from med2e3.volume.volume import Units, Volume, Voxels

_FEWEST_SLICES = 3
_SMALLEST_SIDE = 16
#: voxel spacing in mm that any scanner of patients can have
_SPACING_MM = (0.02, 100.0)
#: beyond this a file is damaged
_LARGEST_VALUE = 1e9
#: less is no difference
_SMALLEST_RANGE = 1e-9
#: of the first voxel from the scanner's origin, in mm; beyond this a header is damaged
_FARTHEST_MM = 1e5
#: extent of an image of a patient in mm, along its longest side
_EXTENT_MM = (15.0, 3000.0)
#: an image without fat and air is not known to be in HU; both are below this
_AIR_OR_FAT_HU = -200.0


def check_array(voxels: Voxels) -> None:
    """Refuse what is not a three-dimensional image of real, finite, varying values.

    Raises:
        VolumeError: one sentence that says what is wrong.
    """
    if voxels.ndim != 3:
        raise VolumeError(
            f"The image has {voxels.ndim} dimensions; a volume of 3 dimensions is needed.",
            hint="Export one time point or one channel as a volume." if voxels.ndim > 3 else "",
        )
    if voxels.dtype.kind not in "biuf":
        raise VolumeError(
            "The voxels are not plain numbers (colours or complex values).",
            hint="Give the original grey-scale volume.",
            detail=str(voxels.dtype),
        )
    smallest, middle, _ = sorted(voxels.shape)
    if smallest == 1:
        raise VolumeError(
            "The image is a single slice; the model needs a volume of many slices.",
            hint="Give the whole series.",
        )
    if smallest < _FEWEST_SLICES or middle < _SMALLEST_SIDE:
        k, j, i = voxels.shape
        raise VolumeError(
            f"The volume of {i} x {j} x {k} voxels is too small to show anything to the model.",
            hint=f"At least {_FEWEST_SLICES} slices of {_SMALLEST_SIDE} x {_SMALLEST_SIDE} are "
            "needed.",
        )


def check_values(voxels: Voxels, value_range: tuple[float, float]) -> None:
    """Refuse NaN, infinity, one value everywhere, and label maps.

    Raises:
        VolumeError: one sentence that says what is wrong.
    """
    low, high = value_range
    if not (np.isfinite(low) and np.isfinite(high)):
        raise VolumeError(
            "Some voxels are not numbers (NaN or infinity); the volume is damaged or incomplete.",
            hint="Export it again from the original images.",
        )
    if max(-low, high) > _LARGEST_VALUE:
        raise VolumeError(
            f"The voxel values run from {low:.3g} to {high:.3g}, which no scan has; the file is "
            "damaged or its scale is wrong.",
            hint="Export it again from the original images.",
        )
    if high - low < _SMALLEST_RANGE:
        raise VolumeError(
            f"All voxels have the same value ({low:g}), so there is no picture in this volume."
        )
    if is_label_map(voxels, value_range):
        raise VolumeError(
            "This looks like a label map (a segmentation), not like an image.",
            hint="Give the volume that was segmented.",
        )


def check_geometry(ijk_to_lps: npt.NDArray[np.float64], shape_kji: tuple[int, ...]) -> None:
    """Refuse voxel sizes and extents that no scan of a patient has.

    Raises:
        VolumeError: one sentence with the measured size.
    """
    finite = bool(np.isfinite(ijk_to_lps).all())
    with np.errstate(over="ignore"):
        spacing = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    if not finite or spacing.min() <= 0 or abs(np.linalg.det(ijk_to_lps[:3, :3] / spacing)) < 0.1:
        raise impossible_position()
    size = " x ".join(f"{s:.3g}" for s in spacing)
    if spacing.min() < _SPACING_MM[0] or spacing.max() > _SPACING_MM[1]:
        raise VolumeError(
            f"The voxel spacing of {size} mm in the header is impossible for a scan of a patient.",
            hint="Correct the spacing, or export the volume again from the original images.",
        )
    extent = float((spacing * shape_kji[::-1]).max())
    if not _EXTENT_MM[0] <= extent <= _EXTENT_MM[1]:
        raise VolumeError(
            f"With the voxel spacing of {size} mm in the header the whole volume would be "
            f"{extent:.3g} mm long, which is not possible for a scan of a patient.",
            hint="Correct the spacing, or export the volume again from the original images.",
        )
    if np.abs(ijk_to_lps[:3, 3]).max() > _FARTHEST_MM:
        raise impossible_position()


def units_of(
    value_range: tuple[float, float], modality: str | None, declares_hu: bool | None
) -> Units:
    """HU or not.

    Args:
        value_range: smallest and largest voxel.
        modality: DICOM modality, if known.
        declares_hu: whether the header says that the values are HU; ``None`` if it is silent.
    """
    if modality not in (None, "CT"):
        return "unknown"
    low, high = value_range
    if low <= _AIR_OR_FAT_HU < high:
        return "unknown" if declares_hu is False and modality is not None else "HU"
    is_picture = low >= 0 and high <= 255
    return "HU" if declares_hu and not is_picture else "unknown"


def why_not_a_ct_scale(volume: Volume) -> str | None:
    """Why no CT window can be chosen for a volume by itself, as a sentence, or ``None``.

    MR and other modalities have no such scale, and are shown with their own range.
    """
    if volume.units != "unknown" or volume.modality not in (None, "CT"):
        return None
    low, high = volume.value_range
    span = f"The voxel values ({low:g} to {high:g}) are not Hounsfield units"
    if low >= -1 and high <= 255:
        return f"{span}; they look like a picture that was windowed or scaled before."
    if _is_shifted_ct(volume.voxels, low, high):
        return f"{span}; they look like CT values with 1024 added."
    if volume.modality == "CT":
        return f"{span} although the file says that it is CT."
    return None


def is_label_map(voxels: Voxels, value_range: tuple[float, float]) -> bool:
    """Whether the voxels are a few whole numbers in large even patches."""
    low, high = value_range
    if low < 0 or high > 65535:
        return False
    sample = _some_slices(voxels)
    if voxels.dtype.kind == "f" and not np.array_equal(sample, np.rint(sample)):
        return False
    values = np.unique(sample)
    if values.size > 256:
        return False
    if values.size <= 3:  # masks; a drawn phantom of few but large values is an image
        return high <= 255
    # between the extremes (background, saturation) labels repeat, while images vary with noise
    left, right = sample[..., :-1], sample[..., 1:]
    inside = (left != values[0]) & (left != values[-1])
    return bool(inside.any() and (left == right)[inside].mean() > 0.6)


def _is_shifted_ct(voxels: Voxels, low: float, high: float) -> bool:
    if low < 0 or not 1500 <= high <= 6000:
        return False
    sample = _some_slices(voxels)
    soft_tissue = np.count_nonzero((sample > 924) & (sample < 1224))
    dense = np.count_nonzero(sample > 500)
    air = np.count_nonzero(sample < 150)
    return bool(soft_tissue > 0.5 * dense and air > 0.05 * sample.size)


def _some_slices(voxels: Voxels) -> Voxels:
    step = -(-voxels.shape[0] // 16)
    return voxels[step // 2 :: step]
