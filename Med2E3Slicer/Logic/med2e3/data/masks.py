"""Label volumes in the geometry of the volumes they belong to.

Knows how a label volume is found, read, and brought to the model's slices: the same view, crop and
size as the picture, but the nearest label instead of a mean.  Knows nothing of what labels mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from med2e3.errors import VolumeError
from med2e3.volume import Volume
from med2e3.volume.decoded import Decoded
from med2e3.volume.metaimage import read_metaimage
from med2e3.volume.nifti import read_nifti
from med2e3.volume.nrrd import read_nrrd
from med2e3.volume.orientation import view_of

Labels = npt.NDArray[np.uint8]
_READERS: dict[str, Callable[[Path], Decoded]] = {
    ".nii.gz": read_nifti,
    ".nii": read_nifti,
    ".nrrd": read_nrrd,
    ".nhdr": read_nrrd,
    ".mha": read_metaimage,
    ".mhd": read_metaimage,
}
LABEL_SUFFIXES = (*_READERS, ".npy")
#: how far two positions of the same voxel may lie apart, as part of a voxel
_TOLERANCE = 0.05


def find_labels(folder: Path, name: str) -> Path | None:
    """The label volume of a volume: the same path below its own folder, any known suffix.

    Args:
        folder: of the label volumes.
        name: path of the volume below the folder of volumes, with or without suffix.
    """
    stem = next((name[: -len(s)] for s in LABEL_SUFFIXES if name.lower().endswith(s)), name)
    candidates = (folder / f"{stem}{suffix}" for suffix in LABEL_SUFFIXES)
    return next((file for file in candidates if file.is_file()), None)


def read_labels(path: Path, volume: Volume, count: int) -> Labels:
    """Read a label volume, one whole number for each voxel of a volume.

    Args:
        path: of the label volume.
        volume: it belongs to.
        count: number of labels; values are 0 to count - 1.

    Returns:
        (K, J, I), as the volume's voxels.

    Raises:
        VolumeError: when it cannot be read, lies elsewhere than the volume, or holds values that
            are no labels.
    """
    array, ijk_to_lps = _read(path)
    if array.shape != volume.voxels.shape:
        raise VolumeError(
            f"The labels have the shape {_shape(array)}, the volume {_shape(volume.voxels)}.",
            hint="Give labels in the geometry of the volume.",
        )
    if ijk_to_lps is not None and volume.ijk_to_lps is not None:
        corners = np.array(
            [[i, j, k, 1.0] for k in (0, array.shape[0]) for j in (0, array.shape[1])
             for i in (0, array.shape[2])]
        )  # fmt: skip
        apart = np.abs(corners @ (ijk_to_lps - volume.ijk_to_lps).T[:, :3]).max()
        if volume.spacing_mm is not None and apart > _TOLERANCE * min(volume.spacing_mm):
            raise VolumeError(
                f"The labels lie up to {apart:.3g} mm from where the volume lies.",
                hint="Give labels in the geometry of the volume.",
            )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high < count):
        raise VolumeError(
            f"The labels run from {low:g} to {high:g}, but there are names for 0 to {count - 1}.",
            hint="Name every label value.",
        )
    labels = array.astype(np.uint8)
    if array.dtype.kind == "f" and not np.array_equal(labels, array):
        raise VolumeError("The labels are not whole numbers.")
    return labels


def labels_of_slices(
    labels: Labels,
    volume: Volume,
    preprocessing: dict[str, Any],
    size: tuple[int, int, int],
) -> Labels:
    """Bring labels to the model's slices.

    Args:
        labels: (K, J, I) of the volume.
        volume: it belongs to.
        preprocessing: of the :class:`~med2e3.volume.ModelInput` made of the volume.
        size: (slices, rows, columns) of the model.

    Returns:
        array of shape ``size``; each voxel has the label of the source voxel that its centre lies
        in, so a label thinner than the step between model slices may lie between them.
    """
    view = view_of(volume.ijk_to_lps, preprocessing["plane"], preprocessing["slice_order"])
    oriented = view.apply(labels)
    for axis, ((start, stop), count) in enumerate(
        zip(preprocessing["crop_box"], size, strict=True)
    ):
        centres = start + (np.arange(count) + 0.5) * (stop - start) / count
        oriented = oriented.take(centres.astype(np.intp), axis=axis)
    return np.ascontiguousarray(oriented)


def slices_by_label(labels: Labels, names: Sequence[str]) -> dict[str, list[int]]:
    """For each label that is there, except the background (0), the slices that hold it."""
    found: dict[str, list[int]] = {}
    for value, name in enumerate(names):
        if value:
            slices = np.flatnonzero((labels == value).any(axis=(1, 2)))
            if slices.size:
                found[name] = [int(index) for index in slices]
    return found


def _read(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64] | None]:
    name = path.name.lower()
    if not name.endswith(".npy"):
        reader = next(read for suffix, read in _READERS.items() if name.endswith(suffix))
        decoded = reader(path)
        return decoded.voxels, decoded.ijk_to_lps
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise VolumeError("The labels are cut short, damaged, or no plain array.") from error
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    return array, None


def _shape(array: npt.NDArray[Any]) -> str:
    return " x ".join(map(str, array.shape))
