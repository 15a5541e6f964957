"""What Slicer's window does for the panel: dialogs, clipboard, status bar, sample data.

Knows ``slicer.util`` and Qt's dialogs; nothing of questions.  Works without a main window.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from med2e3_slicer.engine import ConsentRequest

_STATUS_MS = 4000


class SlicerDesk:
    """The real :class:`~.ports.Desk`.

    Args:
        set_up: opens the page that installs the engine and the models.
    """

    def __init__(self, set_up: Callable[[], None]) -> None:
        self.set_up = set_up

    def choose_path(self, suffix: str) -> Path | None:
        """Ask where to save; None when the person gave up."""
        filters = {
            ".txt": _("Text (*.txt)"), ".docx": _("Word (*.docx)"), ".pdf": _("PDF (*.pdf)"),
        }  # fmt: skip
        name = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Save answer"), f"answer{suffix}", filters[suffix]
        )
        if not name:
            return None
        path = Path(str(name))
        return path if path.suffix.lower() == suffix else path.with_name(path.name + suffix)

    def copy(self, text: str) -> None:
        """Put text on the clipboard."""
        slicer.app.clipboard().setText(text)

    def say(self, text: str) -> None:
        """A short sentence in the status bar."""
        if slicer.util.mainWindow() is not None:
            slicer.util.showStatusMessage(text, _STATUS_MS)

    def confirm(self, text: str) -> bool:
        """Ask a yes-or-no question."""
        return bool(slicer.util.confirmOkCancelDisplay(text))

    def consent(self, request: ConsentRequest) -> str:
        """Ask whether pictures may be sent away: ``no``, ``once`` or ``always``."""
        box = ctk.ctkMessageBox(slicer.util.mainWindow())
        box.windowTitle = _("Send to an engine on another computer?")
        box.icon = qt.QMessageBox.Question
        box.text = request.text
        once = box.addButton(_("Agree for this session"), qt.QMessageBox.AcceptRole)
        always = box.addButton(_("Agree from now on"), qt.QMessageBox.AcceptRole)
        cancel = box.addButton(_("Do not send"), qt.QMessageBox.RejectRole)
        box.setDefaultButton(cancel)
        box.exec_()
        pressed = box.clickedButton()
        box.deleteLater()  # a hidden window of Slicer's would stay otherwise
        return "once" if pressed == once else "always" if pressed == always else "no"

    def details(self, title: str, text: str, detail: str) -> None:
        """Show a detail that can be copied."""
        slicer.util.errorDisplay(text, windowTitle=title, detailedText=detail)

    def load_sample(self) -> None:
        """Load Slicer's sample CT; it is downloaded the first time."""
        import SampleData  # noqa: PLC0415 (a module of Slicer, needed only now)

        SampleData.downloadSample("CTChest")

    def add_data(self) -> None:
        """Open Slicer's dialog to add data."""
        slicer.app.ioManager().openAddDataDialog()
