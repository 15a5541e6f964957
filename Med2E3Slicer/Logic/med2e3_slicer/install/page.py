"""The set-up page: checks, the engine's environment, models.

Knows its widgets and what is shown when; everything that is done belongs to
:class:`~med2e3_slicer.install.set_up.SetUp` and :class:`~.models_page.ModelsPage`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from med2e3.errors import Cancelled, Med2E3Error
from med2e3.sizes import human_bytes
from med2e3_slicer.install.checks import Check, Level
from med2e3_slicer.install.models_page import ModelsPage
from med2e3_slicer.install.pytorch_extension import PyTorchExtension
from med2e3_slicer.install.set_up import FolderSize, SetUp
from med2e3_slicer.install.stamp import EnvironmentState
from med2e3_slicer.panel.style import Tone, dress_frame

_SIGNS = {Level.GOOD: "✓", Level.NOTE: "⚠", Level.STOP: "✗"}


@dataclass(frozen=True)
class Told:
    """Who is told of what happened on the page.

    Args:
        ready: called with the engine's Python when its environment is complete.
        end_engine: called before files of the engine are replaced or removed.
        removed: called with the Python that is no longer there.
        changed: called when models came or went.
    """

    ready: Callable[[Path], None]
    end_engine: Callable[[], None]
    removed: Callable[[Path], None]
    changed: Callable[[], None]


class Page:
    """The page.

    Args:
        widget: of ``SetUp.ui``.
        ui: names of its widgets.
        set_up: what it shows and does.
        told: who is told of what happened.
    """

    def __init__(
        self,
        widget: Any,
        ui: Any,
        set_up: SetUp,
        told: Told,
    ) -> None:
        self.widget = widget
        self.ui = ui
        self.set_up = set_up
        self.models = ModelsPage(ui, self.show_error, told.changed)
        self._told = told
        self._details = ""
        self._blocked = False
        ui.buildButton.connect("clicked()", self.build)
        ui.cancelButton.connect("clicked()", set_up.cancel)
        ui.removeButton.connect("clicked()", self.ask_to_remove)
        ui.pytorchButton.connect("clicked()", self.use_pytorch_extension)
        ui.checkButton.connect("clicked()", self.look)
        ui.browseButton.connect("clicked()", self._browse)
        ui.offlineCheckBox.connect("toggled(bool)", self._refresh_slot)
        ui.detailsButton.connect("clicked()", self._show_details)
        ui.errorFrame.hide()
        self.refresh()

    def look(self) -> None:
        """Run the checks again and show what they find."""
        self.ui.checksLabel.text = _("Checking this computer…")
        self.set_up.check_async(self._show_checks)

    def build(self) -> None:
        """Build with what is chosen, after the person agreed to the sizes."""
        if self.set_up.needs_uv and not slicer.util.confirmOkCancelDisplay(
            _(
                "The installer uv is not on this computer. It will be put into the engine's own "
                "folder; nothing is installed into Slicer's Python. Go on?"
            )
        ):
            return
        self.ui.errorFrame.hide()
        offline = self.ui.folderEdit.text.strip() if self.ui.offlineCheckBox.checked else None
        self._told.end_engine()
        try:
            self.set_up.build_async(
                self._built, offline=offline, get_uv=True, on_progress=self._progress
            )
        except Med2E3Error as error:
            self.show_error(error)
        self.refresh()

    def use_pytorch_extension(self) -> None:
        """Make Slicer's own Python the engine's, by the extension PyTorch, after asking."""
        extension = PyTorchExtension(self.set_up.recipe)
        if not extension.is_installed:
            slicer.util.infoDisplay(
                _(
                    "Slicer does not have the extension PyTorch. Install it in the Extensions "
                    "Manager (menu View), start Slicer again, and come back to this page.\n\n"
                    "The engine can be installed without it, by the button beside this one."
                ),
                windowTitle=_("PyTorch extension"),
            )
            return
        question = _(
            "PyTorch and these packages are installed into Slicer's own Python, which all "
            "extensions share:\n\n{packages}\n\nThis can change what other extensions use, and "
            "Slicer does not react until it is done. An environment of its own changes nothing "
            "of Slicer's. Install into Slicer's Python all the same?"
        ).format(packages=", ".join(extension.packages))
        if not slicer.util.confirmOkCancelDisplay(question, windowTitle=_("PyTorch extension")):
            return
        self.ui.errorFrame.hide()
        self._told.end_engine()
        try:
            python = extension.install()
        except Med2E3Error as error:
            self.show_error(error)
        else:
            self._told.ready(python)
        self.refresh()

    def ask_to_remove(self) -> None:
        """Count what would be removed, ask, and remove it."""
        self.set_up.count_async(self._counted, self.show_error)

    def close(self) -> None:
        """Stop what is under way."""
        self.set_up.close()
        self.models.close()

    def show_error(self, error: Med2E3Error) -> None:
        """Show what happened; a stop on request is no error."""
        tone = Tone.INFO if isinstance(error, Cancelled) else Tone.ERROR
        self._details = error.detail
        self.ui.errorLabel.text = str(error)
        self.ui.detailsButton.visible = bool(error.detail)
        dress_frame(self.ui.errorFrame, tone)
        self.ui.errorFrame.show()

    def refresh(self) -> None:
        """Show what there is and what can be done now."""
        ui, state, busy = self.ui, self.set_up.state, self.set_up.is_busy
        ui.stateLabel.text = {
            EnvironmentState.ABSENT: _("The engine is not installed."),
            EnvironmentState.PARTIAL: _("The installation was interrupted; it can be continued."),
            EnvironmentState.OUTDATED: _("The engine is installed and needs an update."),
            EnvironmentState.READY: _("The engine is installed."),
        }[state]
        ui.buildButton.text = {
            EnvironmentState.ABSENT: _("Install the engine"),
            EnvironmentState.PARTIAL: _("Continue the installation"),
            EnvironmentState.OUTDATED: _("Update the engine"),
            EnvironmentState.READY: _("Install again"),
        }[state]
        recipe = self.set_up.recipe
        ui.sizeLabel.text = _(
            "An environment of its own, apart from Slicer's Python: PyTorch for this computer and "
            "what the model needs. Up to {download} are downloaded; {disk} of disk must be free."
        ).format(download=human_bytes(recipe.download_bytes), disk=human_bytes(recipe.disk_bytes))
        offline = ui.offlineCheckBox.checked
        ui.folderEdit.visible = ui.browseButton.visible = offline
        ui.buildButton.enabled = not busy and not self._blocked
        ui.offlineCheckBox.enabled = ui.folderEdit.enabled = ui.browseButton.enabled = not busy
        ui.pytorchButton.enabled = not busy
        ui.cancelButton.visible = ui.progressBar.visible = ui.progressLabel.visible = busy
        ui.removeButton.enabled = not busy and state is not EnvironmentState.ABSENT
        ready = None if busy else self.set_up.python
        ui.modelsGroup.visible = ready is not None
        if ready is not None:
            self.models.use(ready)

    # ---- inside --------------------------------------------------------------------------

    def _refresh_slot(self, _on: bool) -> None:
        self.refresh()

    def _show_checks(self, found: list[Check]) -> None:
        lines = [f"{_SIGNS[check.level]}  {check.sentence}" for check in found]
        self.ui.checksLabel.text = "\n".join(lines)
        self._blocked = any(check.level is Level.STOP for check in found)
        self.refresh()

    def _progress(self, sentence: str, fraction: float | None) -> None:
        bar = self.ui.progressBar
        bar.maximum = 0 if fraction is None else 1000
        bar.value = 0 if fraction is None else round(1000 * fraction)
        self.ui.progressLabel.text = sentence

    def _built(self, error: Med2E3Error | None) -> None:
        if error is None:
            self._told.ready(self.set_up.places.python)
        else:
            self.show_error(error)
        self.refresh()

    def _counted(self, folders: list[FolderSize]) -> None:
        lines = [
            _("{folder}: {files} files, {size}").format(
                folder=each.folder.name, files=each.files, size=human_bytes(each.bytes)
            )
            for each in folders
        ]
        question = _(
            "Remove the engine? In the folder\n{root}\nthese are removed:\n\n{folders}\n\n"
            "Models stay; they are removed one by one on this page."
        ).format(root=self.set_up.places.root, folders="\n".join(lines))
        if not slicer.util.confirmOkCancelDisplay(question):
            self.refresh()
            return
        self._told.end_engine()
        try:
            self.set_up.remove_async(self._removed)
        except Med2E3Error as error:
            self.show_error(error)
        self._progress(_("Removing the engine"), None)
        self.refresh()

    def _removed(self, error: Med2E3Error | None) -> None:
        self._told.removed(self.set_up.places.python)
        if error is not None:
            self.show_error(error)
        self.refresh()

    def _browse(self) -> None:
        name = qt.QFileDialog.getExistingDirectory(self.widget, _("Folder with packages"))
        if name:
            self.ui.folderEdit.text = str(name)

    def _show_details(self) -> None:
        slicer.util.errorDisplay(
            self.ui.errorLabel.text, windowTitle=_("Set-up"), detailedText=self._details
        )
