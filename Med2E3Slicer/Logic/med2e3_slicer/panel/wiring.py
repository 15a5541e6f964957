"""Joins the panel with the rest of the extension."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import slicer

from med2e3_slicer.export import Exporter as FileExporter
from med2e3_slicer.logic import Med2E3Logic

from .asking import LogicAsking
from .desk import SlicerDesk
from .display import StripDisplay
from .ports import Asking, Desk, Display, Exporter, Records, Volumes
from .volume_notes import NodeNotes


@dataclass(frozen=True)
class Parts:
    """The rest of the extension, as the panel uses it."""

    asking: Asking
    records: Records
    display: Display
    exporter: Exporter
    desk: Desk
    volumes: Volumes


def real_parts(logic: Med2E3Logic, set_up: Callable[[], None]) -> Parts:
    """The real parts for the present scene.

    Args:
        logic: of the module.
        set_up: opens the page that installs the engine and the models.
    """
    return Parts(
        LogicAsking(logic),
        logic.store,
        StripDisplay(),
        FileExporter(slicer.mrmlScene),
        SlicerDesk(set_up),
        NodeNotes(),
    )
