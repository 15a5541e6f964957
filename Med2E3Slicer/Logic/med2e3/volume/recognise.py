"""Tells which files and folders hold a volume, without decoding one.

Knows file names and DICOM headers. Does not judge images: what is recognised may still be refused
by the reader.
"""

from __future__ import annotations

from pathlib import Path

from med2e3.errors import VolumeError
from med2e3.volume.dicom import find_stack
from med2e3.volume.dicom_header import (
    DICOM_SUFFIXES,
    NotDicomError,
    is_ignored,
    read_dicom_header,
)
from med2e3.volume.dicom_series import sort_and_check


def dicom_series(path: Path) -> str | None:
    """The identifier of the series a DICOM file belongs to.

    It is there to be compared, never to be shown or kept.

    Returns:
        Empty if the file does not say; ``None`` if the file is not DICOM or cannot be opened.
    """
    if is_ignored(path.name):
        return None
    try:
        return read_dicom_header(path).text("series_uid")
    except (NotDicomError, OSError):
        # a damaged file is taken for DICOM by its name, so that the damage is told
        return "" if path.suffix.lower() in DICOM_SUFFIXES else None


def is_one_dicom_volume(folder: Path) -> bool:
    """Whether the DICOM files in a folder and its subfolders form one volume, without copies."""
    try:
        stack, _ = find_stack(folder)
        slices, _, _ = sort_and_check(stack)
    except VolumeError:
        return False
    return len(slices) == len(stack.slices)
