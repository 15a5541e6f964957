"""Which volumes a folder holds.

Knows folders and names; what counts as a volume is known to :mod:`med2e3.volume`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from med2e3.errors import InputError
from med2e3.volume import VOLUME_SUFFIXES, dicom_series, is_one_dicom_volume


@dataclass(frozen=True)
class Source:
    """One volume of a folder.

    Args:
        path: a file, or a folder of DICOM files.
        name: its path below the folder, with ``/``; the folder's own name for the folder itself.
        parts: the folders that hold its files, for DICOM; empty for a file.
    """

    path: Path
    name: str
    parts: tuple[Path, ...] = ()

    def signature(self) -> list[tuple[str, int, int]]:
        """Names, sizes and times of the files, to see later whether the volume was changed."""
        files = [entry for part in self.parts for entry in part.iterdir() if entry.is_file()]
        stats = ((file.name, file.stat()) for file in sorted(files or [self.path]))
        return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def find_volumes(folder: Path) -> list[Source]:
    """All volumes below a folder, sorted by name.

    Every NIfTI, NRRD, MetaImage and ``.npy`` file is a volume, and so is every folder that
    directly holds DICOM files; where a series is spread over several folders, the folder above
    them is.  Names that begin with a dot are passed over.

    Raises:
        InputError: when a folder cannot be read.
    """
    found: list[Source] = []
    series: dict[Path, str] = {}
    for place, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(place)
        visible = sorted(name for name in files if not name.startswith("."))
        volumes = [name for name in visible if name.lower().endswith(VOLUME_SUFFIXES)]
        found += [_source(folder, here / name) for name in volumes]
        uid = _series_of(here / name for name in visible if name not in volumes)
        if uid is not None:
            series[here] = uid
    found += [_source(folder, path, parts) for path, parts in _joined(series).items()]
    return sorted(found, key=lambda source: source.name)


def as_one_volume(folder: Path, sources: list[Source]) -> Source | None:
    """The folder itself as a source, when its DICOM folders together are one volume.

    Such is a CD with a scout and a series in different folders.
    """
    parts = tuple(part for source in sources for part in source.parts)
    if all(source.parts for source in sources) and is_one_dicom_volume(folder):
        return _source(folder, folder, parts)
    return None


def _refuse(error: OSError) -> None:
    raise InputError(
        f"The folder cannot be read: {error.strerror or error}.",
        hint="Check that it exists and that you may read it.",
        detail=repr(error),
    ) from error


def _source(folder: Path, path: Path, parts: tuple[Path, ...] = ()) -> Source:
    relative = path.relative_to(folder).as_posix()
    return Source(path, relative if relative != "." else folder.resolve().name, parts)


def _series_of(files: Iterable[Path]) -> str | None:
    """The series of the first DICOM file; ``None`` where there is none."""
    return next((uid for uid in map(dicom_series, files) if uid is not None), None)


def _joined(series: dict[Path, str]) -> dict[Path, tuple[Path, ...]]:
    """Folders of DICOM volumes and the folders that hold their files."""
    folders: dict[Path, tuple[Path, ...]] = {path: (path,) for path in series}
    for uid in sorted(set(series.values()) - {""}):
        parts = tuple(path for path in series if series[path] == uid)
        above = Path(os.path.commonpath(parts))
        if len(parts) > 1 and is_one_dicom_volume(above):
            folders = {path: own for path, own in folders.items() if path not in parts}
            folders[above] = parts
    return folders
