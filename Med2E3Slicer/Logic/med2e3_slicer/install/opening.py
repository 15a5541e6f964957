"""Opens the set-up page as a window of Slicer.

Knows Slicer's window and the module's logic; does not know what the page shows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from med2e3_slicer.install.page import Page, Told
from med2e3_slicer.install.set_up import SetUp

#: beside the module's file, as Slicer installs it
_UI = Path(__file__).resolve().parents[3] / "Resources" / "UI" / "SetUp.ui"
_WIDTH, _HEIGHT = 520, 640


class _Opened:
    """The window that is open; kept, since Python would delete it."""

    window: Any = None
    page: Page | None = None


def open_set_up(
    logic: Any, set_up: SetUp | None = None, changed: Callable[[], None] = lambda: None
) -> Page:
    """Show the page; a page that was opened before comes to the front, with what it is doing.

    Args:
        logic: of the module: told which Python its engine has.
        set_up: another one than that of this computer's usual folder.
        changed: called when the engine or models came or went.
    """
    if _Opened.page is not None and set_up is None:
        _Opened.window.show()
        _Opened.window.raise_()
        return _Opened.page
    close_set_up()
    window = qt.QDialog(slicer.util.mainWindow())
    window.windowTitle = _("Med2E3Slicer set-up")
    widget = slicer.util.loadUI(str(_UI))
    layout = qt.QVBoxLayout(window)
    area = qt.QScrollArea()
    area.setWidget(widget)
    area.widgetResizable = True
    area.frameShape = qt.QFrame.NoFrame
    layout.addWidget(area)
    window.resize(_WIDTH, _HEIGHT)

    def ready(python: Path) -> None:
        logic.use_local(python=python, keep=True)
        changed()

    def end_engine() -> None:
        logic.engine.stop()

    def removed(python: Path) -> None:
        logic.forget_local(python)
        changed()

    told = Told(ready, end_engine, removed, changed)
    page = Page(widget, slicer.util.childWidgetVariables(widget), set_up or SetUp(), told)
    _Opened.window, _Opened.page = window, page
    # by its name: as a Python callable it would hold the window that holds it
    page.ui.closeButton.connect("clicked()", window, "hide()")
    slicer.app.connect("aboutToQuit()", close_set_up)
    window.show()
    page.look()
    return page


def close_set_up() -> None:
    """Stop what the page does and delete it."""
    if _Opened.page is not None:
        slicer.app.disconnect("aboutToQuit()", close_set_up)
        _Opened.page.close()
        _Opened.window.close()
        _Opened.window.deleteLater()
        _Opened.window = _Opened.page = None
