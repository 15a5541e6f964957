"""The part of the set-up page that is about models.

Knows its widgets; what is done belongs to :class:`~med2e3_slicer.install.models.ModelManager`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from med2e3.errors import Med2E3Error
from med2e3.sizes import human_bytes
from med2e3_slicer.install.models import ModelManager, ModelRow, licence_text


class ModelsPage:
    """Shows one model at a time, and what can be done with it.

    Args:
        ui: names of the page's widgets.
        show_error: shows what happened.
        changed: called when a model came or went.
    """

    def __init__(
        self, ui: Any, show_error: Callable[[Med2E3Error], None], changed: Callable[[], None]
    ) -> None:
        self._ui = ui
        self._changed = changed
        self._show_error = show_error
        self._manager: ModelManager | None = None
        self._python: Path | None = None
        self._rows: list[ModelRow] = []
        ui.modelSelector.connect("currentIndexChanged(int)", self._chosen)
        ui.acceptCheckBox.connect("toggled(bool)", self._toggled)
        ui.downloadButton.connect("clicked()", self.download)
        ui.pauseButton.connect("clicked()", self._pause)
        ui.removeModelButton.connect("clicked()", self.remove)
        self.refresh()

    def use(self, python: Path) -> None:
        """List the models by this Python, unless that was done."""
        if self._python != python:
            self._python = python
            self._manager = ModelManager(python)
            self._list()

    def close(self) -> None:
        """Stop a download; it can be continued."""
        self._pause()

    def download(self) -> None:
        """Download the chosen model, whose licence was accepted."""
        row = self._row()
        if row is None or self._manager is None:
            return
        self._progress(_("Asking how large it is"), None)
        self._try(
            lambda manager: manager.download_async(
                row.name,
                self._progress,
                self._ended,
                accept_licence=self._ui.acceptCheckBox.checked,
            )
        )

    def remove(self) -> None:
        """Remove the chosen model after asking."""
        row = self._row()
        if row is None:
            return
        question = _("Remove the model {name} ({size})?").format(
            name=row.name, size=human_bytes(row.bytes_on_disk)
        )
        if slicer.util.confirmOkCancelDisplay(question):
            self._progress(_("Removing the model"), None)
            self._try(lambda manager: manager.remove_async(row.name, self._ended))

    def refresh(self) -> None:
        """Show the chosen model and what can be done with it now."""
        ui, row = self._ui, self._row()
        busy = self._manager is not None and self._manager.is_busy
        offered = row is not None and not row.installed
        begun = offered and row is not None and row.bytes_on_disk > 0
        ui.modelLabel.text = "" if row is None else _described(row)
        ui.licenceText.visible = ui.acceptCheckBox.visible = offered
        ui.downloadButton.visible = offered and not busy
        ui.downloadButton.enabled = ui.acceptCheckBox.checked
        ui.downloadButton.text = _("Continue download") if begun else _("Download")
        ui.pauseButton.visible = busy and offered
        ui.modelProgressBar.visible = ui.modelProgressLabel.visible = busy
        ui.removeModelButton.visible = row is not None and row.removable and not busy
        ui.modelSelector.enabled = ui.acceptCheckBox.enabled = not busy

    # ---- inside --------------------------------------------------------------------------

    def _list(self) -> None:
        self._try(lambda manager: manager.list_async(self._listed, self._show_error))

    def _listed(self, rows: list[ModelRow]) -> None:
        selector = self._ui.modelSelector
        chosen = selector.currentText
        self._rows = []
        selector.clear()
        for row in rows:
            selector.addItem(row.name)
        self._rows = rows
        selector.currentIndex = max(0, selector.findText(chosen) if chosen else len(rows) - 1)
        self._chosen(selector.currentIndex)

    def _row(self) -> ModelRow | None:
        index = self._ui.modelSelector.currentIndex
        return self._rows[index] if 0 <= index < len(self._rows) else None

    def _chosen(self, _index: int) -> None:
        row = self._row()
        self._ui.acceptCheckBox.checked = False
        if row is not None and not row.installed:
            self._ui.licenceText.setPlainText(licence_text(row.name))
        self.refresh()

    def _toggled(self, _on: bool) -> None:
        self.refresh()

    def _pause(self) -> None:
        if self._manager is not None:
            self._manager.pause()

    def _try(self, do: Callable[[ModelManager], None]) -> None:
        if self._manager is not None:
            try:
                do(self._manager)
            except Med2E3Error as error:
                self._show_error(error)
        self.refresh()

    def _progress(self, sentence: str, fraction: float | None) -> None:
        bar = self._ui.modelProgressBar
        bar.maximum = 0 if fraction is None else 1000
        bar.value = 0 if fraction is None else round(1000 * fraction)
        self._ui.modelProgressLabel.text = sentence

    def _ended(self, error: Med2E3Error | None) -> None:
        if error is not None:
            self._show_error(error)
        else:
            self._changed()
        self._list()


def _described(row: ModelRow) -> str:
    if row.installed:
        size = _("{size} on disk").format(size=human_bytes(row.bytes_on_disk))
    elif row.bytes_on_disk:
        size = _("{here} of about {all} are here").format(
            here=human_bytes(row.bytes_on_disk), all=human_bytes(row.download_bytes)
        )
    else:
        size = _("about {size} to download").format(size=human_bytes(row.download_bytes))
    return f"{row.title}\n{size}"
