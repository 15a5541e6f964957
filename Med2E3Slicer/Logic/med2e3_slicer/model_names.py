"""What a model is called for people.

Knows the model that ships with the module and the titles of the catalogue; a record holds only a
model's short name. Loads nothing, and needs no engine.
"""

from __future__ import annotations

import functools
import json
from contextlib import suppress
from pathlib import Path, PurePath

import med2e3
from med2e3.errors import Med2E3Error
from med2e3.model_info import read_model_info

#: short name of the small model that ships with the module
EMBEDDED = "embedded"
#: its folder beside the module's file, as Slicer installs it
EMBEDDED_FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Models" / "Med2E3-embedded"
CATALOGUE = Path(med2e3.__file__).parent / "weights" / "catalogue.json"


def model_title(name: str) -> str:
    """The title of a model by the name in a record; the name itself when nothing else is known."""
    return _titles().get(name) or PurePath(name).name or name


@functools.cache
def _titles() -> dict[str, str]:
    models = json.loads(CATALOGUE.read_text(encoding="utf-8"))["models"]
    titles = {str(model["name"]): str(model["title"]) for model in models}
    with suppress(Med2E3Error):  # a build of the module without it
        titles[EMBEDDED] = read_model_info(EMBEDDED_FOLDER).title
    return titles
