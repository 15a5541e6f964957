"""Opens the module's panel in the harness; the real engine and the embedded model answer."""

from __future__ import annotations

import sys
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "Med2E3Slicer" / "Med2E3Slicer.py"
NAME = "Med2E3Slicer"
#: a machine that is busy with other things
PATIENCE_S = 180.0


def open_panel(application, width=350):
    """Load the module and show its panel; return the Panel."""
    application.window._set_panel_width(width)
    if NAME not in application.app.moduleManager().loadedModuleNames():
        application.load_module(MODULE)
    application.slicer.util.selectModule(NAME)
    application.process()
    return widget(application).panel


def close_panel(application):
    """Unload the module, with the engine that it started."""
    if NAME in application.app.moduleManager().loadedModuleNames():
        application.unload_module(NAME)
    application.qt.QSettings().clear()


def widget(application):
    """The module's widget, as Slicer holds it."""
    return application.slicer.modules.med2e3slicer.widgetRepresentation().self()


def use_engine(application):
    """Use the engine of the environment that runs the tests."""
    widget(application).logic.use_local(python=sys.executable, model="embedded", device="cpu")
    widget(application).panel.refresh_engine()
    application.process()


def choose(application, panel, volume):
    """Choose a volume and let it be examined."""
    panel.ui.inputSelector.setCurrentNode(volume)
    application.wait(30)


def in_panel(application, panel, kind, name):
    """A widget that was made in code, by its class and name."""
    found = panel.widget.findChild(getattr(application.qt, kind), name)
    assert found is not None, name
    return found


def wait_idle(application, panel):
    """Wait until nothing is under way; return the looks on the way."""
    seen = []

    def idle():
        look = panel.presenter.state.look.value
        if not seen or seen[-1] != look:
            seen.append(look)
        return not panel.presenter.state.busy

    application.wait_until(idle, PATIENCE_S)
    return seen
