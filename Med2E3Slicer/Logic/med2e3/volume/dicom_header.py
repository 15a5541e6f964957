"""Reads the few elements of a DICOM file that decide whether it is part of a volume.

Knows DICOM's encodings (implicit and explicit, either byte order, deflated, with or without
preamble) well enough to walk over a data set. Decodes no pixels and keeps nothing that identifies
a patient; the series identifier is only compared, never shown.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

#: names that only DICOM files have, by their end (lower case)
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")

_EXPLICIT_BIG = "1.2.840.10008.1.2.2"
_IMPLICIT_LITTLE = "1.2.840.10008.1.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT",
             b"UV"}  # fmt: skip
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = {0x7FE00008, 0x7FE00009, 0x7FE00010}
_LONGEST_VALUE = 4096
_DEEPEST = 32

#: tag -> (name, "s" text or "u" unsigned short)
_WANTED = {
    0x00080008: ("image_type", "s"),
    0x00080016: ("sop_class", "s"),
    0x00080018: ("instance_uid", "s"),
    0x00080060: ("modality", "s"),
    0x00200032: ("position", "s"),
    0x00200037: ("orientation", "s"),
    0x0020000E: ("series_uid", "s"),
    0x00280002: ("samples", "u"),
    0x00280004: ("photometric", "s"),
    0x00280008: ("frames", "s"),
    0x00280010: ("rows", "u"),
    0x00280011: ("columns", "u"),
    0x00280030: ("pixel_spacing", "s"),
    0x00280100: ("bits_allocated", "u"),
    0x00280103: ("signed", "u"),
    0x00280120: ("padding", "u"),
    0x00281050: ("window_center", "s"),
    0x00281051: ("window_width", "s"),
    0x00281052: ("rescale_intercept", "s"),
    0x00281053: ("rescale_slope", "s"),
    0x00281054: ("rescale_type", "s"),
}


class NotDicomError(Exception):
    """The file is not DICOM."""


@dataclass(frozen=True)
class DicomHeader:
    """What a file says about its image.

    Args:
        values: the wanted elements that were there, by name; text stripped.
        pixels: whether pixel data are there and complete; ``"truncated"`` also for a file that
            ends within its header.
    """

    values: dict[str, str | int]
    pixels: Literal["present", "absent", "truncated"]

    def text(self, name: str) -> str:
        """An element as text, empty if absent."""
        return str(self.values.get(name, ""))

    def number(self, name: str, default: int = 0) -> int:
        """A whole number."""
        try:
            return int(self.values.get(name, default))
        except ValueError:
            return default

    def numbers(self, name: str) -> tuple[float, ...]:
        """A backslash-separated list of numbers; empty if absent or malformed."""
        try:
            return tuple(float(part) for part in self.text(name).split("\\"))
        except ValueError:
            return ()


def is_ignored(name: str) -> bool:
    """Whether a file of this name is passed over: hidden, or a DICOM directory."""
    return name.startswith(".") or name.upper() == "DICOMDIR"


def read_dicom_header(path: Path) -> DicomHeader:
    """Walk over a DICOM file up to its pixel data.

    Raises:
        NotDicomError: another kind of file.
        OSError: it cannot be opened.
    """
    with path.open("rb") as stream:
        start = stream.read(132)
        has_prefix = start[128:] == b"DICM"
        if not has_prefix and start[:2] not in (b"\x02\x00", b"\x08\x00"):
            raise NotDicomError("no DICOM prefix")
        stream.seek(132 if has_prefix else 0)
        try:
            header = _walk(stream)
        except (struct.error, zlib.error, ValueError) as error:
            if not has_prefix:
                raise NotDicomError(str(error)) from error
            return DicomHeader({}, "truncated")
    if not has_prefix and "sop_class" not in header.values:
        raise NotDicomError("no DICOM prefix and no object class")
    return header


def _walk(stream: BinaryIO) -> DicomHeader:
    syntax = _file_meta(stream)
    if syntax == _DEFLATED:
        stream = io.BytesIO(zlib.decompress(stream.read(), -zlib.MAX_WBITS))
    order = ">" if syntax == _EXPLICIT_BIG else "<"
    explicit = syntax != _IMPLICIT_LITTLE if syntax else _looks_explicit(stream)
    reader = _Elements(stream, order, explicit)
    values: dict[str, str | int] = {}
    pixels: Literal["present", "absent", "truncated"] = "absent"
    while (element := reader.next()) is not None:
        tag, length, vr = element
        if tag in _PIXELS:
            pixels = "present" if _is_complete(reader, length, values) else "truncated"
            break
        name, kind = _WANTED.get(tag, ("", ""))
        if name and length <= _LONGEST_VALUE:
            raw = stream.read(length)
            if len(raw) < length:
                raise ValueError("ends within an element")
            if kind == "u" and length >= 2:
                values[name] = struct.unpack_from(order + "H", raw)[0]
            elif kind == "s":
                values[name] = raw.decode("latin-1").strip(" \0")
        else:
            reader.skip(length, vr)
    if pixels == "absent" and ("rows" in values or reader.count == 0):
        pixels = "truncated"  # an image without its pixels, or nothing at all
    return DicomHeader(values, pixels)


def _file_meta(stream: BinaryIO) -> str:
    """Transfer syntax from the file meta group, empty if there is no such group."""
    syntax = ""
    reader = _Elements(stream, "<", explicit=True)
    while True:
        start = stream.tell()
        if stream.read(2) != b"\x02\x00":
            stream.seek(start)
            return syntax
        stream.seek(start)
        element = reader.next()
        if element is None:
            return syntax
        tag, length, vr = element
        if tag == 0x00020010:
            syntax = stream.read(length).decode("latin-1").strip(" \0")
        else:
            reader.skip(length, vr)


def _looks_explicit(stream: BinaryIO) -> bool:
    start = stream.tell()
    vr = stream.read(6)[4:6]
    stream.seek(start)
    return vr.isalpha() and vr.isupper()


class _Elements:
    """Steps over the elements of a data set."""

    def __init__(self, stream: BinaryIO, order: str, explicit: bool) -> None:
        self.stream, self.order, self.explicit = stream, order, explicit
        self.count = 0
        here = stream.tell()
        self.size = stream.seek(0, io.SEEK_END)
        stream.seek(here)

    def next(self) -> tuple[int, int, bytes] | None:
        """Tag, length and VR of the next element, the stream then at its value."""
        head = self.stream.read(8)
        if not head:
            return None
        if len(head) < 8:
            raise ValueError("ends within an element")
        self.count += 1
        group, element = struct.unpack_from(self.order + "HH", head)
        tag = group << 16 | element
        if group == 0xFFFE or not self.explicit:
            return tag, struct.unpack_from(self.order + "I", head, 4)[0], b"UN"
        vr = head[4:6]
        if vr in _LONG_VRS:
            return tag, struct.unpack(self.order + "I", self.stream.read(4))[0], vr
        if not vr.isalpha():
            raise ValueError("not a DICOM element")
        return tag, struct.unpack_from(self.order + "H", head, 6)[0], vr

    def skip(self, length: int, vr: bytes, depth: int = 0) -> None:
        """Step over a value, which may be a sequence of unknown length."""
        if length != _UNDEFINED:
            if self.stream.tell() + length > self.size:
                raise ValueError("ends within an element")
            self.stream.seek(length, io.SEEK_CUR)
            return
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        # a sequence of unknown type is written implicitly, whatever the file's syntax
        inner = self
        if vr == b"UN" and self.explicit:
            inner = _Elements(self.stream, "<", explicit=False)
        while (element := inner.next()) is not None:
            tag, item_length, _ = element
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM:
                raise ValueError("not a sequence item")
            if item_length != _UNDEFINED:
                inner.skip(item_length, b"UN")
                continue
            while (element := inner.next()) is not None and element[0] != _ITEM_END:
                inner.skip(element[1], element[2], depth + 1)


def _is_complete(reader: _Elements, length: int, values: dict[str, str | int]) -> bool:
    """Whether the pixel data reach as far as they should."""
    if length != _UNDEFINED:
        try:
            bits = int(values["bits_allocated"]) * int(values.get("samples", 1))
            pixels = int(values["rows"]) * int(values["columns"]) * int(values.get("frames") or 1)
        except (KeyError, ValueError):
            bits = pixels = 0
        if values.get("photometric", "").__str__().startswith("YBR_"):
            bits = 0  # colour may be stored at half the width
        return reader.stream.tell() + length <= reader.size and length * 8 >= bits * pixels
    try:
        reader.skip(length, b"OB")
    except ValueError:
        return False
    end = reader.stream.tell()
    reader.stream.seek(max(0, end - 8))
    return reader.stream.read(4) == struct.pack(reader.order + "HH", 0xFFFE, 0xE0DD)
