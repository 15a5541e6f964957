"""Window and level: which voxel values become black (0) and white (1).

Knows the presets, how a choice is written, and what `display` means for a volume. Does not know
file formats or the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from med2e3.errors import InputError
from med2e3.volume.plausibility import why_not_a_ct_scale
from med2e3.volume.resample import Float32
from med2e3.volume.volume import Volume

#: (center, width) in HU, in common clinical use
PRESETS: dict[str, tuple[float, float]] = {
    "soft-tissue": (40.0, 400.0),
    "lung": (-600.0, 1500.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
    "mediastinum": (50.0, 350.0),
    "liver": (30.0, 150.0),
}
#: what a person may write, next to CENTER,WIDTH
WINDOW_NAMES = ("display", *PRESETS, "full")
DEFAULT_PRESET = "soft-tissue"
#: in HU nothing is emptier than air; lower values are padding outside the scanned circle
_AIR_HU = -1024.0

#: CT without air holds at least fat, which is darker than this; MR and pictures are brighter
_FAT_HU = -50.0

_LARGEST = 1e9
_SMALLEST_WIDTH = 1e-6

WindowChoice = str | tuple[float, float]


@dataclass(frozen=True)
class Window:
    """A linear mapping of voxel values to 0..1, clipped.

    Args:
        low: value that becomes 0.
        high: value that becomes 1; above `low`.
        name: ``display``, a preset's name, ``full`` or ``custom``.
        source: ``file`` (its own window), ``preset``, ``data`` (its range) or ``given``.
    """

    low: float
    high: float
    name: str
    source: str

    def to_unit(self, plane: Float32) -> Float32:
        """Map a float32 array in place to [0, 1]."""
        plane -= self.low
        plane *= 1.0 / (self.high - self.low)
        return plane.clip(0.0, 1.0, out=plane)

    def as_dict(self) -> dict[str, Any]:
        """For the record, in units of the voxels."""
        return {
            "name": self.name,
            "source": self.source,
            "center": (self.low + self.high) / 2,
            "width": self.high - self.low,
        }


def is_possible(center: float, width: float) -> bool:
    """Whether both are numbers and the width is large enough to divide by."""
    return abs(center) < _LARGEST and _SMALLEST_WIDTH <= width < _LARGEST


def parse_window(text: str) -> WindowChoice:
    """Read what a person wrote: a name of `WINDOW_NAMES` or ``CENTER,WIDTH``.

    Raises:
        InputError: for anything else.
    """
    word = text.strip().lower()
    if word in WINDOW_NAMES:
        return word
    parts = word.split(",")
    try:
        center, width = (float(part) for part in parts)
    except ValueError:
        raise InputError(
            f"{text.strip()!r} is not a window.",
            hint="Use CENTER,WIDTH in HU, such as 40,400, or one of: "
            + ", ".join(WINDOW_NAMES)
            + ".",
        ) from None
    return _checked(center, width)


def resolve_window(volume: Volume, choice: WindowChoice) -> tuple[Window, list[str]]:
    """The window to use for a volume, and what the person should know about it.

    Args:
        volume: not an M3D array (which is taken as it is).
        choice: a name of `WINDOW_NAMES`, or (center, width) in units of the voxels.

    Raises:
        InputError: for an unknown choice, or one that makes no sense for these voxels.
    """
    if isinstance(choice, str):
        choice = parse_window(choice)
    if not isinstance(choice, str):
        center, width = _checked(*choice)
        notes = []
        if volume.units != "HU":
            notes.append(
                "The voxel values are not Hounsfield units; the window you gave is taken in the "
                "volume's own values."
            )
        return _centred(center, width, "custom", "given"), notes
    if choice == "full":
        return _full_range(volume), []
    if choice == "display":
        return _display(volume)
    notes = []
    if volume.units != "HU":
        low, high = volume.value_range
        if volume.modality not in (None, "CT") or low > _FAT_HU:
            raise InputError(
                f"The window {choice!r} is defined in Hounsfield units, and the values of this "
                f"volume ({low:g} to {high:g}) are not.",
                hint="Use the window 'full', or CENTER,WIDTH in the volume's own values.",
            )
        notes.append(
            f"The window {choice!r} is defined in Hounsfield units, which the values of this "
            f"volume ({low:g} to {high:g}) may be."
        )
    return _centred(*PRESETS[choice], choice, "preset"), notes


def _display(volume: Volume) -> tuple[Window, list[str]]:
    problem = why_not_a_ct_scale(volume)
    if problem:
        raise InputError(
            problem,
            hint="If it is a CT picture that was windowed before, use the window 'full' to take "
            "its range of values as it is.",
        )
    if volume.display_window is not None:
        return _centred(*volume.display_window, "display", "file"), []
    if volume.units == "HU":
        center, width = PRESETS[DEFAULT_PRESET]
        return _centred(center, width, DEFAULT_PRESET, "preset"), [
            f"The file has no window of its own; soft tissue ({center:g}, {width:g} HU) is used."
        ]
    return _full_range(volume), [
        "The file has no window of its own and its values are not Hounsfield units; "
        "their full range is used."
    ]


def _full_range(volume: Volume) -> Window:
    low, high = volume.value_range
    if volume.units == "HU":
        low = max(low, _AIR_HU)
    if not low < high:
        raise InputError("All voxels of the volume have the same value, so there is no picture.")
    return Window(low, high, "full", "data")


def _centred(center: float, width: float, name: str, source: str) -> Window:
    return Window(center - width / 2, center + width / 2, name, source)


def _checked(center: float, width: float) -> tuple[float, float]:
    if not is_possible(center, width):
        raise InputError(
            f"A window of center {center:g} and width {width:g} is not possible.",
            hint="The width must be a number above 0.",
        )
    return center, width
