"""Voxels and geometry from anywhere (a file, a scene) become a checked `Volume`.

Knows which checks there are and what each finding leads to: a refusal or a warning. Does not know
file formats.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from med2e3.errors import VolumeError
from med2e3.volume.body_size import CHEST_WIDTH_MM, measure_body
from med2e3.volume.plausibility import check_array, check_geometry, check_values, units_of
from med2e3.volume.volume import LPS_FROM_RAS, Volume, Voxels
from med2e3.volume.window import is_possible

Matrix = npt.NDArray[np.float64]


def volume_from_array(
    voxels: Voxels,
    ijk_to_lps: Matrix | None,
    *,
    modality: str | None = None,
    display_window: tuple[float, float] | None = None,
    declares_hu: bool | None = None,
    warnings: Iterable[str] = (),
    trust_spacing: bool = False,
) -> Volume:
    """Check an image and make it a `Volume`.

    Args:
        voxels: (K, J, I), any real dtype. Not copied.
        ijk_to_lps: 4x4, voxel indices to LPS (mm); ``None`` if the orientation is not known.
        modality: DICOM modality, if known.
        display_window: (center, width) of the source; ignored with a warning if impossible.
        declares_hu: whether the source says that values are HU; ``None`` if it does not say.
        warnings: what the reader found already.
        trust_spacing: accept a chest of unusual size (a small child, an animal).

    Raises:
        VolumeError: for what cannot be, or must not be, shown to the model.
    """
    notes = list(warnings)
    check_array(voxels)
    voxels = voxels.view(np.uint8) if voxels.dtype.kind == "b" else voxels.view()
    voxels.flags.writeable = False
    if ijk_to_lps is not None:
        ijk_to_lps = np.array(ijk_to_lps, dtype=np.float64)
        check_geometry(ijk_to_lps, voxels.shape)
    value_range = float(voxels.min()), float(voxels.max())
    check_values(voxels, value_range)
    units = units_of(value_range, modality, declares_hu)
    if display_window is not None and not is_possible(*display_window):
        notes.append("The window in the file is not possible and was ignored.")
        display_window = None
    notes += _about_modality(modality, units)
    if units == "HU" and ijk_to_lps is not None:
        notes += _about_body(voxels, ijk_to_lps, trust_spacing)
    return Volume(voxels, ijk_to_lps, units, modality, display_window, tuple(notes))


def volume_from_slicer(
    voxels: Voxels,
    ijk_to_ras: Matrix,
    *,
    modality: str | None = None,
    display_window: tuple[float, float] | None = None,
    trust_spacing: bool = False,
) -> Volume:
    """The same for what 3D Slicer holds: a (K, J, I) array and its 4x4 IJK-to-RAS matrix (mm).

    Raises:
        VolumeError: as `volume_from_array`.
    """
    return volume_from_array(
        voxels,
        LPS_FROM_RAS @ np.asarray(ijk_to_ras, dtype=np.float64),
        modality=modality,
        display_window=display_window,
        trust_spacing=trust_spacing,
    )


def _about_modality(modality: str | None, units: str) -> list[str]:
    if modality not in (None, "CT"):
        return [
            f"This is not CT (modality {modality}); the model knows CT only, so its answers about "
            "this volume mean little."
        ]
    if units != "HU":
        return [
            "The voxel values are not Hounsfield units; the model knows CT only, so if this is MR "
            "or another modality its answers mean little."
        ]
    return []


def _about_body(voxels: Voxels, ijk_to_lps: Matrix, trust_spacing: bool) -> list[str]:
    body = measure_body(voxels, ijk_to_lps)
    if body is None:
        return []
    narrowest, widest = CHEST_WIDTH_MM
    finding = ""
    if body.width_mm > widest:
        finding = f"With the spacing in the header the body would be {body.width_mm:.0f} mm wide"
    elif body.has_lungs and body.width_mm < narrowest:
        finding = (
            f"With the spacing in the header the chest would be only {body.width_mm:.0f} mm wide"
        )
    if finding and trust_spacing:
        return [f"{finding}; positions in mm are only as right as that spacing."]
    if finding:
        raise VolumeError(
            f"{finding}, so the voxel spacing is probably wrong and positions would be, too.",
            hint="Correct the spacing; if it is right (a small child), ask for the spacing to be "
            "trusted (--trust-spacing).",
        )
    if body.width_mm < narrowest and body.width_mm > 1.15 * body.depth_mm:
        return [
            f"With the spacing in the header the body is only {body.width_mm:.0f} mm wide; if this "
            "is not a child or a limb, the spacing is wrong and so are the positions in mm."
        ]
    return []
