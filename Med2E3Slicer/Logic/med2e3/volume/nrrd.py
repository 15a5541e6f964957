"""Reads NRRD through SimpleITK, after checking what SimpleITK does not.

Knows the header well enough to tell whether compressed data are all there, whether the orientation
is known, and whether the file is a segmentation.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK

from med2e3.errors import VolumeError
from med2e3.volume.decoded import Decoded, at_most_three, not_a
from med2e3.volume.text_header import (
    LONGEST_HEADER,
    NO_ORIGIN,
    decompressed,
    find_data_file,
    parse_fields,
)

SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)

_SPACES = {
    "left-posterior-superior", "lps", "right-anterior-superior", "ras",
    "left-anterior-superior", "las",
}  # fmt: skip
_MM_PER_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001}


def read_nrrd(path: Path) -> Decoded:
    """Read an NRRD file (.nrrd, or .nhdr with its data file).

    Raises:
        VolumeError: not NRRD, a segmentation, 4D, colour, truncated or damaged.
    """
    with path.open("rb") as stream:
        raw = stream.read(LONGEST_HEADER)
    if not raw.startswith(b"NRRD"):
        raise not_a("NRRD")
    end = re.search(rb"\r?\n\r?\n", raw)
    text = raw[: end.start() if end else len(raw)].decode("latin-1")
    fields = {key.lower(): value for key, value in parse_fields(text, r":(?!=)").items()}
    if re.search(r"^Segment\d+_", text, re.MULTILINE) or path.name.lower().endswith(".seg.nrrd"):
        raise VolumeError(
            "This is a segmentation, not an image.", hint="Give the volume that was segmented."
        )
    _check_data(path, end.end() if end else len(raw), fields)
    image = _read(path)
    voxels = SimpleITK.GetArrayFromImage(image)
    oriented = fields.get("space", "").lower() in _SPACES and "space directions" in fields
    if not oriented or image.GetDimension() != 3:
        return Decoded(voxels, None)
    warnings = () if "space origin" in fields else (NO_ORIGIN,)
    return Decoded(voxels, _ijk_to_lps(image, fields), warnings=warnings)


def _check_data(path: Path, header_size: int, fields: dict[str, str]) -> None:
    """Whether the data are there and, if compressed, undamaged: the checksum is not read later."""
    name = fields.get("data file", fields.get("datafile", ""))
    in_many_files = name.upper().startswith("LIST") or "%" in name
    data, start = path, header_size
    if name and not in_many_files:
        data, start = find_data_file(path, name), 0
    encoding = fields.get("encoding", "").lower()
    if encoding in ("bzip2", "bz2"):
        raise VolumeError(
            "The NRRD file is compressed with bzip2, which is not supported.",
            hint="Save it with gzip compression or without.",
        )
    if encoding in ("gzip", "gz") and not in_many_files:
        for _ in decompressed(data, start):
            pass


def _read(path: Path) -> SimpleITK.Image:
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("NrrdImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        if reader.GetNumberOfComponents() != 1:
            raise VolumeError(
                "This is a colour or vector image, not a volume of grey values.",
                hint="Give the original CT volume.",
            )
        size = at_most_three(reader.GetSize())
        reader.SetExtractSize([*size, *[0] * (reader.GetDimension() - len(size))])
        image: SimpleITK.Image = reader.Execute()
    except RuntimeError as error:
        raise VolumeError(
            "The file cannot be decoded: it is cut short, damaged, or contradicts itself.",
            hint="Copy or export it again.",
            detail=str(error).replace(str(path.parent), ""),
        ) from error
    return image


def _ijk_to_lps(image: SimpleITK.Image, fields: dict[str, str]) -> npt.NDArray[np.float64]:
    units = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    mm_per_unit = _MM_PER_UNIT.get(units[0].strip().lower(), 1.0) if units else 1.0
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing() * mm_per_unit
    matrix[:3, 3] = np.asarray(image.GetOrigin()) * mm_per_unit
    return matrix
