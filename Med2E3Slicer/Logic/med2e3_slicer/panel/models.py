"""The models on this computer that can be chosen.

Knows their folders' own descriptions; loads nothing.
"""

from __future__ import annotations

from pathlib import Path

from slicer.i18n import tr as _

from med2e3.errors import Med2E3Error
from med2e3.model_info import read_model_info
from med2e3.sizes import human_bytes
from med2e3_slicer.model_names import EMBEDDED, EMBEDDED_FOLDER

from .ports import ModelChoice


def installed_models() -> tuple[ModelChoice, ...]:
    """The installed models, the largest first; the small one that ships with the module last."""
    choices = sorted(filter(None, map(_described, _downloaded())), key=lambda pair: -pair[0])
    shipped = _described((EMBEDDED, EMBEDDED_FOLDER))
    return tuple(choice for _size, choice in [*choices, *([shipped] if shipped else [])])


def _downloaded() -> list[tuple[str, Path]]:
    try:
        from med2e3.weights import Store, store_dir  # noqa: PLC0415
    except ImportError:  # it needs a package that Slicer's Python may lack
        return []
    store = Store(store_dir())
    return [(name, store.model(name)) for name in store.installed_names()]


def _described(named: tuple[str, Path]) -> tuple[int, ModelChoice] | None:
    name, folder = named
    try:
        info = read_model_info(folder)
    except Med2E3Error:
        return None
    title = _("{title} ({size})").format(title=info.title, size=human_bytes(info.num_bytes))
    return info.num_bytes, ModelChoice(name, title, info.remark)
