"""What NRRD and MetaImage share: a header of text lines, and voxels in the same or another file.

Does not know what the fields mean.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from med2e3.errors import VolumeError
from med2e3.volume.decoded import cut_short

#: bytes that are searched for the end of a header
LONGEST_HEADER = 1 << 20
NO_ORIGIN = (
    "The file does not tell where in the patient its first voxel lies; positions are counted from "
    "there."
)
#: of zlib: either format, told apart by its first bytes
_ZLIB_OR_GZIP = 47
_CHUNK = 1 << 16


def parse_fields(text: str, separator: str) -> dict[str, str]:
    """Lines ``name separator value``; the separator is a regular expression."""
    pairs = (re.split(separator, line, maxsplit=1) for line in text.splitlines())
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}


def find_data_file(header: Path, name: str) -> Path:
    """The file that a header refers to.

    Raises:
        VolumeError: it is not there.
    """
    data = header.parent / name
    if not data.is_file():
        raise VolumeError(
            "The data file that the header refers to is missing.",
            hint="Keep both files in one folder.",
        )
    return data


def decompressed(path: Path, start: int) -> Iterator[bytes]:
    """The content of zlib or gzip data from a byte on, in pieces, its checksum compared.

    Raises:
        VolumeError: the data are damaged or end early.
    """
    inflate = zlib.decompressobj(_ZLIB_OR_GZIP)
    with path.open("rb") as stream:
        stream.seek(start)
        try:
            while not inflate.eof and (chunk := stream.read(_CHUNK)):
                yield inflate.decompress(chunk)
        except zlib.error as error:
            raise cut_short(str(error)) from error
    if not inflate.eof:
        raise cut_short("the compressed data end early")
