"""From a volume to what the model sees, and the map back to the patient.

Knows the order of steps: orient, window, crop to the foreground, resize. The steps themselves are
elsewhere; the model itself is not known here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from med2e3.errors import InputError
from med2e3.volume.orientation import View, view_of
from med2e3.volume.resample import Box, Float32, foreground_box, resample
from med2e3.volume.slice_map import SliceMap, map_slices
from med2e3.volume.volume import Volume
from med2e3.volume.window import WindowChoice, resolve_window

#: slices, rows, columns of the published model
MODEL_SIZE = (32, 256, 256)

_OBLIQUE_DEG = 30.0


@dataclass(frozen=True, eq=False)
class ModelInput:
    """What the model sees.

    Args:
        voxels: float32, C-contiguous, shape (slices, rows, columns); in [0, 1] unless it comes
            from an M3D array, which is taken as it is.
        slice_map: where each slice lies.
        preprocessing: every choice that was made, JSON-able, for the record.
        warnings: of the volume and of its preparation.
    """

    voxels: npt.NDArray[np.float32]
    slice_map: SliceMap
    preprocessing: dict[str, Any]
    warnings: tuple[str, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """Content hash (hex) of the shape and the voxels as little-endian float32."""
        digest = hashlib.sha256(repr(self.voxels.shape).encode())
        digest.update(np.ascontiguousarray(self.voxels, dtype="<f4").data)
        return digest.hexdigest()


def prepare(
    volume: Volume,
    size: tuple[int, int, int] = MODEL_SIZE,
    *,
    window: WindowChoice = "display",
    plane: str = "axial",
    slice_order: str = "standard",
) -> ModelInput:
    """Orient, window, crop and resize a volume for the model.

    An M3D array (units ``"normalized"``) is only cropped and resized, whatever the choices.

    Args:
        volume: what `read_volume` or `volume_from_array` gave.
        size: (slices, rows, columns) of the model.
        window: see `resolve_window`.
        plane: ``native``, ``axial``, ``sagittal`` or ``coronal``.
        slice_order: ``standard``, ``reversed`` or ``file``.

    Raises:
        InputError: for a choice that is unknown or does not fit the volume, or when nothing of
            the volume is brighter than black.
    """
    warnings = list(volume.warnings)
    as_it_is = volume.units == "normalized"
    chosen_view = view_of(
        volume.ijk_to_lps,
        "native" if as_it_is else plane,
        "standard" if as_it_is else slice_order,
    )
    threshold = 0.0
    to_unit: Callable[[Float32], Float32] = _unchanged
    window_record = None
    if as_it_is:
        warnings += _not_applied(window, plane, slice_order)
    else:
        chosen_window, notes = resolve_window(volume, window)
        threshold, to_unit = chosen_window.low, chosen_window.to_unit
        window_record = chosen_window.as_dict()
        warnings += notes + _about_obliquity(chosen_view)

    oriented = chosen_view.apply(volume.voxels)
    crop = foreground_box(oriented, threshold)
    if crop is None:
        raise InputError(
            f"No voxel is above {threshold:g}, so the picture would be all black.",
            hint="" if as_it_is else "Choose another window, such as 'full'.",
        )
    cropped = oriented[tuple(slice(*span) for span in crop)]
    slice_map = map_slices(chosen_view, crop, size[0], volume.voxels.shape, volume.ijk_to_lps)
    preprocessing = {
        "window": window_record,
        "plane": chosen_view.plane,
        "plane_requested": plane,
        "slice_order": "file" if as_it_is else slice_order,
        "size": list(size),
        "crop_box": [list(span) for span in crop],
        "resized": cropped.shape != tuple(size),
        "units": volume.units,
        "modality": volume.modality,
        "source_shape_kji": list(volume.voxels.shape),
        "source_spacing_ijk_mm": None if volume.spacing_mm is None else list(volume.spacing_mm),
        "pixel_spacing_mm": _pixel_spacing(volume, chosen_view, crop, size),
        "slice_axis": slice_map.source_axis,
        "slice_normal_lps": None if slice_map.normal_lps is None else list(slice_map.normal_lps),
        "slice_spacing_mm": slice_map.spacing_mm,
    }
    return ModelInput(
        resample(cropped, size, to_unit), slice_map, preprocessing, tuple(dict.fromkeys(warnings))
    )


def _unchanged(plane: Float32) -> Float32:
    return plane


def _pixel_spacing(
    volume: Volume, view: View, crop: Box, size: tuple[int, int, int]
) -> list[float] | None:
    """Distance of neighbouring rows and columns of the model's pictures (mm)."""
    if volume.spacing_mm is None:
        return None
    return [
        volume.spacing_mm[axis] * (stop - start) / pixels
        for axis, (start, stop), pixels in zip(view.axes[1:], crop[1:], size[1:], strict=True)
    ]


def _not_applied(window: WindowChoice, plane: str, slice_order: str) -> list[str]:
    given = []
    if window != "display":
        given.append("the window")
    if plane not in ("axial", "native"):
        given.append("the plane")
    if slice_order not in ("standard", "file"):
        given.append("the slice order")
    if not given:
        return []
    return [f"An M3D array is taken as it is; {' and '.join(given)} you chose had no effect."]


def _about_obliquity(view: View) -> list[str]:
    if view.obliquity_deg <= _OBLIQUE_DEG:
        return []
    return [
        f"The image is turned by {view.obliquity_deg:.0f} degrees against the patient's axes; "
        f"its slices are only roughly {view.plane}."
    ]
