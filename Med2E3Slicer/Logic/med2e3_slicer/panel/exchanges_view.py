"""The list of exchanges, newest first: small strip, what was asked, when and by which model.

Knows widgets and rows of plain text; knows nothing of where exchanges are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import qt
from slicer.i18n import tr as _

from .strip_picture import strip_picture
from .style import dress_quiet, picture_of

#: pixels of the small strip in a row
_PICTURE = (64, 26)
#: rows that are seen at once; more of them scroll
_ROWS = 5


@dataclass(frozen=True)
class ExchangeRow:
    """One line of the list.

    Args:
        id: of the exchange.
        title: what was asked.
        detail: time, model, reviewed or not.
        tool_tip: more, when the mouse rests on it.
        relative_scores: for the small strip.
    """

    id: str
    title: str
    detail: str
    tool_tip: str
    relative_scores: tuple[float, ...] = ()


@dataclass(frozen=True)
class ExchangesActions:
    """What the panel does when a person presses something here."""

    chosen: Callable[[str], None]
    comparing: Callable[[bool], None]
    remove: Callable[[], None]


class ExchangesView:
    """The section "Exchanges".

    Args:
        ui: names of its widgets.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._actions: ExchangesActions | None = None
        self._quiet = False
        self._ids: list[str] = []
        ui.exchangesList.iconSize = qt.QSize(*_PICTURE)
        ui.exchangesList.connect("currentRowChanged(int)", self._on_row)
        ui.exchangesList.connect("itemClicked(QListWidgetItem*)", self._on_click)
        ui.compareButton.connect("toggled(bool)", self._on_compare)
        self.restyle()
        self.show((), None)

    def bind(self, actions: ExchangesActions) -> None:
        """Tell what the rows and buttons do."""
        self._actions = actions
        self._ui.removeButton.connect("clicked()", actions.remove)

    def show(self, rows: Sequence[ExchangeRow], current: str | None) -> None:
        """Show these rows, one of them as chosen."""
        ui = self._ui
        self._quiet = True
        ui.exchangesList.clear()
        self._ids = [row.id for row in rows]
        for row in rows:
            item = qt.QListWidgetItem(f"{row.title}\n{row.detail}")
            item.setToolTip(row.tool_tip)
            if row.relative_scores:
                item.setIcon(self._icon(row.relative_scores))
            ui.exchangesList.addItem(item)
        ui.exchangesList.visible = bool(rows)
        if rows:
            height = ui.exchangesList.sizeHintForRow(0)
            ui.exchangesList.setFixedHeight(height * min(len(rows), _ROWS) + 4)
        self._quiet = False
        self.choose(current)
        ui.compareButton.visible = ui.removeButton.visible = bool(rows)
        ui.compareButton.enabled = len(rows) > 1
        self.hint(self._usual_hint())

    def choose(self, exchange_id: str | None) -> None:
        """Show one row as chosen, without telling anybody."""
        self._quiet = True
        chosen = exchange_id is not None and exchange_id in self._ids
        row = self._ids.index(exchange_id) if exchange_id is not None and chosen else -1
        self._ui.exchangesList.currentRow = row
        self._ui.removeButton.enabled = chosen
        self._quiet = False

    def hint(self, text: str) -> None:
        """A sentence above the list; empty for none."""
        self._ui.exchangesHintLabel.text = text
        self._ui.exchangesHintLabel.visible = bool(text)

    def forbid_removal(self) -> None:
        """Until a row is chosen: with two answers on show it is not clear which one would go."""
        self._ui.removeButton.enabled = False

    def end_comparing(self) -> None:
        """Take back the pressed button, without telling anybody."""
        self._quiet = True
        self._ui.compareButton.checked = False
        self._ui.compareButton.text = _("Compare")
        self._quiet = False
        self.hint(self._usual_hint())

    def restyle(self) -> None:
        """Take the colours of the present style."""
        dress_quiet(self._ui.exchangesHintLabel)

    # ---- reactions -----------------------------------------------------------------------

    def _usual_hint(self) -> str:
        return "" if self._ids else _("Answers are listed here, newest first.")

    def _on_row(self, row: int) -> None:
        if self._actions and not self._quiet and 0 <= row < len(self._ids):
            self._ui.removeButton.enabled = True
            self._actions.chosen(self._ids[row])

    def _on_click(self, item: Any) -> None:
        # the row that is chosen already: show it again (the views may have moved on)
        self._on_row(self._ui.exchangesList.row(item))

    def _on_compare(self, checked: bool) -> None:
        self._ui.compareButton.text = _("End comparison") if checked else _("Compare")
        if self._actions and not self._quiet:
            self._actions.comparing(checked)

    @staticmethod
    def _icon(relative_scores: Sequence[float]) -> Any:
        picture = picture_of(strip_picture(relative_scores, *_PICTURE))
        icon = qt.QIcon()
        for mode in (qt.QIcon.Normal, qt.QIcon.Selected):
            icon.addPixmap(picture, mode)
        return icon
