"""Reads NRRD and MetaImage through SimpleITK, after checking what SimpleITK does not.

Knows the text headers of both formats well enough to tell whether the data are all there, whether
the orientation is known, and whether the file is a segmentation.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import SimpleITK

from med2e3.errors import VolumeError
from med2e3.volume.decoded import Decoded, cut_short, not_a

SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)

_LONGEST_HEADER = 1 << 20
_NRRD_SPACES = {
    "left-posterior-superior", "lps", "right-anterior-superior", "ras",
    "left-anterior-superior", "las",
}  # fmt: skip
_MM_PER_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001}
_META_BYTES = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4,
    "LONG_LONG": 8, "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip


def read_nrrd(path: Path) -> Decoded:
    """Read an NRRD file (.nrrd, or .nhdr with its data file).

    Raises:
        VolumeError: not NRRD, a segmentation, 4D, colour, truncated or damaged.
    """
    with path.open("rb") as stream:
        raw = stream.read(_LONGEST_HEADER)
    if not raw.startswith(b"NRRD"):
        raise not_a("NRRD")
    text = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[0].decode("latin-1")
    fields = _fields(text, r":(?!=)")
    if re.search(r"^Segment\d+_", text, re.MULTILINE) or path.name.lower().endswith(".seg.nrrd"):
        raise VolumeError(
            "This is a segmentation, not an image.", hint="Give the volume that was segmented."
        )
    image = _read(path, "NrrdImageIO")
    oriented = fields.get("space", "").lower() in _NRRD_SPACES and "space directions" in fields
    scale = 1.0
    units = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    if units:
        scale = _MM_PER_UNIT.get(units[0].strip().lower(), 1.0)
    return _decoded(image, oriented, scale)


def read_metaimage(path: Path) -> Decoded:
    """Read a MetaImage file (.mha, or .mhd with its data file).

    Raises:
        VolumeError: not MetaImage, 4D, colour, truncated or damaged.
    """
    with path.open("rb") as stream:
        raw = stream.read(_LONGEST_HEADER)
    end = re.search(rb"ElementDataFile\s*=\s*[^\r\n]*\r?\n?", raw)
    if end is None or b"DimSize" not in raw[: end.start()]:
        raise not_a("MetaImage")
    fields = _fields(raw[: end.end()].decode("latin-1"), "=")
    _check_meta_size(path, fields, end.end())
    oriented = {"transformmatrix", "orientation", "rotation"} & fields.keys() and {
        "elementspacing", "elementsize"
    } & fields.keys()  # fmt: skip
    return _decoded(_read(path, "MetaImageIO"), bool(oriented), 1.0)


def _fields(text: str, separator: str) -> dict[str, str]:
    """Lines ``name separator value`` of a text header, names in lower case."""
    pairs = (re.split(separator, line, maxsplit=1) for line in text.splitlines())
    return {pair[0].strip().lower(): pair[1].strip() for pair in pairs if len(pair) == 2}


def _check_meta_size(path: Path, fields: dict[str, str], header_size: int) -> None:
    """MetaIO complains on the terminal about a short file; find out before it does."""
    data_file = fields["elementdatafile"]
    if data_file.upper().startswith("LIST") or "%" in data_file:
        raise VolumeError(
            "The MetaImage header refers to one file per slice, which is not supported.",
            hint="Save the volume as one .mha or .nrrd file.",
        )
    if data_file.upper() == "LOCAL":
        available = path.stat().st_size - header_size
    else:
        data_path = path.parent / data_file
        if not data_path.is_file():
            raise VolumeError(
                "The data file that the header refers to is missing.",
                hint="Keep both files in one folder.",
            )
        available = data_path.stat().st_size
    if fields.get("compresseddata", "false").lower() == "true":
        needed = int(fields.get("compresseddatasize", "0") or 0)
    else:
        element = fields.get("elementtype", "").upper().removeprefix("MET_").removesuffix("_ARRAY")
        try:
            voxels = np.prod([int(n) for n in fields["dimsize"].split()], dtype=object)
            channels = int(fields.get("elementnumberofchannels", "1"))
        except ValueError as error:
            raise not_a("MetaImage", str(error)) from error
        needed = int(voxels) * channels * _META_BYTES.get(element, 1)
    if available < needed:
        raise cut_short(f"{available} of {needed} bytes")


def _read(path: Path, image_io: str) -> SimpleITK.Image:
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        if reader.GetNumberOfComponents() != 1:
            raise VolumeError(
                "This is a colour or vector image, not a volume of grey values.",
                hint="Give the original CT volume.",
            )
        size = reader.GetSize()
        while len(size) > 3 and size[-1] == 1:
            size = size[:-1]
        if len(size) > 3:
            raise VolumeError(
                f"The file holds {len(size)} dimensions ({' x '.join(map(str, size))}), such as "
                "several time points; one volume of 3 dimensions is needed.",
                hint="Export one of them as a volume.",
            )
        reader.SetExtractSize([*size, *[0] * (reader.GetDimension() - len(size))])
        image: SimpleITK.Image = reader.Execute()
    except RuntimeError as error:
        raise VolumeError(
            "The file cannot be decoded: it is cut short, damaged, or contradicts itself.",
            hint="Copy or export it again.",
            detail=str(error).replace(str(path.parent), ""),
        ) from error
    return image


def _decoded(image: SimpleITK.Image, oriented: bool, mm_per_unit: float) -> Decoded:
    voxels = SimpleITK.GetArrayFromImage(image)
    if not oriented or image.GetDimension() != 3:
        return Decoded(voxels, None)
    directions = np.reshape(image.GetDirection(), (3, 3))
    ijk_to_lps = np.eye(4)
    ijk_to_lps[:3, :3] = directions * image.GetSpacing() * mm_per_unit
    ijk_to_lps[:3, 3] = np.asarray(image.GetOrigin()) * mm_per_unit
    return Decoded(voxels, ijk_to_lps)
