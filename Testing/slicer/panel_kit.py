"""Opens the module's panel in the harness."""

from __future__ import annotations

from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "Med2E3Slicer" / "Med2E3Slicer.py"


def open_panel(application, width=420):
    """Load the module and show its panel; return the Panel."""
    application.window._set_panel_width(width)
    application.load_module(MODULE)
    application.slicer.util.selectModule("Med2E3Slicer")
    application.process()
    return application.slicer.modules.med2e3slicer.widgetRepresentation().self().panel
