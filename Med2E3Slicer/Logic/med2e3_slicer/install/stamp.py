"""Whether the environment is complete.

Knows the stamp file, which is written last; does not know how an environment is built.
"""

from __future__ import annotations

import json
from enum import Enum

from med2e3.atomic import write_text
from med2e3_slicer.install.places import Places
from med2e3_slicer.install.recipe import Recipe


class EnvironmentState(Enum):
    """What there is of the engine's environment."""

    ABSENT = "absent"
    PARTIAL = "partial"
    OUTDATED = "outdated"
    READY = "ready"


def environment_state(places: Places, recipe: Recipe) -> EnvironmentState:
    """What there is now."""
    try:
        built_from = json.loads(places.stamp.read_text(encoding="utf-8"))["recipe"]
    except (OSError, ValueError, KeyError, TypeError):
        built_from = None
    if built_from is not None and places.python.is_file():
        same = built_from == recipe.digest
        return EnvironmentState.READY if same else EnvironmentState.OUTDATED
    begun = places.environment.exists() or places.cache.exists()
    return EnvironmentState.PARTIAL if begun else EnvironmentState.ABSENT


def write_stamp(places: Places, recipe: Recipe) -> None:
    """Say that the environment is complete.

    Raises:
        InputError: the file cannot be written.
    """
    write_text(places.stamp, json.dumps({"recipe": recipe.digest}))
