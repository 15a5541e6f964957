"""The options of a multiple-choice question: rows with a letter, a text and a remove button.

Knows 2 to 26 rows; keeps empty ones, and gives only the filled ones.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

_FEWEST, _FIRST, _MOST = 2, 4, 26


class ChoicesView:
    """The rows inside ``choicesFrame``.

    Args:
        ui: names of the question's widgets.
        changed: called when a person changed the options.
    """

    def __init__(self, ui: Any, changed: Callable[[], None]) -> None:
        self._ui = ui
        self._changed = changed
        self._rows: list[tuple[Any, Any, Any, Any]] = []
        self._quiet = False
        ui.addChoiceButton.connect("clicked()", self._on_add)
        self.set_choices(())

    @property
    def choices(self) -> tuple[str, ...]:
        """The filled options, without letters."""
        texts = (edit.text.strip() for _row, _letter, edit, _remove in self._rows)
        return tuple(text for text in texts if text)

    def set_choices(self, choices: Sequence[str]) -> None:
        """Show these options; four empty rows when there are none."""
        self._quiet = True
        wanted = max(_FEWEST, len(choices)) if choices else _FIRST
        while len(self._rows) > wanted:
            self._drop(len(self._rows) - 1)
        while len(self._rows) < wanted:
            self._append()
        texts = [*choices, *[""] * (wanted - len(choices))]
        for (_row, _letter, edit, _remove), text in zip(self._rows, texts, strict=True):
            if edit.text != text:
                edit.text = text
        self._quiet = False
        self._number()

    def focus(self) -> None:
        """Put the cursor into the first option."""
        self._rows[0][2].setFocus()

    def _append(self) -> None:
        row = qt.QWidget()
        layout = qt.QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        letter, edit, remove = qt.QLabel(), qt.QLineEdit(), qt.QToolButton()
        letter.setFixedWidth(letter.fontMetrics().height())
        remove.text = "×"
        remove.toolTip = _("Remove this option")
        remove.autoRaise = True
        for widget in (letter, edit, remove):
            layout.addWidget(widget)
        edit.connect("textChanged(QString)", self._on_text)

        def drop() -> None:
            self._on_remove(row)

        remove.connect("clicked()", drop)
        self._ui.choicesLayout.insertWidget(len(self._rows), row)
        self._rows.append((row, letter, edit, remove))

    def _drop(self, index: int) -> None:
        row = self._rows.pop(index)[0]
        self._ui.choicesLayout.removeWidget(row)
        row.hide()
        row.deleteLater()

    def _number(self) -> None:
        for index, (_row, letter, edit, remove) in enumerate(self._rows):
            name = string.ascii_uppercase[index]
            letter.text = name
            edit.placeholderText = _("Option {letter}").format(letter=name)
            remove.enabled = len(self._rows) > _FEWEST
        self._ui.addChoiceButton.enabled = len(self._rows) < _MOST

    def _on_add(self) -> None:
        self._append()
        self._number()
        self._rows[-1][2].setFocus()

    def _on_remove(self, row: Any) -> None:
        index = next(i for i, parts in enumerate(self._rows) if parts[0] is row)
        self._drop(index)
        self._number()
        self._changed()

    def _on_text(self, _text: str) -> None:
        if not self._quiet:
            self._changed()
