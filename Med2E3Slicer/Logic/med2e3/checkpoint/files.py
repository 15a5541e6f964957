"""Reading weight files without running anything that is in them.

Pickled files are opened with ``weights_only=True`` and mapped, not copied, into memory.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from med2e3.errors import CheckpointError

_PICKLE = b"\x80"  # first byte of every pickle since protocol 2


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        CheckpointError: when the file is missing or is no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"The checkpoint has no {path.parent.name}/{path.name}.",
            hint="Check that the folder is complete.",
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path.parent.name}/{path.name} of the checkpoint cannot be read.", detail=str(error)
        ) from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path.parent.name}/{path.name} of the checkpoint is no object.")
    return value


def read_weights(folder: Path, stem: str = "pytorch_model") -> dict[str, Tensor]:
    """All weights of one part, by their published names.

    Args:
        folder: holds ``<stem>.bin``, ``model.safetensors``, or an index file of several.
        stem: name of the pickled file without its suffix.

    Raises:
        CheckpointError: when nothing is there, a file is broken, or a pickled file holds more
            than tensors.
    """
    weights: dict[str, Tensor] = {}
    for path in _weight_files(folder, stem):
        weights |= _load_safe(path) if path.suffix == ".safetensors" else _load_pickled(path)
    return weights


def _weight_files(folder: Path, stem: str) -> list[Path]:
    safe_stem = "model" if stem == "pytorch_model" else stem
    for name in (f"{safe_stem}.safetensors", f"{stem}.bin"):
        if (folder / name).is_file():
            return [folder / name]
        if (folder / f"{name}.index.json").is_file():
            index = read_json(folder / f"{name}.index.json")
            return [folder / part for part in sorted(set(index["weight_map"].values()))]
    where = f"weights in {folder.name}/" if stem == "pytorch_model" else f"{stem} weights"
    raise CheckpointError(
        f"The checkpoint has no {where}.",
        hint="Check that the folder is complete.",
        detail=f"expected {stem}.bin or {safe_stem}.safetensors",
    )


def _load_safe(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _broken(path, error) from error


def _load_pickled(path: Path) -> dict[str, Tensor]:
    where = f"{path.parent.name}/{path.name}"
    try:
        is_zip = _check_container(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{where} holds more than weights and was not opened, since it could run code.",
            hint="Get the file from its publisher.",
            detail=str(error),
        ) from error
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise _broken(path, error) from error
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise CheckpointError(f"{where} is no table of named tensors.")
    return loaded


def _check_container(path: Path) -> bool:
    """Whether the file is a zip archive (torch's format since 1.6), whole if it is one.

    torch does not compare the archive's checksums, so a damaged file would be read silently.

    Raises:
        zipfile.BadZipFile: when a checksum differs.
        CheckpointError: when the file is neither an archive nor a pickle.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
        return True
    with path.open("rb") as file:
        first = file.read(1)
    if first not in (_PICKLE, b"", b"P"):  # a truncated archive still begins with PK
        raise CheckpointError(
            f"{path.parent.name}/{path.name} is no file of weights.",
            hint="Download it again; cloning with git needs Git LFS.",
        )
    return False


def _broken(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path.parent.name}/{path.name} is broken or incomplete.",
        hint="Download it again.",
        detail=str(error),
    )
