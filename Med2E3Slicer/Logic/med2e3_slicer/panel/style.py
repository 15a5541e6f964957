"""Colours and icons of the panel, for light and for dark style.

Knows widgets' palettes; told apart by any colour vision, and never by colour alone: each tone has
an icon of its own.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import qt


class Tone(Enum):
    """What kind of message a frame holds."""

    QUIET = "quiet"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


#: edge, background and text in light style; then in dark style
_COLOURS = {
    Tone.QUIET: (("#8a949c", "#eef0f2", "#1b1f24"), ("#7d878f", "#3a3e42", "#e8ebee")),
    Tone.INFO: (("#1f5d94", "#e6eff7", "#15202b"), ("#6ea8d8", "#22323f", "#e3edf6")),
    Tone.WARNING: (("#c84e00", "#fdeee3", "#5c2300"), ("#f0a35e", "#43301f", "#f9dcc3")),
    Tone.ERROR: (("#a3123a", "#fbe7ec", "#5d0a21"), ("#ff8fa8", "#472029", "#fbd5dd")),
}
_QUIET_TEXT = ("#5c6670", "#a7b1b9")


def is_dark(widget: Any) -> bool:
    """Whether the widget is shown in a dark style."""
    return widget.palette.color(qt.QPalette.Window).lightness() < 128


def dress_frame(frame: Any, tone: Tone) -> None:
    """Give a QFrame the colours of a tone (again, after the style has changed)."""
    edge, ground, ink = _COLOURS[tone][is_dark(frame.parent())]
    name = frame.objectName
    frame.setStyleSheet(
        f"#{name} {{ background: {ground}; border: none; border-left: 3px solid {edge}; "
        f"border-radius: 3px; }} #{name} QLabel {{ color: {ink}; background: transparent; }}"
    )


def dress_quiet(label: Any) -> None:
    """Make a label's text less prominent, still well readable."""
    label.setStyleSheet(f"color: {_QUIET_TEXT[is_dark(label.parent())]};")


def dress_icon(label: Any, tone: Tone, pixels: int = 18) -> None:
    """Show the icon of a tone in a label."""
    style = qt.QStyle
    icon = {
        Tone.QUIET: style.SP_MessageBoxInformation,
        Tone.INFO: style.SP_MessageBoxInformation,
        Tone.WARNING: style.SP_MessageBoxWarning,
        Tone.ERROR: style.SP_MessageBoxCritical,
    }[tone]
    label.setPixmap(label.style().standardIcon(icon).pixmap(pixels, pixels))


def picture_of(ppm: bytes) -> Any:
    """A pixmap of the bytes of a PPM file."""
    pixmap = qt.QPixmap()
    pixmap.loadFromData(ppm, "PPM")
    return pixmap
