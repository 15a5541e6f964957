"""Public models on this computer, as parts for a Med-2E3: what they are and what they hold.

Knows folders, names in the hub's cache, and files of sizes for a part that begins at random.
Nothing is downloaded and no code of theirs is run.  Knows nothing of how parts are put together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from torch import Tensor
from transformers import PretrainedConfig

from med2e3.checkpoint.files import read_json, read_weights
from med2e3.checkpoint.keys import SOURCE_RULES, Rules
from med2e3.checkpoint.variant import (
    language_config,
    question_sizes,
    vision_2d_fields,
    vision_3d_sizes,
)
from med2e3.errors import InputError

#: the language models whose wording is known
LANGUAGE_FAMILIES = ("phi3", "phi", "llama", "qwen2")

#: model type of a folder → (kind of slice encoder, whether it is one half of a pair)
_SLICE_ENCODERS: dict[str, tuple[str, bool]] = {
    "siglip": ("siglip", True),
    "siglip_vision_model": ("siglip", False),
    "clip": ("clip", True),
    "clip_vision_model": ("clip", False),
    "dinov2": ("dinov2", False),
}


@dataclass(frozen=True)
class Source:
    """One part.

    Args:
        folder: where its files are; None when it begins at random.
        config: of the part, or of both encoders of M3D-CLIP (``vision_3d_config`` and
            ``question_config``).
        kind: a key of :data:`~med2e3.checkpoint.keys.SOURCE_RULES`.
        weights: by their own names; empty when the part begins at random.
    """

    folder: Path | None
    config: Any
    kind: str
    weights: dict[str, Tensor]

    @property
    def rules(self) -> Rules:
        """From the part's names to ours."""
        return SOURCE_RULES[self.kind]


def locate(name: str) -> Path:
    """A folder, a file of sizes, or a model that lies in the hub's cache.

    Args:
        name: a path, or a name such as ``microsoft/Phi-3-mini-128k-instruct``.

    Raises:
        InputError: when there is nothing.
    """
    path = Path(name).expanduser()
    if path.exists():
        return path
    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        shown = name if len(path.parts) <= 2 and not path.is_absolute() else path.name
        raise InputError(
            f"There is no folder {shown!r}, and no model of this name was downloaded before.",
            hint="Give a folder, or first download the model with: hf download NAME",
            detail=str(error),
        ) from error


def language_source(name: str) -> Source:
    """A language model.

    Raises:
        InputError: for one whose wording is not known, or a name that leads nowhere.
        CheckpointError: for files that cannot be read.
    """
    folder, values = _open(name)
    _known(values, LANGUAGE_FAMILIES, "language models")
    config: PretrainedConfig = language_config(values)
    return Source(folder, config, "language", read_weights(folder) if folder else {})


def slice_source(name: str) -> Source:
    """A slice encoder, or a pair of image and text encoder of which the image's half is taken."""
    folder, values = _open(name)
    _known(values, tuple(_SLICE_ENCODERS), "slice encoders")
    kind, is_pair = _SLICE_ENCODERS[values["model_type"]]
    own = values.get("vision_config") or {} if is_pair else values
    return Source(folder, vision_2d_fields(own, kind), kind, read_weights(folder) if folder else {})


def question_source(name: str) -> Source:
    """A BERT, with or without the heads of its pre-training."""
    folder, values = _open(name)
    _known(values, ("bert",), "question encoders")
    plain = {k: v for k, v in values.items() if k not in ("auto_map", "_name_or_path")}
    return Source(folder, plain, "bert", read_weights(folder) if folder else {})


def volume_source(name: str) -> Source:
    """M3D-CLIP, as published or as this software trained it: the 3D and the question encoder."""
    folder, values = _open(name)
    if folder is None:
        values = {"model_type": "m3d_clip_pair"} | values
    _known(values, ("m3d_clip", "m3d_clip_pair"), "3D encoders")
    kind: str = values["model_type"]
    weights = read_weights(folder) if folder else {}
    if kind == "m3d_clip":
        pair = {
            "vision_3d_config": vision_3d_sizes(values),
            "question_config": question_sizes(weights),
        }
    else:
        names = ("vision_3d_config", "question_config")
        pair = {key: dict(values.get(key) or {}) for key in names}
    return Source(folder, pair, kind, weights)


def _open(name: str) -> tuple[Path | None, dict[str, Any]]:
    """The folder and its configuration; without a folder for a file of sizes."""
    path = locate(name)
    if path.is_dir():
        return path, read_json(path / "config.json")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name!r} is no file of sizes.", detail=repr(error)) from error
    if not isinstance(values, dict):
        raise InputError(f"{path.name!r} holds no sizes.")
    return None, values


def _known(values: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    kind = values.get("model_type")
    if kind not in known:
        raise InputError(
            f"A model of type {kind!r} cannot be used here.",
            hint=f"Known {what}: {', '.join(known)}.",
        )
