"""Reads NRRD and MetaImage through SimpleITK, after checking what SimpleITK does not.

Knows the text headers of both formats well enough to tell whether the data are all there, whether
the orientation is known, and whether the file is a segmentation.
"""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path

import numpy as np
import SimpleITK

from med2e3.errors import VolumeError
from med2e3.volume.decoded import (
    Decoded,
    cut_short,
    impossible_position,
    not_a,
    too_many_dimensions,
)

SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)

#: of zlib: either format, told apart by its first bytes
_ZLIB_OR_GZIP = 47
_LONGEST_HEADER = 1 << 20
_NO_ORIGIN = (
    "The file does not tell where in the patient its first voxel lies; positions are counted from "
    "there."
)
_NRRD_SPACES = {
    "left-posterior-superior", "lps", "right-anterior-superior", "ras",
    "left-anterior-superior", "las",
}  # fmt: skip
_MM_PER_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001}
_META_REQUIRED = {"NDims", "DimSize", "ElementType", "ElementDataFile"}
_META_DIRECTIONS = {"TransformMatrix", "Orientation", "Rotation"}
_META_SPACINGS = {"ElementSpacing", "ElementSize"}
_META_ORIGINS = {"Offset", "Position", "Origin"}
_META_LISTS = {"DimSize", "CenterOfRotation", *_META_ORIGINS, *_META_SPACINGS}
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
    end = re.search(rb"\r?\n\r?\n", raw)
    text = raw[: end.start() if end else len(raw)].decode("latin-1")
    fields = {key.lower(): value for key, value in _fields(text, r":(?!=)").items()}
    if re.search(r"^Segment\d+_", text, re.MULTILINE) or path.name.lower().endswith(".seg.nrrd"):
        raise VolumeError(
            "This is a segmentation, not an image.", hint="Give the volume that was segmented."
        )
    name = fields.get("data file", fields.get("datafile", ""))
    data, start = path, end.end() if end else len(raw)
    in_many_files = name.upper().startswith("LIST") or "%" in name
    if name and not in_many_files:
        data, start = _data_file(path, name), 0
    encoding = fields.get("encoding", "").lower()
    if encoding in ("bzip2", "bz2"):
        raise VolumeError(
            "The NRRD file is compressed with bzip2, which is not supported.",
            hint="Save it with gzip compression or without.",
        )
    if encoding in ("gzip", "gz") and not in_many_files:
        _check_compressed(data, start)
    image = _read(path, "NrrdImageIO")
    oriented = fields.get("space", "").lower() in _NRRD_SPACES and "space directions" in fields
    scale = 1.0
    units = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    if units:
        scale = _MM_PER_UNIT.get(units[0].strip().lower(), 1.0)
    return _decoded(image, oriented, "space origin" in fields, scale)


def read_metaimage(path: Path) -> Decoded:
    """Read a MetaImage file (.mha, or .mhd with its data file).

    Raises:
        VolumeError: not MetaImage, 4D, colour, truncated or damaged.
    """
    with path.open("rb") as stream:
        raw = stream.read(_LONGEST_HEADER)
    end = re.search(rb"ElementDataFile\s*=\s*[^\r\n]*\r?\n?", raw)
    fields = _fields(raw[: end.end()].decode("latin-1"), "=") if end else {}
    if end is None or not fields.keys() >= _META_REQUIRED:
        raise not_a("MetaImage")
    _check_meta_counts(fields)
    _check_meta_data(path, fields, end.end())
    names = fields.keys()
    oriented = bool(names & _META_DIRECTIONS) and bool(names & _META_SPACINGS)
    has_origin = bool(names & _META_ORIGINS)
    return _decoded(_read(path, "MetaImageIO"), oriented, has_origin, 1.0)


def _fields(text: str, separator: str) -> dict[str, str]:
    """Lines ``name separator value`` of a text header."""
    pairs = (re.split(separator, line, maxsplit=1) for line in text.splitlines())
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}


def _check_compressed(path: Path, start: int) -> int:
    """The size of compressed data, their checksum compared, which neither reader does."""
    size = 0
    inflate = zlib.decompressobj(_ZLIB_OR_GZIP)
    with path.open("rb") as stream:
        stream.seek(start)
        try:
            while not inflate.eof and (chunk := stream.read(1 << 16)):
                size += len(inflate.decompress(chunk))
        except zlib.error as error:
            raise cut_short(str(error)) from error
    if not inflate.eof:
        raise cut_short("the compressed data end early")
    return size


