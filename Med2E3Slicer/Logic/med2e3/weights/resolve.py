"""From what a person calls a model to the folder that holds it.

Knows the embedded model, the store and plain folders; does not open any weights.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import med2e3
from med2e3.errors import CheckpointError, InputError
from med2e3.weights.catalogue import load_catalogue
from med2e3.weights.store import Store, store_dir

#: name of the small model that ships with the software
EMBEDDED_NAME = "embedded"
_EMBEDDED_FOLDER = "Med2E3-embedded"
#: characters of a name that a sentence repeats
_LONGEST_NAME = 80


def embedded_model_dir() -> Path:
    """Folder of the embedded model: inside an installed package, or beside a checkout's."""
    package = Path(med2e3.__file__).resolve().parent
    in_wheel = package / "_embedded_models" / _EMBEDDED_FOLDER
    if in_wheel.is_dir():
        return in_wheel
    return package.parents[1] / "Resources" / "Models" / _EMBEDDED_FOLDER


def resolve_model(name_or_dir: str) -> Path:
    """The folder of a model.

    Args:
        name_or_dir: ``embedded``, the name of an installed model, or a model folder.

    Raises:
        CheckpointError: a folder in the published layout, which must be converted first.
        InputError: no such model; the sentence lists what there is.
    """
    if name_or_dir == EMBEDDED_NAME:
        folder = embedded_model_dir()
        if not (folder / "config.json").is_file():
            raise InputError(
                "The embedded model is missing from this installation.",
                hint="Install the software again.",
            )
        return folder
    store = Store(store_dir())
    if name_or_dir in store.installed_names():
        return store.model(name_or_dir)
    # a "~" of nobody known here; a name too long for a folder
    with suppress(RuntimeError, OSError):
        folder = Path(name_or_dir).expanduser()
        if folder.is_dir():
            return _model_folder(folder)
    catalogue = load_catalogue()
    if name_or_dir in catalogue:
        raise InputError(
            f"The model {name_or_dir!r} is not installed.",
            hint=f"Run `med2e3 models download {name_or_dir}`.",
        )
    known = ", ".join([EMBEDDED_NAME, *store.installed_names()])
    more = ", ".join(name for name in catalogue if not store.is_installed(name))
    name = Path(name_or_dir).name
    if len(name) > _LONGEST_NAME:
        name = name[:_LONGEST_NAME] + "..."
    raise InputError(
        f"There is no model or folder {name!r}; installed: {known}.",
        hint=f"To download: {more}." if more else "See `med2e3 models list`.",
    )


def is_published_layout(folder: Path) -> bool:
    """Whether a folder is laid out as the authors' code saves a checkpoint."""
    return (folder / "args" / "config.json").is_file() or (
        (folder / "llm").is_dir() and (folder / "vision3d_model").is_dir()
    )


def _model_folder(folder: Path) -> Path:
    name = folder.resolve().name
    if is_published_layout(folder):
        raise CheckpointError(
            f"The folder {name!r} is a checkpoint as published, which is not loaded directly.",
            hint="Run `med2e3 models convert` on it once and use the folder that this writes.",
        )
    if not (folder / "config.json").is_file():
        raise InputError(
            f"The folder {name!r} is not a model: it has no config.json.",
            hint="Give a folder written by `med2e3 models convert`, or a name from "
            "`med2e3 models list`.",
        )
    return folder
