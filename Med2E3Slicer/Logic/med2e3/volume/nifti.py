"""Reads NIfTI-1 and NIfTI-2 files (.nii, .nii.gz).

Decodes the format itself, because the toolkit fills the missing part of a truncated file with
zeros without a word, and replaces sheared matrices. Does not judge whether the image is plausible.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from med2e3.errors import VolumeError
from med2e3.volume.decoded import Decoded, at_most_three, cut_short, not_a
from med2e3.volume.volume import LPS_FROM_RAS, Voxels

_DTYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8",
    256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_COLOURS = {128, 2304}
#: xyzt_units & 7 to mm; 0 (not said) is mm by custom
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
#: no compressor shrinks more than this
_MOST_COMPRESSION = 1100
_SCANNER = 1
#: beyond 1 by more than rounding, the vector part of a quaternion is not a rotation
_LONGEST_QUATERNION = 1.001
#: bytes that are decompressed at a time, so that no second copy of the volume is made
_CHUNK = 1 << 24


@dataclass(frozen=True)
class _Header:
    """The fields that are used, with NIfTI's own names."""

    byte_order: str
    dim: tuple[int, ...]
    datatype: int
    vox_offset: int
    pixdim: tuple[float, ...]
    scl_slope: float
    scl_inter: float
    cal_min: float
    cal_max: float
    qform_code: int
    sform_code: int
    quatern: tuple[float, ...]
    qoffset: tuple[float, ...]
    srow: tuple[float, ...]
    xyzt_units: int


def read_nifti(path: Path) -> Decoded:
    """Read a NIfTI file.

    Returns:
        voxels with scale and offset applied; the sform if there is one, otherwise the qform.

    Raises:
        VolumeError: not NIfTI, 4D, colour, truncated, damaged, or an unknown voxel type.
    """
    compressed = _is_gzip(path)
    try:
        with gzip.open(path, "rb") if compressed else path.open("rb") as stream:
            header = _read_header(stream)
            limit = path.stat().st_size * (_MOST_COMPRESSION if compressed else 1)
            stored = _read_voxels(stream, header, limit)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise cut_short(str(error)) from error
    affine, warnings = _ijk_to_lps(header)
    window = None
    if header.cal_max > header.cal_min:
        window = (header.cal_min + header.cal_max) / 2, header.cal_max - header.cal_min
    return Decoded(_scaled(stored, header), affine, display_window=window, warnings=tuple(warnings))


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _read_header(stream: BinaryIO | gzip.GzipFile) -> _Header:
    raw = stream.read(348)
    if len(raw) < 348:
        raise not_a("NIfTI")
    for order in "<>":
        (size,) = struct.unpack_from(order + "i", raw)
        if size == 348:
            return _header1(order, raw)
        if size == 540:
            return _header2(order, raw + stream.read(540 - 348))
    raise not_a("NIfTI")


def _header1(order: str, raw: bytes) -> _Header:
    def get(layout: str, offset: int) -> tuple[float, ...]:
        return struct.unpack_from(order + layout, raw, offset)

    if raw[344:348] not in (b"n+1\0", b"n+1 "):
        if raw[344:347] == b"ni1":
            raise VolumeError(
                "This is one half of a NIfTI pair (.hdr and .img).",
                hint="Give the volume as one .nii or .nii.gz file.",
            )
        raise not_a("NIfTI")
    offset, slope, inter = get("3f", 108)
    if not np.isfinite(offset):
        raise not_a("NIfTI", f"vox_offset {offset}")
    cal_max, cal_min = get("2f", 124)
    qform, sform = struct.unpack_from(order + "2h", raw, 252)
    return _Header(
        order,
        struct.unpack_from(order + "8h", raw, 40),
        struct.unpack_from(order + "h", raw, 70)[0],
        max(int(offset), 352),  # the standard: never below
        get("8f", 76), slope, inter, cal_min, cal_max, qform, sform,
        get("3f", 256), get("3f", 268), get("12f", 280), raw[123],
    )  # fmt: skip


def _header2(order: str, raw: bytes) -> _Header:
    def get(layout: str, offset: int) -> tuple[float, ...]:
        return struct.unpack_from(order + layout, raw, offset)

    if len(raw) < 540 or raw[4:7] != b"n+2":
        raise not_a("NIfTI")
    slope, inter, cal_max, cal_min = get("4d", 176)
    qform, sform = struct.unpack_from(order + "2i", raw, 344)
    return _Header(
        order,
        struct.unpack_from(order + "8q", raw, 16),
        struct.unpack_from(order + "h", raw, 12)[0],
        max(struct.unpack_from(order + "q", raw, 168)[0], 544),
        get("8d", 104), slope, inter, cal_min, cal_max, qform, sform,
        get("3d", 352), get("3d", 376), get("12d", 400),
        struct.unpack_from(order + "i", raw, 500)[0],
    )  # fmt: skip


