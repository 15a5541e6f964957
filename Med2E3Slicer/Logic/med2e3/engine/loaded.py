"""What is told of a model: whether there is one, its record and its licence.

Knows model folders and the catalogue; loads nothing.
"""

from __future__ import annotations

from pathlib import Path

from med2e3.model_info import read_model_info
from med2e3.record import ModelRecord
from med2e3.weights import EMBEDDED_NAME, load_catalogue, model_identity, resolve_model

#: of the embedded model, which is part of this software
_OWN_LICENCE = "Apache-2.0"


def check_model(model: str) -> None:
    """Refuse what names no model, before anything is begun or ended for it.

    Raises:
        InputError: when there is no model of this name or folder.
        CheckpointError: when the folder holds no Med-2E3 model.
    """
    read_model_info(resolve_model(model))


def model_record(folder: Path) -> ModelRecord:
    """Which model lies in a folder, and what must be said with its answers.

    Raises:
        CheckpointError: when the folder holds no Med-2E3 model.
        InputError: when it holds no weights.
    """
    info = read_model_info(folder)
    identity = model_identity(folder)
    return ModelRecord(
        name=identity.name,
        revision=identity.revision,
        sha256=identity.sha256,
        untrained=info.untrained,
        notice=info.notice,
    )


def licence_of(record: ModelRecord) -> str:
    """The licence of a model's weights; empty when it is not known."""
    if record.name == EMBEDDED_NAME:
        return _OWN_LICENCE
    entry = load_catalogue().get(record.name)
    return entry.licence.name if entry else ""
