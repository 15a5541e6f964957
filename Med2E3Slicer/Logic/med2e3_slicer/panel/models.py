"""The models on this computer that can be chosen.

Knows their folders' own descriptions; loads nothing.
"""

from __future__ import annotations

from pathlib import Path

from slicer.i18n import tr as _

from med2e3.errors import Med2E3Error
from med2e3.model_info import read_model_info
from med2e3.sizes import human_bytes
from med2e3.weights import EMBEDDED_NAME, Store, embedded_model_dir, store_dir

from .ports import ModelChoice


def installed_models() -> tuple[ModelChoice, ...]:
    """The installed models, the largest first; the small one that ships with the module last."""
    store = Store(store_dir())
    found = [(name, store.model(name)) for name in store.installed_names()]
    choices = sorted(filter(None, map(_described, found)), key=lambda pair: -pair[0])
    shipped = _described((EMBEDDED_NAME, embedded_model_dir()))
    return tuple(choice for _size, choice in [*choices, *([shipped] if shipped else [])])


def _described(named: tuple[str, Path]) -> tuple[int, ModelChoice] | None:
    name, folder = named
    try:
        info = read_model_info(folder)
    except Med2E3Error:
        return None
    title = _("{title} ({size})").format(title=info.title, size=human_bytes(info.num_bytes))
    return info.num_bytes, ModelChoice(name, title, info.remark)