def _shape_kji(header: _Header) -> tuple[int, ...]:
    """Shape in numpy's order, trailing dimensions of one dropped."""
    count = header.dim[0]
    if not 1 <= count <= 7 or any(n < 1 for n in header.dim[1 : count + 1]):
        raise not_a("NIfTI", "impossible dimensions")
    return at_most_three(header.dim[1 : count + 1])[::-1]


def _read_voxels(stream: BinaryIO | gzip.GzipFile, header: _Header, limit: int) -> Voxels:
    shape = _shape_kji(header)
    if header.datatype in _COLOURS:
        raise VolumeError(
            "This is a colour picture (RGB), not a volume of grey values.",
            hint="Give the original CT volume.",
        )
    if header.datatype not in _DTYPES:
        raise VolumeError(
            "The voxels are of a type that cannot be shown (bits, complex or extended numbers).",
            hint="Export the volume with ordinary numbers, such as 16-bit integers.",
            detail=f"NIfTI datatype {header.datatype}",
        )
    dtype = np.dtype(header.byte_order + _DTYPES[header.datatype])
    size = int(np.prod([*shape, dtype.itemsize], dtype=object))
    gap = header.vox_offset - stream.tell()
    if size + gap > limit:
        raise cut_short(f"{size} bytes of voxels at offset {header.vox_offset}")
    stream.seek(gap, 1)
    buffer = np.empty(size, dtype=np.uint8)
    view = memoryview(buffer.data)
    filled = 0
    while filled < size:
        count = stream.readinto(view[filled : filled + _CHUNK])  # type: ignore[union-attr]
        if not count:
            raise cut_short(f"{filled} of {size} bytes of voxels")
        filled += count
    while stream.read(1 << 20):  # to the end, so that gzip's checksum is compared
        pass
    return buffer.view(dtype).reshape(shape)


def _scaled(stored: Voxels, header: _Header) -> Voxels:
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    slope, inter = header.scl_slope, header.scl_inter
    if not np.isfinite(slope) or slope == 0 or (slope == 1 and inter == 0):
        return native
    if not np.isfinite(inter):
        inter = 0.0
    with np.errstate(over="ignore"):  # infinity is refused where values are judged
        return np.asarray(native * np.float32(slope) + np.float32(inter), dtype=np.float32)


def _ijk_to_lps(header: _Header) -> tuple[npt.NDArray[np.float64] | None, list[str]]:
    sform = np.vstack([np.reshape(header.srow, (3, 4)), [0.0, 0.0, 0.0, 1.0]])
    has_sform = header.sform_code > 0 and bool(sform[:3, :3].any())
    has_qform = header.qform_code > 0
    if not (has_sform or has_qform):
        return None, []
    ijk_to_ras = sform if has_sform else _from_quaternion(header)
    warnings = []
    if np.array_equal(ijk_to_ras, np.eye(4)):  # what programs write when they know nothing
        if not _says_more_than_a_matrix(header):
            return None, []
        warnings.append(
            "The position in the file is the unit matrix (voxels of 1 mm along the patient's axes, "
            "origin 0), which some programs write when they do not know it."
        )
    if has_sform and has_qform:
        corner = np.array([*header.dim[1:4], 1.0])
        with np.errstate(invalid="ignore"):
            difference = np.abs((ijk_to_ras - _from_quaternion(header)) @ corner).max()
        if not difference < max(header.pixdim[1:4]):
            warnings.append(
                "The file holds two different positions in the patient (sform and qform); "
                "the sform is used."
            )
    scale = _MM_PER_UNIT.get(header.xyzt_units & 7, 1.0)
    with np.errstate(invalid="ignore"):  # NaN and infinity are refused where geometry is judged
        return LPS_FROM_RAS @ np.diag([scale, scale, scale, 1.0]) @ ijk_to_ras, warnings


def _says_more_than_a_matrix(header: _Header) -> bool:
    """Whether somebody stated the position: by its kind, its unit, or in both forms."""
    codes = header.sform_code, header.qform_code
    return _SCANNER in codes or min(codes) > 0 or header.xyzt_units & 7 != 0


def _from_quaternion(header: _Header) -> npt.NDArray[np.float64]:
    b, c, d = (float(x) for x in header.quatern)
    squared = b * b + c * c + d * d
    a = np.sqrt(max(0.0, 1.0 - squared)) if squared <= _LONGEST_QUATERNION else np.nan
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handedness = -1.0 if header.pixdim[0] < 0 else 1.0
    scale = np.abs(header.pixdim[1:4]) * [1.0, 1.0, handedness]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * scale
    matrix[:3, 3] = header.qoffset
    return matrix
