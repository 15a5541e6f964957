"""The exchanges of the scene: list, choose, compare, edit, review, keep, delete.

Plain Python over the views and the ports; knows no Qt.  What a person typed into an answer is put
into the scene before anything else happens to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from med2e3.errors import Med2E3Error
from med2e3.notice import NOTICE
from med2e3_slicer.model_names import model_title

from .answer_view import AnswerTexts
from .exchanges_view import ExchangeRow
from .words import (
    exchange_title,
    finish_text,
    slice_text,
    slice_tool_tip,
    time_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from med2e3_slicer.records import StoredExchange

    from .answer_view import AnswerView
    from .exchanges_view import ExchangesView
    from .ports import Desk, Display, Exporter, Records


class ExchangesPresenter:
    """Keeps list, answer, strip and scene at one.

    Args:
        records: the exchanges of the scene.
        display: the strips.
        exporter: writes files.
        desk: Slicer's window.
        answer: the section "Answer".
        listing: the section "Exchanges".
        changed: called when the number of exchanges may have changed.
        failed: called with an error that the panel should show.
        notice: the notice at the top of the panel, which need not be said twice in full.
    """

    def __init__(
        self,
        records: Records,
        display: Display,
        exporter: Exporter,
        desk: Desk,
        answer: AnswerView,
        listing: ExchangesView,
        changed: Callable[[], None],
        failed: Callable[[Med2E3Error], None],
        notice: Callable[[], str],
    ) -> None:
        self._records = records
        self._display = display
        self._exporter = exporter
        self._desk = desk
        self._answer = answer
        self._listing = listing
        self._changed = changed
        self._failed = failed
        self._notice = notice
        self._current: StoredExchange | None = None
        self._draft: str | None = None
        self._comparing = False
        self._rank = 0
        self._rows: tuple[ExchangeRow, ...] = ()
        self._end = records.observe(self.refresh)
        display.jumped = self.slice_chosen

    @property
    def count(self) -> int:
        """How many exchanges the scene holds."""
        return len(self._rows)

    @property
    def current(self) -> StoredExchange | None:
        """The exchange that is shown."""
        return self._current

    def close(self) -> None:
        """Keep what was typed and hear no more of the scene."""
        self.keep_draft()
        self._end()

    # ---- the list ------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show the scene's exchanges as they are now."""
        stored = self._records.exchanges()
        rows = tuple(map(_row, stored))
        by_key = {each.key: each for each in stored}
        current = by_key.get(self._current.key) if self._current else None
        gone = self._current is not None and current is None
        self._current = current
        if rows != self._rows:
            self._rows = rows
            self._listing.show(rows, current.key if current else None)
        if gone:
            self._draft = None
            self.leave()
        elif current is not None and self._draft is None:
            self._answer.set_reviewed(current.review.reviewed)
            self._answer.set_detail(_detail(current))
        self._changed()

    def choose(self, key: str) -> None:
        """Show an exchange again: text, strip and its hottest slice; or compare with it."""
        stored = next((each for each in self._records.exchanges() if each.key == key), None)
        if stored is None:
            return
        if self._comparing and self._current and key != self._current.key:
            self._compare_with(stored)
            return
        self.keep_draft()
        self.show(stored)
        self._display.show(stored)
        self._to_rank(0)

    def show(self, stored: StoredExchange) -> None:
        """Show the text of an exchange; the strip is left as it is."""
        self._end_comparison()
        self._current = stored
        self._listing.choose(stored.key)
        self._answer.show(_texts(stored, self._notice()), stored.text)
        self._rank = 0
        self._show_rank()

    def leave(self) -> None:
        """Show no exchange: the scene has none, or another text comes."""
        self.keep_draft()
        self._end_comparison()
        self._current = None
        self._listing.choose(None)
        self._answer.clear()
        self._display.clear()

    def forget(self) -> None:
        """The scene goes away: show nothing of it, also not the beginning of an answer."""
        self._draft = None
        self.leave()

    def remove(self) -> None:
        """Delete the shown exchange after asking."""
        stored = self._current
        if stored is None:
            return
        question = _("Delete this exchange from the scene?\n\n{title}").format(
            title=exchange_title(stored.exchange)
        )
        if self._desk.confirm(question):
            self._draft = None
            self._records.remove(stored)

    # ---- comparing -----------------------------------------------------------------------

    def set_comparing(self, comparing: bool) -> None:
        """Begin to choose a second exchange, or show one alone again."""
        if not comparing:
            self._end_comparison()
            if self._current is not None:
                self._listing.choose(self._current.key)  # the second one's row was chosen last
                self._display.show(self._current)
            return
        if self._current is None:
            self.choose(self._rows[0].id)
        self._comparing = True
        self._listing.hint(_("Choose the exchange to compare with."))

    def _compare_with(self, other: StoredExchange) -> None:
        assert self._current is not None
        self._display.compare(self._current, other)
        title = _("Compared with: {title}").format(title=exchange_title(other.exchange))
        self._answer.compare(title, other.text, other.exchange.relative_scores())
        self._listing.hint(_("Strip A is the answer above, strip B the second one."))
        self._listing.forbid_removal()

    def _end_comparison(self) -> None:
        if self._comparing:
            self._comparing = False
            self._listing.end_comparing()
        self._answer.compare("", "", ())

    # ---- slices --------------------------------------------------------------------------

    def hotter(self) -> None:
        """To the slice that was attended to a little more."""
        self._to_rank(self._rank - 1)

    def cooler(self) -> None:
        """To the slice that was attended to a little less."""
        self._to_rank(self._rank + 1)

    def strip_clicked(self, fraction: float) -> None:
        """To the slice at this part of the small strip (0 left, 1 right)."""
        if self._current is None or not self._current.exchange.scores:
            return
        count = len(self._current.exchange.scores)
        index = max(0, min(count - 1, int(fraction * count)))
        self._display.jump(self._current, index)
        self.slice_chosen(index)

    def slice_chosen(self, index: int) -> None:
        """A model slice was chosen in a view; the views show it already."""
        if self._current is not None and self._current.exchange.scores:
            exchange = self._current.exchange
            self._rank = exchange.top_slices(len(exchange.scores)).index(index)
            self._show_rank()

    def _to_rank(self, rank: int) -> None:
        stored = self._current
        if stored is None or not stored.exchange.scores:
            return
        count = len(stored.exchange.scores)
        self._rank = max(0, min(count - 1, rank))
        self._display.jump(stored, stored.exchange.top_slices(count)[self._rank])
        self._show_rank()

    def _show_rank(self) -> None:
        stored = self._current
        if stored is None or not stored.exchange.scores:
            return
        count = len(stored.exchange.scores)
        index = stored.exchange.top_slices(count)[self._rank]
        self._answer.show_slice(
            slice_text(stored.exchange, index),
            slice_tool_tip(stored.exchange, index, self._rank),
            self._rank == 0,
            self._rank == count - 1,
        )

    # ---- editing -------------------------------------------------------------------------

    def edited(self, text: str) -> None:
        """A person changed the text; it is kept at the next pause, or before anything else."""
        self._draft = text

    def keep_draft(self) -> None:
        """Put the changed text into the scene; a text that changed is no longer reviewed."""
        draft, stored = self._draft, self._current
        self._draft = None
        if draft is None or stored is None or draft == stored.text:
            return
        self._review(stored, draft, reviewed=False)

    def set_reviewed(self, reviewed: bool) -> None:
        """Mark the shown exchange as reviewed, or take the mark away."""
        self.keep_draft()
        if self._current is not None:
            self._review(self._current, self._current.text, reviewed=reviewed)

    def _review(self, stored: StoredExchange, text: str, *, reviewed: bool) -> None:
        try:
            self._current = self._records.update_review(stored, text=text, reviewed=reviewed)
        except Med2E3Error as error:
            self._failed(error)
            return
        self.refresh()

    # ---- keeping -------------------------------------------------------------------------

    def copy(self) -> None:
        """Put the text with its notice on the clipboard."""
        self.keep_draft()
        if self._current is not None:
            self._desk.copy(self._exporter.plain_text(self._current))
            self._desk.say(_("Copied, with the notice."))

    def save(self, suffix: str) -> None:
        """Write a file; where is asked first."""
        self.keep_draft()
        if self._current is None:
            return
        path = self._desk.choose_path(suffix)
        if path is not None:
            self.save_to(path)

    def save_to(self, path: Path) -> None:
        """Write the shown exchange to a file."""
        if self._current is None:
            return
        try:
            self._exporter.save(self._current, path)
        except Med2E3Error as error:
            self._failed(error)
        else:
            self._desk.say(_("Saved, with the notice."))


