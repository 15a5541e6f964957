"""Opens the module's panel in the harness, with the real engine and the embedded model."""

from __future__ import annotations

import sys
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "Med2E3Slicer" / "Med2E3Slicer.py"
NAME = "Med2E3Slicer"


def open_panel(application, width=420):
    """Load the module and show its panel; return the Panel."""
    application.window._set_panel_width(width)
    if NAME not in application.app.moduleManager().loadedModuleNames():
        application.load_module(MODULE)
    application.slicer.util.selectModule(NAME)
    application.process()
    return widget(application).panel


def widget(application):
    """The module's widget, as Slicer holds it."""
    return application.slicer.modules.med2e3slicer.widgetRepresentation().self()


def use_engine(application):
    """Use the engine of the environment that runs the tests."""
    widget(application).logic.use_local(python=sys.executable, model="embedded", device="cpu")
    widget(application).panel.refresh_engine()


def choose(panel, volume, application):
    """Choose a volume, as a person does."""
    panel.ui.inputSelector.setCurrentNode(volume)
    application.process()


def button(panel, name):
    """A widget of the panel that was made in code, by its name."""
    found = panel.widget.findChild(type(panel.ui.askButton).__mro__[0], name)
    assert found is not None, name
    return found


def dark(application, on):
    """Switch between Slicer's light and dark style."""
    qt = application.qt
    palette = qt.QPalette()
    if on:
        role = qt.QPalette
        for each, colour in (
            (role.Window, "#353535"),
            (role.WindowText, "#f0f0f0"),
            (role.Base, "#2a2a2a"),
            (role.AlternateBase, "#353535"),
            (role.Text, "#f0f0f0"),
            (role.Button, "#454545"),
            (role.ButtonText, "#f0f0f0"),
            (role.ToolTipBase, "#2a2a2a"),
            (role.ToolTipText, "#f0f0f0"),
            (role.Highlight, "#2a82da"),
            (role.HighlightedText, "#ffffff"),
            (role.PlaceholderText, "#9a9a9a"),
        ):
            palette.setColor(each, qt.QColor(colour))
        for each in (role.Text, role.ButtonText, role.WindowText):
            palette.setColor(role.Disabled, each, qt.QColor("#7f7f7f"))
    application.app.setPalette(palette)
    application.process()
