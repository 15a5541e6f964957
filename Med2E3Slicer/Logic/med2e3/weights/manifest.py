"""What was installed, written down beside it.

Knows the manifest of a model folder: where the model comes from, and size and SHA-256 of each
of its files. Does not know how files get there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from med2e3.atomic import write_text
from med2e3.errors import WeightsError
from med2e3.weights.digest import sha256_of
from med2e3.weights.store import MANIFEST_NAME

_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Origin:
    """One repository (or folder) that an installed model was made from.

    Attributes:
        repo: repository id on the hub.
        revision: commit, 40 hexadecimal digits; None when the files came from a folder and no
            earlier download tells which commit they belong to.
        files: per path in the repository its ``size``, ``sha256`` and ``git_oid`` (the latter
            None where the hub did not give it).
    """

    repo: str
    revision: str | None
    files: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Manifest:
    """The record of one installation.

    Attributes:
        name: the model's name in the catalogue, or the folder's for a model converted by hand.
        origins: what it was made from; the first one is the checkpoint itself.
        files: per file of the model folder its ``size`` (bytes) and ``sha256``.
        converted: what the conversion reported (tensors, parameters, unused keys, software).
        hashed: measured again after a file's time changed (copied folders), for
            :func:`med2e3.weights.identity.model_identity`; never used to verify.
    """

    name: str
    origins: tuple[Origin, ...]
    files: dict[str, dict[str, Any]]
    converted: dict[str, Any] = field(default_factory=dict)
    hashed: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def revision(self) -> str | None:
        """Commit of the checkpoint that the model was made from, None when unknown."""
        return self.origins[0].revision if self.origins else None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into a model folder, whole or not at all.

    Raises:
        InputError: the folder cannot be written.
    """
    content = {"schema_version": _SCHEMA_VERSION, **asdict(manifest)}
    write_text(folder / MANIFEST_NAME, json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a model folder, None when there is none.

    Raises:
        WeightsError: the file is there and cannot be understood.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("schema_version") != _SCHEMA_VERSION:
            raise ValueError("schema_version")
        origins = tuple(Origin(**origin) for origin in content.pop("origins"))
        return Manifest(origins=origins, **content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsError(
            f"The file {MANIFEST_NAME} of the model {folder.name!r} cannot be understood.",
            hint="Remove the model and download it again.",
            detail=repr(error),
        ) from error


def measure(folder: Path) -> dict[str, dict[str, Any]]:
    """Size, SHA-256 and time of every file of a model folder except the manifest itself."""
    files = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if path.is_file() and relative != MANIFEST_NAME:
            stat = path.stat()
            files[relative] = {
                "size": stat.st_size,
                "sha256": sha256_of(path),
                "mtime_ns": stat.st_mtime_ns,
            }
    return files


def damaged_files(
    folder: Path, manifest: Manifest, *, progress: Callable[[str], None] | None = None
) -> dict[str, str]:
    """Read every file again and compare; give per bad file what is wrong with it.

    Args:
        folder: the model's folder.
        manifest: as written when it was installed.
        progress: called with the name of each file before it is read.
    """
    bad = {}
    for name, expected in sorted(manifest.files.items()):
        if progress is not None:
            progress(name)
        path = folder / name
        try:
            if not path.is_file():
                bad[name] = "is missing"
            elif path.stat().st_size != expected["size"]:
                bad[name] = f"has {path.stat().st_size} bytes instead of {expected['size']}"
            elif sha256_of(path) != expected["sha256"]:
                bad[name] = "has another content than the one installed"
        except OSError as error:
            bad[name] = f"cannot be read ({error.strerror})"
    return bad
