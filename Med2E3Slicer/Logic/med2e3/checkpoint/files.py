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
        part = load_file(path) if path.suffix == ".safetensors" else _load_pickled(path)
        weights.update(part)
    return weights


def _weight_files(folder: Path, stem: str) -> list[Path]:
    safe_stem = "model" if stem == "pytorch_model" else stem
    for name in (f"{safe_stem}.safetensors", f"{stem}.bin"):
        if (folder / name).is_file():
            return [folder / name]
        if (folder / f"{name}.index.json").is_file():
            index = read_json(folder / f"{name}.index.json")
            return [folder / part for part in sorted(set(index["weight_map"].values()))]
    raise CheckpointError(
        f"The checkpoint has no weights in {folder.name}/.",
        hint="Check that the folder is complete.",
        detail=f"expected {stem}.bin or {safe_stem}.safetensors",
    )


def _load_pickled(path: Path) -> dict[str, Tensor]:
    where = f"{path.parent.name}/{path.name}"
    try:
        loaded = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{where} holds more than weights and was not opened, since it could run code.",
            hint="Get the file from its publisher.",
            detail=str(error),
        ) from error
    except (OSError, RuntimeError, EOFError, SafetensorError) as error:
        raise CheckpointError(
            f"{where} is broken or incomplete.", hint="Download it again.", detail=str(error)
        ) from error
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise CheckpointError(f"{where} is no table of named tensors.")
    return loaded
