"""What is said of a volume below its selector, before anything runs."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from med2e3_slicer.volumes import PreparationOptions, examine

from .ports import VolumeNotes


class NodeNotes:
    """The real :class:`~.ports.Volumes`."""

    def notes(self, volume: Any, preparation: PreparationOptions) -> VolumeNotes:
        """Size and spacing, warnings, and whether it can be used."""
        found = examine(volume, preparation)
        return VolumeNotes(
            _summary(volume), found.warnings, "" if found.refusal is None else str(found.refusal)
        )


def _summary(volume: Any) -> str:
    """``512 × 512 × 139 · 0.7 × 0.7 × 2.5 mm``: voxels and their size, along I, J, K."""
    image = volume.GetImageData()
    if image is None:
        return ""
    i, j, k = image.GetDimensions()
    spacing = " × ".join(f"{value:.3g}" for value in volume.GetSpacing())
    return _("{i} × {j} × {k} · {spacing} mm").format(i=i, j=j, k=k, spacing=spacing)


def usual_volume() -> Any:
    """The volume that the slice views show, else the scene's first one; None without any.

    Label maps and colour images are volumes to MRML, too, and are left out.
    """
    selection = slicer.app.applicationLogic().GetSelectionNode()
    active = selection.GetActiveVolumeID() if selection is not None else None
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    plain = [node for node in volumes if node.GetClassName() == "vtkMRMLScalarVolumeNode"]
    return next((node for node in plain if node.GetID() == active), plain[0] if plain else None)
