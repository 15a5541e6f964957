"""Writes an exchange as a file for people.

Knows which format a file name asks for, and where the pictures come from: the volume in the
scene, if it still is what the model saw. Does not know what a document says or looks like.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from slicer.i18n import tr as _

from med2e3.atomic import write_bytes
from med2e3.errors import InputError, Med2E3Error
from med2e3_slicer.export.content import content_of
from med2e3_slicer.export.docx import as_docx
from med2e3_slicer.export.pdf import as_pdf
from med2e3_slicer.export.pictures import key_slices, score_bar
from med2e3_slicer.export.text import as_text
from med2e3_slicer.records import StoredExchange
from med2e3_slicer.volumes import repeat_model_input
from med2e3_slicer.volumes.node import view_volume

SUFFIXES = (".txt", ".docx", ".pdf")

Voxels = npt.NDArray[np.floating[Any]]


class Exporter:
    """Exports the exchanges of one scene.

    Args:
        scene: a ``vtkMRMLScene``.
        known_voxels: gives the model input's voxels of an exchange where somebody still has them,
            else ``None``; spares preparing the volume again.
    """

    def __init__(
        self, scene: Any, known_voxels: Callable[[StoredExchange], Voxels | None] | None = None
    ) -> None:
        self._scene = scene
        self._known_voxels = known_voxels

    def save(self, stored: StoredExchange, path: Path) -> None:
        """Write TXT, DOCX or PDF, by the path's suffix; the notice is always in it.

        Pictures of slices are left out where the volume is gone or has changed.

        Raises:
            InputError: for another suffix, or a file that cannot be written.
        """
        check_suffix(path)
        with_pictures = path.suffix.lower() != ".txt" and stored.exchange.scores
        save_document(path, stored, self._voxels(stored) if with_pictures else None)

    def plain_text(self, stored: StoredExchange) -> str:
        """The same as text, for the clipboard."""
        return plain_text(stored)

    def _voxels(self, stored: StoredExchange) -> Voxels | None:
        known = self._known_voxels(stored) if self._known_voxels else None
        if known is not None:
            return known
        node = stored.volume_id and self._scene.GetNodeByID(stored.volume_id)
        if not node:
            return None
        try:
            return repeat_model_input(view_volume(node), stored.exchange).voxels
        except Med2E3Error as error:
            logging.info("Exported without pictures of slices: %s", error.sentence)
            return None


def plain_text(stored: StoredExchange) -> str:
    """An exchange as plain text, with the notice."""
    return as_text(content_of(stored))


def save_document(path: Path, stored: StoredExchange, voxels: Voxels | None = None) -> None:
    """Write an exchange, whole or not at all.

    Args:
        path: ends in ``.txt``, ``.docx`` or ``.pdf``.
        stored: the exchange.
        voxels: the model input it was asked about, (slices, rows, columns), 0 to 1; without it
            there are no pictures of slices.

    Raises:
        InputError: for another suffix, another volume's voxels, or a file that cannot be written.
    """
    check_suffix(path)
    content = content_of(stored)
    suffix = path.suffix.lower()
    if suffix == ".txt":
        # with the mark that tells Windows' programs of UTF-8
        write_bytes(path, as_text(content).encode("utf-8-sig", "replace"))
        return
    bar = score_bar(stored.exchange)
    keys = () if voxels is None or bar is None else key_slices(stored.exchange, voxels)
    make = as_docx if suffix == ".docx" else as_pdf
    write_bytes(path, make(content, bar, keys))


def check_suffix(path: Path) -> None:
    """Refuse a file name whose format cannot be written.

    Raises:
        InputError: for a suffix that is not in :data:`SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            _("A report cannot be written as {suffix}.").format(
                suffix=path.suffix or _("a file without suffix")
            ),
            hint=_("End the file name in one of {suffixes}.").format(suffixes=", ".join(SUFFIXES)),
        )
