"""Reads a volume from a path: decides what kind of file it is and has the rest done.

Knows file names and first bytes. Does not decode and does not judge images.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from med2e3.errors import VolumeError
from med2e3.volume.build import volume_from_array
from med2e3.volume.decoded import Decoded
from med2e3.volume.dicom import read_dicom_file, read_dicom_folder
from med2e3.volume.m3d_npy import read_m3d_npy
from med2e3.volume.metaimage import read_metaimage
from med2e3.volume.nifti import read_nifti
from med2e3.volume.nrrd import read_nrrd
from med2e3.volume.volume import Volume

_READERS: dict[str, Callable[[Path], Decoded]] = {
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".nrrd": read_nrrd,
    ".nhdr": read_nrrd,
    ".mha": read_metaimage,
    ".mhd": read_metaimage,
}
#: names of files that each are a volume, by their end (lower case)
VOLUME_SUFFIXES = (*_READERS, ".npy")
_KNOWN = "NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr), MetaImage (.mha, .mhd), a DICOM folder, "
_HINT = f"Give {_KNOWN}or an M3D .npy file."


def read_volume(path: str | Path, *, trust_spacing: bool = False) -> Volume:
    """Read a volume from a file or a DICOM folder.

    Args:
        path: .nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd, an M3D .npy, or a folder of DICOM files.
        trust_spacing: accept a chest of unusual size (see docs/input-volumes.md).

    Returns:
        a checked volume, its `warnings` for the person.

    Raises:
        VolumeError: one sentence that says what is wrong and, as a hint, what to do.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise VolumeError("There is no such file or folder.", hint="Check the path.")
        if path.is_dir():
            decoded = read_dicom_folder(path)
        else:
            if path.stat().st_size == 0:
                raise VolumeError("The file is empty.", hint="Copy or export it again.")
            name = path.name.lower()
            if name.endswith(".npy"):
                return read_m3d_npy(path)
            suffix = next((s for s in _READERS if name.endswith(s)), None)
            decoded = _READERS[suffix](path) if suffix else read_dicom_file(path)
    except OSError as error:
        raise VolumeError(
            "The file or folder cannot be opened.",
            hint="Check that it exists and that you may read it.",
            detail=type(error).__name__,
        ) from error
    except MemoryError as error:
        raise VolumeError(
            "The volume is too large for this computer's memory.",
            hint="Crop it, or export it with fewer or larger voxels.",
        ) from error
    return volume_from_array(
        decoded.voxels,
        decoded.ijk_to_lps,
        modality=decoded.modality,
        display_window=decoded.display_window,
        declares_hu=decoded.declares_hu,
        warnings=decoded.warnings,
        trust_spacing=trust_spacing,
    )
