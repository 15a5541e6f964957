"""The light and the dark palette.  Knows: colours.  Does not know: Slicer's style plugin."""

from __future__ import annotations

from PySide6 import QtGui

_ROLES = QtGui.QPalette.ColorRole
_DARK = {
    _ROLES.Window: "#353535",
    _ROLES.WindowText: "#ffffff",
    _ROLES.Base: "#2a2a2a",
    _ROLES.AlternateBase: "#424242",
    _ROLES.Text: "#ffffff",
    _ROLES.Button: "#353535",
    _ROLES.ButtonText: "#ffffff",
    _ROLES.ToolTipBase: "#353535",
    _ROLES.ToolTipText: "#ffffff",
    _ROLES.PlaceholderText: "#9a9a9a",
    _ROLES.Highlight: "#2a82da",
    _ROLES.HighlightedText: "#000000",
    _ROLES.Link: "#56b4ff",
    _ROLES.Mid: "#4a4a4a",
    _ROLES.Dark: "#232323",
    _ROLES.Light: "#4a4a4a",
}
_LIGHT = {
    _ROLES.Window: "#efefef",
    _ROLES.WindowText: "#000000",
    _ROLES.Base: "#ffffff",
    _ROLES.AlternateBase: "#f7f7f7",
    _ROLES.Text: "#000000",
    _ROLES.Button: "#efefef",
    _ROLES.ButtonText: "#000000",
    _ROLES.ToolTipBase: "#ffffdc",
    _ROLES.ToolTipText: "#000000",
    _ROLES.PlaceholderText: "#808080",
    _ROLES.Highlight: "#308cc6",
    _ROLES.HighlightedText: "#ffffff",
    _ROLES.Link: "#0000ff",
    _ROLES.Mid: "#b8b8b8",
    _ROLES.Dark: "#9f9f9f",
    _ROLES.Light: "#ffffff",
}
_DISABLED = {True: "#7f7f7f", False: "#9a9a9a"}


def palette(dark: bool) -> QtGui.QPalette:
    """Return the palette of one style."""
    made = QtGui.QPalette()
    for role, colour in (_DARK if dark else _LIGHT).items():
        made.setColor(role, QtGui.QColor(colour))
    for role in (_ROLES.WindowText, _ROLES.Text, _ROLES.ButtonText):
        made.setColor(QtGui.QPalette.ColorGroup.Disabled, role, QtGui.QColor(_DISABLED[dark]))
    return made
