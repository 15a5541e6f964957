"""Which volumes a folder holds.

Knows file names and DICOM's first bytes; opens no images.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from med2e3.errors import InputError

_VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".npy")
_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_DICOM_MARK = b"DICM"
_DICOM_MARK_AT = 128


@dataclass(frozen=True)
class Source:
    """One volume of a folder.

    Args:
        path: a file, or a folder of DICOM files.
        name: its path below the folder, with ``/``; the folder's own name for the folder itself.
    """

    path: Path
    name: str


def find_volumes(folder: Path) -> list[Source]:
    """All volumes below a folder, sorted by name.

    Every NIfTI, NRRD, MetaImage and ``.npy`` file is a volume, and so is every folder that
    directly holds DICOM files.  Names that begin with a dot are passed over.

    Raises:
        InputError: when a folder cannot be read.
    """
    found = []
    for place, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(place)
        visible = sorted(name for name in files if not name.startswith("."))
        volumes = [name for name in visible if name.lower().endswith(_VOLUME_SUFFIXES)]
        found += [_source(here / name, folder) for name in volumes]
        if _holds_dicom(here / name for name in visible if name not in volumes):
            found.append(_source(here, folder))
    return sorted(found, key=lambda source: source.name)


def _refuse(error: OSError) -> None:
    raise InputError(
        f"The folder cannot be read: {error.strerror or error}.",
        hint="Check that it exists and that you may read it.",
        detail=repr(error),
    ) from error


def _source(path: Path, folder: Path) -> Source:
    relative = path.relative_to(folder).as_posix()
    return Source(path, relative if relative != "." else folder.resolve().name)


def _holds_dicom(files: Iterable[Path]) -> bool:
    return any(True for path in files if _is_dicom(path))


def _is_dicom(path: Path) -> bool:
    if path.name.upper() == "DICOMDIR":
        return False
    if path.suffix.lower() in _DICOM_SUFFIXES:
        return True
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(_DICOM_MARK_AT + len(_DICOM_MARK))[_DICOM_MARK_AT:] == _DICOM_MARK
    except OSError:
        return False


def signature(path: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of a volume's files, to see later whether it was changed."""
    return [
        (file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(_files(path))
    ]


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (entry for entry in path.iterdir() if entry.is_file())
    else:
        yield path