def _row(stored: StoredExchange) -> ExchangeRow:
    exchange = stored.exchange
    return ExchangeRow(
        stored.key,
        exchange_title(exchange),
        _detail(stored),
        f"{exchange.question}\n\n{stored.text}\n\n{_detail(stored)}",
        exchange.relative_scores(),
    )


def _detail(stored: StoredExchange) -> str:
    """When, what became of it, by which model: the first remains where a row is narrow."""
    exchange = stored.exchange
    marks = []
    if stored.review.reviewed:
        marks.append(_("reviewed"))
    if stored.is_edited:
        marks.append(_("edited"))
    parts = [time_text(exchange.created), *marks, model_title(exchange.model.name)]
    return " · ".join(part for part in parts if part)


def _texts(stored: StoredExchange, shown_notice: str) -> AnswerTexts:
    exchange = stored.exchange
    notice = NOTICE if exchange.notice == shown_notice else exchange.notice
    options = dict(zip(_letters(len(exchange.choices)), exchange.choices, strict=True))
    notes = [finish_text(exchange.finish_reason), notice, *exchange.warnings]
    if stored.moved:
        notes.append(
            _(
                "The volume was moved since: the positions in words are those of the time of the "
                "question."
            )
        )
    return AnswerTexts(
        exchange_title(exchange),
        _detail(stored),
        " ".join(note for note in notes if note),
        exchange.relative_scores(),
        tuple(
            (letter, options.get(letter, ""), probability)
            for letter, probability in exchange.choice_probabilities.items()
        ),
        reviewed=stored.review.reviewed,
    )


def _letters(count: int) -> list[str]:
    return [chr(ord("A") + index) for index in range(count)]
