"""Reads the arrays of M3D (.npy): already windowed, scaled to 0..1, without geometry.

Such an array goes to the model as it is, exactly as the reference implementation takes it; so this
module judges whether it can be one.
"""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError

import numpy as np

from med2e3.errors import VolumeError
from med2e3.volume.volume import Volume

#: what numpy raises for a file that is not, or not wholly, an array
_DAMAGED = (ValueError, TypeError, EOFError, MemoryError, SyntaxError, TokenError)
#: beyond this the values are not scaled to 0..1, whatever was added or multiplied afterwards
_LARGEST = 10.0


def read_m3d_npy(path: Path) -> Volume:
    """Read a float array of shape (N, H, W) or (1, N, H, W).

    Raises:
        VolumeError: another shape or type, pickled objects, NaN, truncated, or values that are
            plainly not scaled to 0..1.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except _DAMAGED as error:
        raise VolumeError(
            "The .npy file is cut short, damaged, or does not hold a plain array.",
            hint="Save it again with numpy.save.",
            detail=str(error),
        ) from error
    if not isinstance(array, np.ndarray):
        raise VolumeError("The file holds several arrays; one array of N x H x W is needed.")
    shape = " x ".join(map(str, array.shape)) or "of one number"
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3:
        raise VolumeError(
            f"The array has the shape {shape}; N x H x W or 1 x N x H x W is needed.",
            hint="Save one volume, slices first.",
        )
    if min(array.shape) < 2:
        raise VolumeError(f"The array of {shape} holds a single slice; a volume is needed.")
    if array.dtype.kind != "f":
        raise VolumeError(
            f"The array holds {array.dtype.name} values; floating-point values from 0 to 1 are "
            "needed.",
            hint="Window the image, scale it to 0..1 and save it as float32; HU volumes can be "
            "given as NIfTI, NRRD or DICOM.",
        )
    array = array.astype(np.float32, copy=False)
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise VolumeError("Some values of the array are not numbers (NaN or infinity).")
    if max(-low, high) > _LARGEST:
        kind = "8-bit grey values" if low >= 0 and high <= 255 else "Hounsfield units"
        raise VolumeError(
            f"The values of the array run from {low:g} to {high:g}, which look like {kind}; "
            "values from 0 to 1 are needed.",
            hint="Window the image and scale it to 0..1, or give it as NIfTI, NRRD or DICOM.",
        )
    if high <= 0:
        raise VolumeError("No value of the array is above 0, so the picture would be all black.")
    warnings = []
    if low < 0 or high > 1:
        warnings.append(
            f"The values of the array run from {low:g} to {high:g}, beyond 0 to 1; "
            "they are passed on unchanged."
        )
    array.flags.writeable = False
    return Volume(array, None, "normalized", warnings=tuple(warnings))