def _data_file(path: Path, name: str) -> Path:
    data = path.parent / name
    if not data.is_file():
        raise VolumeError(
            "The data file that the header refers to is missing.",
            hint="Keep both files in one folder.",
        )
    return data


def _check_meta_counts(fields: dict[str, str]) -> None:
    """Whether every list holds as many numbers as it must.

    MetaIO crashes where one is too short, and takes 0 for what is not a number.
    """
    dimensions = fields["NDims"]
    if dimensions not in ("1", "2", "3", "4", "5"):
        raise not_a("MetaImage", f"NDims = {dimensions}")
    n = int(dimensions)
    for name, value in fields.items():
        count = n * n if name in _META_DIRECTIONS else n if name in _META_LISTS else None
        if count is not None and not _are_numbers(value, count):
            raise not_a("MetaImage", f"{name} = {value}")
        if name in _META_SPACINGS and min(map(float, value.split())) <= 0:
            raise impossible_position()  # below 0: a mirror or a mistake, nobody knows


def _are_numbers(text: str, count: int) -> bool:
    try:
        values = [float(part) for part in text.split()]
    except ValueError:
        return False
    return len(values) == count and all(map(math.isfinite, values))


def _check_meta_data(path: Path, fields: dict[str, str], header_size: int) -> None:
    """Whether the voxels are all there: MetaIO complains on the terminal only."""
    name = fields["ElementDataFile"]
    if name.upper().startswith("LIST") or "%" in name:
        raise VolumeError(
            "The MetaImage header refers to one file per slice, which is not supported.",
            hint="Save the volume as one .mha or .nrrd file.",
        )
    if fields.get("BinaryData", "true").lower() != "true":
        raise VolumeError(
            "The MetaImage file holds its voxels as text, which is not supported.",
            hint="Save the volume as one .mha or .nrrd file.",
        )
    data, start = path, header_size
    if name.upper() != "LOCAL":
        data, start = _data_file(path, name), 0
    element = fields["ElementType"].upper().removeprefix("MET_").removesuffix("_ARRAY")
    try:
        voxels = np.prod([int(n) for n in fields["DimSize"].split()], dtype=object)
        channels = int(fields.get("ElementNumberOfChannels", "1"))
        needed = int(voxels) * channels * _META_BYTES[element]
    except (ValueError, KeyError) as error:
        raise not_a("MetaImage", str(error)) from error
    available = data.stat().st_size - start
    if fields.get("CompressedData", "false").lower() == "true":
        if fields.get("CompressedDataSize", str(available)) != str(available):
            raise cut_short(f"CompressedDataSize of {available} bytes")
        available = _check_compressed(data, start)
        if available > needed:  # MetaIO decompresses nothing then
            raise cut_short(f"{available} instead of {needed} bytes")
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
            raise too_many_dimensions(size)
        reader.SetExtractSize([*size, *[0] * (reader.GetDimension() - len(size))])
        image: SimpleITK.Image = reader.Execute()
    except RuntimeError as error:
        raise VolumeError(
            "The file cannot be decoded: it is cut short, damaged, or contradicts itself.",
            hint="Copy or export it again.",
            detail=str(error).replace(str(path.parent), ""),
        ) from error
    return image


def _decoded(
    image: SimpleITK.Image, oriented: bool, has_origin: bool, mm_per_unit: float
) -> Decoded:
    voxels = SimpleITK.GetArrayFromImage(image)
    if not oriented or image.GetDimension() != 3:
        return Decoded(voxels, None)
    directions = np.reshape(image.GetDirection(), (3, 3))
    ijk_to_lps = np.eye(4)
    ijk_to_lps[:3, :3] = directions * image.GetSpacing() * mm_per_unit
    ijk_to_lps[:3, 3] = np.asarray(image.GetOrigin()) * mm_per_unit
    warnings = () if has_origin else (_NO_ORIGIN,)
    return Decoded(voxels, ijk_to_lps, warnings=warnings)
