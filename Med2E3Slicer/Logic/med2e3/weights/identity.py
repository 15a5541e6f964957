"""Which model this is: name, revision and one checksum over its weights.

Knows model folders and their manifests; does not know how a model is loaded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from med2e3 import __version__
from med2e3.errors import CheckpointError, InputError
from med2e3.model_info import read_model_info
from med2e3.weights.digest import sha256_of
from med2e3.weights.manifest import Manifest, read_manifest, write_manifest
from med2e3.weights.resolve import EMBEDDED_NAME, embedded_model_dir


@dataclass(frozen=True)
class ModelIdentity:
    """What a record says about the model that answered.

    Attributes:
        name: of an installed or the embedded model; for another folder the title that its
            config.json gives, never the folder's own name, which may tell of a person.
        revision: commit of the checkpoint it was made from; ``med2e3 <version>`` for the
            embedded model; None when unknown.
        sha256: with one weights file its SHA-256 (as ``sha256sum`` gives it); with several the
            SHA-256 of the lines ``<sha256>  <file name>\\n``, sorted by file name.
    """

    name: str
    revision: str | None
    sha256: str


def model_identity(folder: Path) -> ModelIdentity:
    """Name, revision and checksum of the model in ``folder``.

    The checksums of an installed model's files are in its manifest and are taken from there
    while size and time of the files are unchanged; otherwise the files are read (and the result
    kept in the manifest where it can be written).

    Args:
        folder: as :func:`med2e3.weights.resolve_model` gives it.

    Raises:
        InputError: the folder holds no ``*.safetensors``.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise InputError(
            f"The folder {folder.name!r} holds no weights (*.safetensors).",
            hint="Give the folder that `med2e3 models convert` wrote.",
        )
    manifest = read_manifest(folder)
    checksums = {path.name: _checksum(path, manifest) for path in weights}
    if len(checksums) == 1:
        combined = next(iter(checksums.values()))
    else:
        lines = "".join(f"{checksum}  {name}\n" for name, checksum in checksums.items())
        combined = hashlib.sha256(lines.encode()).hexdigest()
    if manifest is not None:
        _remember(folder, manifest, checksums)
        if manifest.origins:
            return ModelIdentity(manifest.name, manifest.revision, combined)
    if folder.resolve() == embedded_model_dir().resolve():
        return ModelIdentity(EMBEDDED_NAME, f"med2e3 {__version__}", combined)
    return ModelIdentity(_title(folder), None, combined)


def _title(folder: Path) -> str:
    try:
        return read_model_info(folder).title
    except CheckpointError:
        return "local model"


def _checksum(path: Path, manifest: Manifest | None) -> str:
    """SHA-256 of a weights file, from the manifest when the file did not change since."""
    for known in (manifest.hashed, manifest.files) if manifest is not None else ():
        if (entry := known.get(path.name)) and _same_file(path, entry):
            return str(entry["sha256"])
    return sha256_of(path)


def _same_file(path: Path, entry: dict[str, Any]) -> bool:
    stat = path.stat()
    return bool(stat.st_size == entry["size"] and stat.st_mtime_ns == entry["mtime_ns"])


def _remember(folder: Path, manifest: Manifest, checksums: dict[str, str]) -> None:
    """Keep checksums of files whose time changed since the manifest was written."""
    hashed = {}
    for name, checksum in checksums.items():
        installed = manifest.files.get(name)
        if installed is None or not _same_file(folder / name, installed):
            stat = (folder / name).stat()
            hashed[name] = {
                "size": stat.st_size,
                "mtime_ns": stat.st_mtime_ns,
                "sha256": checksum,
            }
    if hashed == manifest.hashed:
        return
    try:
        write_manifest(folder, replace(manifest, hashed=hashed))
    except InputError:
        # A folder that cannot be written (a department's shared disk): the checksum is right
        # all the same, it is only measured again the next time.
        return
