"""Reads MetaImage (.mha, or .mhd with its data file).

Decodes the format itself, because the toolkit gives whatever was in memory for data it could not
decompress, takes 0 for a number it could not read, and tells both on the terminal only.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from med2e3.errors import VolumeError
from med2e3.volume.decoded import (
    Decoded,
    at_most_three,
    cut_short,
    impossible_position,
    not_a,
)
from med2e3.volume.text_header import (
    LONGEST_HEADER,
    NO_ORIGIN,
    decompressed,
    find_data_file,
    parse_fields,
)
from med2e3.volume.volume import Voxels

_REQUIRED = {"NDims", "DimSize", "ElementType", "ElementDataFile"}
_DIRECTIONS = ("TransformMatrix", "Orientation", "Rotation")
_SPACINGS = ("ElementSpacing", "ElementSize")
_ORIGINS = ("Offset", "Position", "Origin")
_BYTE_ORDERS = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_DTYPES = {
    "CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4",
    "LONG": "i4", "ULONG": "u4", "LONG_LONG": "i8", "ULONG_LONG": "u8",
    "FLOAT": "f4", "DOUBLE": "f8",
}  # fmt: skip

Fields = dict[str, str]


def read_metaimage(path: Path) -> Decoded:
    """Read a MetaImage file.

    Raises:
        VolumeError: not MetaImage, 4D, colour, as text, in many files, truncated or damaged.
    """
    with path.open("rb") as stream:
        raw = stream.read(LONGEST_HEADER)
    end = re.search(rb"ElementDataFile\s*=\s*[^\r\n]*\r?\n?", raw)
    fields = parse_fields(raw[: end.end()].decode("latin-1"), "=") if end else {}
    if end is None or not fields.keys() >= _REQUIRED:
        raise not_a("MetaImage")
    count = _whole_numbers(fields, "NDims", 1)[0]
    if not 1 <= count <= 7:
        raise not_a("MetaImage", f"{count} dimensions")
    shape = _shape_kji(fields, count)
    dtype = _dtype(fields)
    data, start = path, end.end()
    if fields["ElementDataFile"].upper() != "LOCAL":
        data, start = find_data_file(path, fields["ElementDataFile"]), 0
    voxels = _read_voxels(data, start, fields, shape, dtype)
    ijk_to_lps = _ijk_to_lps(fields, count)
    has_origin = any(name in fields for name in _ORIGINS)
    warnings = () if ijk_to_lps is None or has_origin else (NO_ORIGIN,)
    return Decoded(voxels, ijk_to_lps, warnings=warnings)


def _shape_kji(fields: Fields, count: int) -> tuple[int, ...]:
    """Shape in numpy's order, trailing dimensions of one dropped."""
    sizes = _whole_numbers(fields, "DimSize", count)
    if min(sizes) < 1:
        raise not_a("MetaImage", "impossible dimensions")
    return at_most_three(sizes)[::-1]


def _dtype(fields: Fields) -> np.dtype[np.generic]:
    """The type of a voxel, after refusing what is not one binary number per voxel in one file."""
    name = fields["ElementDataFile"]
    if name.upper().startswith("LIST") or "%" in name:
        raise VolumeError(
            "The MetaImage header refers to one file per slice, which is not supported.",
            hint="Save the volume as one .mha or .nrrd file.",
        )
    if not _is_true(fields.get("BinaryData", "True")):
        raise VolumeError(
            "The MetaImage file holds its voxels as text, which is not supported.",
            hint="Save the volume as one .mha or .nrrd file.",
        )
    if _whole_numbers(fields, "ElementNumberOfChannels", 1, default="1") != [1]:
        raise VolumeError(
            "This is a colour or vector image, not a volume of grey values.",
            hint="Give the original CT volume.",
        )
    element = fields["ElementType"].upper().removeprefix("MET_").removesuffix("_ARRAY")
    if element not in _DTYPES:
        raise not_a("MetaImage", f"ElementType = {element}")
    swapped = any(_is_true(fields.get(name, "False")) for name in _BYTE_ORDERS)
    return np.dtype((">" if swapped else "<") + _DTYPES[element])


def _read_voxels(
    data: Path, start: int, fields: Fields, shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> Voxels:
    size = math.prod(shape) * dtype.itemsize
    if _is_true(fields.get("CompressedData", "False")):
        buffer = _decompressed(data, start, size)
    else:
        (skipped,) = _whole_numbers(fields, "HeaderSize", 1, default="0")
        available = data.stat().st_size - start
        # -1: the voxels are the last part of the file
        skipped = max(available - size, 0) if skipped == -1 else max(skipped, 0)
        if available - skipped < size:
            raise cut_short(f"{available - skipped} of {size} bytes")
        buffer = np.fromfile(data, dtype=np.uint8, count=size, offset=start + skipped)
    voxels = buffer.view(dtype).reshape(shape)
    return voxels.astype(dtype.newbyteorder("="), copy=False)


def _decompressed(data: Path, start: int, size: int) -> npt.NDArray[np.uint8]:
    pieces = bytearray()
    for piece in decompressed(data, start):
        pieces += piece
        if len(pieces) > size:
            break
    if len(pieces) != size:
        raise cut_short(f"{len(pieces)} instead of {size} bytes")
    return np.frombuffer(pieces, dtype=np.uint8)


def _ijk_to_lps(fields: Fields, count: int) -> npt.NDArray[np.float64] | None:
    """4x4 in mm, ``None`` for another number of dimensions or if directions or spacing lack.

    Every list is looked at, so that a damaged one is noticed.
    """
    directions = _first(fields, _DIRECTIONS, count * count)
    spacing = _first(fields, _SPACINGS, count)
    origin = _first(fields, _ORIGINS, count)
    if spacing is not None and min(spacing) <= 0:
        raise impossible_position()  # below 0: a mirror or a mistake, nobody knows
    if count < 3 or directions is None or spacing is None:
        return None
    matrix = np.eye(4)
    # the file lists the direction of one axis after the other
    matrix[:3, :3] = np.reshape(directions, (count, count)).T[:3, :3] * spacing[:3]
    if origin is not None:
        matrix[:3, 3] = origin[:3]
    return matrix


def _first(fields: Fields, names: tuple[str, ...], count: int) -> npt.NDArray[np.float64] | None:
    """The finite numbers of the first of these fields that is there."""
    for name in names:
        if name in fields:
            try:
                values = np.array([float(part) for part in fields[name].split()])
            except ValueError:
                values = np.array([np.nan])
            if len(values) != count or not np.isfinite(values).all():
                raise not_a("MetaImage", f"{name} = {fields[name]}")
            return values
    return None


def _whole_numbers(fields: Fields, name: str, count: int, default: str = "") -> list[int]:
    text = fields.get(name, default)
    try:
        values = [int(part) for part in text.split()]
    except ValueError:
        values = []
    if len(values) != count:
        raise not_a("MetaImage", f"{name} = {text}")
    return values


def _is_true(text: str) -> bool:
    return text[:1] in ("T", "t", "1")
