"""How a volume is prepared, as a person chose it or as a record tells it.

Knows the choices and where a record keeps them; does not prepare anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

from med2e3.errors import InputError
from med2e3.volume import PLANES, SLICE_ORDERS, WindowChoice, parse_window


@dataclass(frozen=True)
class PreparationOptions:
    """The choices of a preparation, the same as the command line's.

    Args:
        window: ``display`` (the node's own window, unless Slicer chose it by itself), a preset's
            name, ``full``, or (center, width) in units of the voxels.
        plane: ``native``, ``axial``, ``sagittal`` or ``coronal``.
        slice_order: ``standard``, ``reversed`` or ``file``.
        trust_spacing: accept a body of unusual size.

    Raises:
        InputError: for a choice that does not exist.
    """

    window: WindowChoice = "display"
    plane: str = "axial"
    slice_order: str = "standard"
    trust_spacing: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.window, str):
            parse_window(self.window)
        if self.plane not in PLANES:
            raise InputError(_("There is no plane called {name}.").format(name=repr(self.plane)))
        if self.slice_order not in SLICE_ORDERS:
            raise InputError(
                _("There is no slice order {name}.").format(name=repr(self.slice_order))
            )

    @classmethod
    def of_record(cls, preprocessing: Mapping[str, Any]) -> PreparationOptions:
        """The choices that make the model input of a record again.

        Args:
            preprocessing: of the record.

        Raises:
            InputError: when the record does not tell them.
        """
        try:
            return cls(
                _window_of_record(preprocessing["window"]),
                str(preprocessing["plane_requested"]),
                str(preprocessing["slice_order"]),
                trust_spacing=True,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                _("The record does not tell how its volume was prepared."), detail=repr(error)
            ) from error


def _window_of_record(window: Mapping[str, Any] | None) -> WindowChoice:
    if window is None:  # an M3D array, which has none
        return "display"
    if window["source"] in {"preset", "data"}:
        return str(window["name"])
    return float(window["center"]), float(window["width"])
