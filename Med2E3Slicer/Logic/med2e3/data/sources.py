"""Which volumes a folder of training data holds.

Knows folders and names: volume files, folders of pictures, folders of DICOM files.  Decodes
nothing; what is found here may still be refused when it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from med2e3.data.keys import volume_key
from med2e3.data.pictures import picture_files
from med2e3.data.refusals import Refusal, Refuse
from med2e3.errors import InputError
from med2e3.volume import VOLUME_SUFFIXES, dicom_series

Kind = Literal["file", "pictures", "dicom"]
#: files that lie beside volumes or belong to them; all others are looked into for DICOM
_OTHER_SUFFIXES = (
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".pdf", ".xml", ".html", ".yaml", ".yml",
    ".log", ".py", ".gz", ".raw", ".zraw",
)  # fmt: skip
_NAMED = 3


@dataclass(frozen=True)
class TrainingSource:
    """One volume below a folder.

    Args:
        path: a file, or the folder that holds its files.
        name: its path below the folder, with ``/``; the folder's own name for the folder itself.
        kind: what it is.
        key: of the volume in a store.
    """

    path: Path
    name: str
    kind: Kind
    key: str

    def signature(self) -> str:
        """Checksum of names, sizes and times of its files, to see later if it was changed."""
        entries = [self.path] if self.kind == "file" else sorted(self.path.iterdir())
        stats = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
        rows = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def find_training_sources(
    folder: Path, *, prefix: str = "", refuse: Refuse
) -> list[TrainingSource]:
    """All volumes below a folder, sorted by key.

    Every NIfTI, NRRD, MetaImage and ``.npy`` file is a volume, and so is every folder that directly
    holds pictures or DICOM files.  Names that begin with a dot are passed over.

    Args:
        folder: a folder.
        prefix: put before every key, to tell folders apart.
        refuse: gets each volume whose key another one has already, and files of unknown kind.

    Raises:
        InputError: when a folder cannot be read.
    """
    found: dict[str, TrainingSource] = {}
    for path, kind in _walk(folder, refuse):
        name = path.relative_to(folder).as_posix()
        name = folder.resolve().name if name == "." else name
        key = volume_key(f"{prefix}/{name}")
        source = TrainingSource(path, name, kind, key)
        other = found.setdefault(key, source)
        if other is not source:
            refuse(Refusal(name, f"It would have the same name as {other.name!r} in the store."))
    return [found[key] for key in sorted(found)]


def _walk(folder: Path, refuse: Refuse) -> Iterator[tuple[Path, Kind]]:
    for place, folders, files in os.walk(folder, onerror=_cannot_read):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(place)
        visible = sorted(name for name in files if not name.startswith("."))
        volumes = [name for name in visible if name.lower().endswith(VOLUME_SUFFIXES)]
        for name in volumes:
            yield here / name, "file"
        pictures = picture_files(visible)
        if pictures:
            yield here, "pictures"
            continue
        rest = [
            name
            for name in visible
            if name not in volumes and not name.lower().endswith(_OTHER_SUFFIXES)
        ]
        if any(dicom_series(here / name) is not None for name in rest):
            yield here, "dicom"
        elif rest:
            names = ", ".join(map(repr, rest[:_NAMED])) + (", ..." if len(rest) > _NAMED else "")
            reason = f"{len(rest)} file(s) are of no kind that is known here ({names})."
            refuse(Refusal(here.relative_to(folder).as_posix(), reason))


def _cannot_read(error: OSError) -> None:
    raise InputError(
        f"The folder cannot be read: {error.strerror or error}.",
        hint="Check that it exists and that you may read it.",
        detail=repr(error),
    ) from error
