"""The answer: its text as it is written, its slices, its editor and the ways to keep it.

Knows widgets and one exchange's texts; knows nothing of where exchanges are kept.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import qt
from slicer.i18n import tr as _

from .events import watch
from .strip_picture import strip_picture
from .style import Tone, dress_frame, dress_quiet, picture_of

#: height of the text in pixels: at least and at most; longer texts scroll
_TEXT_HEIGHT = (56, 340)
#: pixels of one cell of the small strip; the label stretches them
_CELL = (8, 16)


@dataclass(frozen=True)
class AnswerActions:
    """What the panel does when a person presses something here."""

    edited: Callable[[str], None]
    editing: Callable[[bool], None]
    reviewed: Callable[[bool], None]
    copy: Callable[[], None]
    save: Callable[[str], None]
    hotter: Callable[[], None]
    cooler: Callable[[], None]
    strip_clicked: Callable[[float], None]
    show_strips: Callable[[bool], None]
    show_plot: Callable[[bool], None]


@dataclass(frozen=True)
class AnswerTexts:
    """What stands around the answer.

    Args:
        title: what was asked.
        detail: kind, time, model; one line.
        notice: what must be read with the text.
        relative_scores: for the small strip; empty when the model gives none.
        probabilities: for multiple choice: letter, option, probability.
        finished: whether it can be edited and kept.
        reviewed: whether a person marked it.
    """

    title: str
    detail: str
    notice: str
    relative_scores: tuple[float, ...] = ()
    probabilities: tuple[tuple[str, str, float], ...] = ()
    finished: bool = True
    reviewed: bool = False


class AnswerView:
    """The section "Answer".

    Args:
        ui: names of its widgets.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._actions: AnswerActions | None = None
        self._quiet = False
        self._bars: list[Any] = []
        self._watchers = [
            watch(ui.answerStripLabel, {qt.QEvent.MouseButtonPress: self._on_strip}),
            watch(ui.answerEdit, {qt.QEvent.Resize: self._on_resize}),
        ]
        ui.answerStripLabel.setCursor(qt.QCursor(qt.Qt.PointingHandCursor))
        self._add_buttons()
        ui.answerEdit.connect("textChanged()", self._on_text)
        ui.stripsCheckBox.connect("toggled(bool)", self._on_strips)
        ui.plotCheckBox.connect("toggled(bool)", self._on_plot)
        self.clear()
        self.restyle()

    def bind(self, actions: AnswerActions) -> None:
        """Tell what the buttons do."""
        self._actions = actions
        self._ui.hotterButton.connect("clicked()", actions.hotter)
        self._ui.coolerButton.connect("clicked()", actions.cooler)
        self._copy_button.connect("clicked()", actions.copy)

    # ---- showing -------------------------------------------------------------------------

    def clear(self) -> None:
        """Show that there is no answer yet."""
        self._ui.answerEmptyLabel.visible = True
        self._ui.answerFrame.visible = False
        self.compare("", "", ())

    def show(self, texts: AnswerTexts, text: str) -> None:
        """Show an answer, or the beginning of one."""
        ui = self._ui
        ui.answerEmptyLabel.visible = False
        ui.answerFrame.visible = True
        ui.answerTitleLabel.text = f"<b>{html.escape(texts.title)}</b>"
        ui.answerDetailLabel.text = texts.detail
        ui.answerDetailLabel.visible = bool(texts.detail)
        ui.answerNoticeLabel.text = texts.notice
        ui.answerActions.visible = texts.finished
        ui.slicesFrame.visible = bool(texts.relative_scores)
        if texts.relative_scores:
            self._paint(ui.answerStripLabel, texts.relative_scores)
        self._show_probabilities(texts.probabilities)
        self._quiet = True
        self._edit_button.checked = False
        self._reviewed_box.checked = texts.reviewed
        if ui.answerEdit.toPlainText() != text:
            ui.answerEdit.setPlainText(text)
        self._quiet = False
        ui.answerEdit.placeholderText = (
            _("(no text)") if texts.finished else _("The words come one by one…")
        )

    def append(self, text: str) -> None:
        """Add what was just written."""
        edit = self._ui.answerEdit
        self._quiet = True
        cursor = edit.textCursor()
        cursor.movePosition(qt.QTextCursor.End)
        cursor.insertText(text)
        bar = edit.verticalScrollBar()
        bar.value = bar.maximum
        self._quiet = False

    def show_slice(self, text: str, tool_tip: str, first: bool, last: bool) -> None:
        """Between the arrows: which slice is shown, and whether one is hotter or cooler."""
        ui = self._ui
        ui.hotLabel.text = text
        ui.hotLabel.toolTip = tool_tip
        ui.hotterButton.enabled = not first
        ui.coolerButton.enabled = not last

    def show_displays(self, strips: bool, plot: bool) -> None:
        """Whether strips and plot are shown, without telling anybody."""
        self._quiet = True
        self._ui.stripsCheckBox.checked = strips
        self._ui.plotCheckBox.checked = plot
        self._quiet = False

    def set_reviewed(self, reviewed: bool) -> None:
        """Show the mark, or none."""
        self._quiet = True
        self._reviewed_box.checked = reviewed
        self._quiet = False

    def set_detail(self, detail: str) -> None:
        """Show another line below the title."""
        self._ui.answerDetailLabel.text = detail

    def compare(self, title: str, text: str, relative_scores: Sequence[float]) -> None:
        """Show a second answer below; with an empty title, none."""
        ui = self._ui
        ui.comparedFrame.visible = bool(title)
        if not title:
            return
        ui.comparedTitleLabel.text = f"<b>{html.escape(title)}</b>"
        ui.comparedTextLabel.text = html.escape(text)
        ui.comparedStripLabel.visible = bool(relative_scores)
        if relative_scores:
            self._paint(ui.comparedStripLabel, relative_scores)

    def restyle(self) -> None:
        """Take the colours of the present style."""
        ui = self._ui
        dress_frame(ui.comparedFrame, Tone.INFO)
        for label in (
            ui.answerEmptyLabel, ui.answerDetailLabel, ui.answerNoticeLabel, ui.hotLabel,
        ):  # fmt: skip
            dress_quiet(label)

    # ---- reactions -----------------------------------------------------------------------

    def _on_text(self) -> None:
        self._fit()
        if self._actions and not self._quiet:
            self._actions.edited(self._ui.answerEdit.toPlainText())

    def _on_resize(self, _event: Any) -> None:
        self._fit()

    def _fit(self) -> None:
        edit = self._ui.answerEdit
        wanted = round(edit.document.size.height()) + 8
        height = max(_TEXT_HEIGHT[0], min(_TEXT_HEIGHT[1], wanted))
        if edit.minimumHeight != height:
            edit.setFixedHeight(height)

    def _on_strip(self, event: Any) -> None:
        if self._actions:
            width = max(1, self._ui.answerStripLabel.width)
            self._actions.strip_clicked(event.pos().x() / width)

    def _on_edit(self, checked: bool) -> None:
        edit = self._ui.answerEdit
        edit.readOnly = not checked
        self._edit_button.text = _("Done") if checked else _("Edit")
        if checked:
            edit.setFocus()
        if self._actions and not self._quiet:
            self._actions.editing(checked)

    def _on_strips(self, checked: bool) -> None:
        if self._actions and not self._quiet:
            self._actions.show_strips(checked)

    def _on_plot(self, checked: bool) -> None:
        if self._actions and not self._quiet:
            self._actions.show_plot(checked)

    def _on_reviewed(self, checked: bool) -> None:
        if self._actions and not self._quiet:
            self._actions.reviewed(checked)

    # ---- making --------------------------------------------------------------------------

    def _add_buttons(self) -> None:
        grid = qt.QGridLayout(self._ui.answerActions)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        self._reviewed_box = qt.QCheckBox(_("Reviewed by a person"))
        self._reviewed_box.objectName = "reviewedCheckBox"
        self._reviewed_box.toolTip = _("Mark that a person has read and checked this text.")
        self._reviewed_box.connect("toggled(bool)", self._on_reviewed)
        self._edit_button = qt.QPushButton(_("Edit"))
        self._edit_button.objectName = "editButton"
        self._edit_button.checkable = True
        self._edit_button.toolTip = _("Change the text; what the model wrote is kept as well.")
        self._edit_button.connect("toggled(bool)", self._on_edit)
        self._copy_button = qt.QPushButton(_("Copy"))
        self._copy_button.objectName = "copyButton"
        self._copy_button.toolTip = _("Copy the text with its notice.")
        buttons = (self._edit_button, self._copy_button, self._make_save_button())
        for column, button in enumerate(buttons):
            grid.addWidget(button, 0, column)
            grid.setColumnStretch(column, 1)
        grid.addWidget(self._reviewed_box, 1, 0, 1, 3)

    def _make_save_button(self) -> Any:
        button = qt.QPushButton(_("Save"))
        button.objectName = "saveButton"
        button.toolTip = _("Save as a file, with the notice; PDF and Word with the key slices.")
        self._save_menu = qt.QMenu(button)
        for text, suffix in (
            (_("Text (.txt)…"), ".txt"),
            (_("Word with key slices (.docx)…"), ".docx"),
            (_("PDF with key slices (.pdf)…"), ".pdf"),
        ):
            self._add_format(text, suffix)
        button.setMenu(self._save_menu)
        return button

    def _add_format(self, text: str, suffix: str) -> None:
        def save() -> None:
            if self._actions:
                self._actions.save(suffix)

        self._save_menu.addAction(text).connect("triggered()", save)

    def _show_probabilities(self, probabilities: Sequence[tuple[str, str, float]]) -> None:
        grid = self._ui.probabilitiesFrame.layout()
        for widget in self._bars:
            grid.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self._bars = []
        self._ui.probabilitiesFrame.visible = bool(probabilities)
        for row, (letter, option, probability) in enumerate(probabilities):
            name, bar = qt.QLabel(f"{letter}. {option}"), qt.QProgressBar()
            name.wordWrap = True
            name.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
            bar.maximum = 100
            bar.value = round(100 * probability)
            bar.setFixedWidth(110)
            bar.toolTip = _("How probable the model finds this option")
            grid.addWidget(name, row, 0)
            grid.addWidget(bar, row, 1)
            self._bars += [name, bar]

    @staticmethod
    def _paint(label: Any, relative_scores: Sequence[float]) -> None:
        width, height = _CELL[0] * len(relative_scores), _CELL[1]
        label.setPixmap(picture_of(strip_picture(relative_scores, width, height)))
