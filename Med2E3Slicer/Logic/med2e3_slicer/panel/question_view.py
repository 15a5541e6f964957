"""The question: topics with suggestions, the text, its options, the buttons, and the progress.

Knows widgets; which buttons may be pressed follows from the state that it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import qt
from slicer.i18n import tr as _

from .choices_view import ChoicesView
from .state import Activity, EnginePlace, PanelState
from .style import dress_quiet
from .suggestions import Suggestion, topics
from .words import activity_text

#: columns of the grid of topics: the first row holds three, the second two
_SPANS = ((0, 0, 2), (0, 2, 2), (0, 4, 2), (1, 0, 3), (1, 3, 3))


@dataclass(frozen=True)
class QuestionActions:
    """What the panel does when a person presses something here."""

    ask: Callable[[], None]
    report: Callable[[], None]
    stop: Callable[[], None]
    changed: Callable[[], None]


class QuestionView:
    """The section "Question".

    Args:
        ui: names of its widgets.
        panel: the whole panel, inside which the keys work.
    """

    def __init__(self, ui: Any, panel: Any) -> None:
        self._ui = ui
        self._actions: QuestionActions | None = None
        self._state = PanelState()
        self._quiet = False
        self._choices = ChoicesView(ui, self._on_changed)
        self._menus: list[Any] = []
        self._add_topics()
        ui.questionEdit.connect("textChanged()", self._on_changed)
        ui.multipleChoiceCheckBox.connect("toggled(bool)", self._on_multiple_choice)
        ui.askButton.connect("clicked()", self._on_ask)
        ui.choicesFrame.visible = False
        self._keys = [
            self._key(panel, "Ctrl+Return", self._on_ask),
            self._key(panel, "Ctrl+Enter", self._on_ask),
        ]
        self._escape = self._key(panel, "Esc", self._on_stop)
        self.restyle()
        self.show(self._state)

    def bind(self, actions: QuestionActions) -> None:
        """Tell what the buttons and keys do."""
        self._actions = actions
        self._ui.reportButton.connect("clicked()", actions.report)
        self._ui.stopButton.connect("clicked()", actions.stop)

    # ---- the question --------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The question as typed."""
        return self._ui.questionEdit.toPlainText()

    @property
    def multiple_choice(self) -> bool:
        """Whether options are given."""
        return self._ui.multipleChoiceCheckBox.checked

    @property
    def choices(self) -> tuple[str, ...]:
        """The filled options; kept while they are not shown."""
        return self._choices.choices

    def set_question(self, text: str, multiple_choice: bool, choices: tuple[str, ...]) -> None:
        """Show a question; the cursor stays where it is when nothing changes."""
        self._quiet = True
        if text != self.text:
            self._ui.questionEdit.setPlainText(text)
        if choices != self.choices:
            self._choices.set_choices(choices)
        self._ui.multipleChoiceCheckBox.checked = multiple_choice
        self._quiet = False
        self._enable()

    # ---- the state -----------------------------------------------------------------------

    def show(self, state: PanelState) -> None:
        """Show the buttons or the progress."""
        ui = self._ui
        self._state = state
        ui.actionsStack.setCurrentWidget(ui.busyPage if state.busy else ui.readyPage)
        counted = state.activity is Activity.ENCODING and state.total > 0
        ui.progressBar.maximum = state.total if counted else 0
        ui.progressBar.value = state.done if counted else 0
        ui.stageLabel.text = activity_text(state)
        ui.stopButton.enabled = state.can_stop
        self._escape.enabled = state.can_stop
        self._enable()

    def show_pace(self, text: str) -> None:
        """Right of the stage: time or speed."""
        self._ui.paceLabel.text = text

    def focus(self) -> None:
        """Put the cursor into the question."""
        self._ui.questionEdit.setFocus()

    def restyle(self) -> None:
        """Take the colours of the present style."""
        for label in (self._ui.readyHintLabel, self._ui.stageLabel, self._ui.paceLabel):
            dress_quiet(label)

    # ---- reactions -----------------------------------------------------------------------

    def _enable(self) -> None:
        ui, state = self._ui, self._state
        typed = bool(self.text.strip())
        enough = not self.multiple_choice or len(self.choices) >= 2
        ui.reportButton.enabled = state.can_ask
        ui.askButton.enabled = state.can_ask and typed and enough
        if state.engine is EnginePlace.MISSING:
            why = _("Set up the engine first.")
        elif not state.has_volume:
            why = _("Choose a volume first.")
        elif state.volume_problem:
            why = state.volume_problem
        else:
            why = ""
        ui.reportButton.toolTip = why or _("Ask for the findings of the whole volume.")
        if not why and not typed:
            why = _("Type a question first.")
        elif not why and not enough:
            why = _("Give at least two options.")
        ui.askButton.toolTip = why or _("Ask the question. (Ctrl+Enter)")
        ui.readyHintLabel.text = _("Ctrl+Enter asks · Esc stops")

    def _on_ask(self) -> None:
        if self._actions and self._ui.askButton.enabled and not self._state.busy:
            self._actions.ask()

    def _on_stop(self) -> None:
        if self._actions:
            self._actions.stop()

    def _on_changed(self) -> None:
        self._enable()
        if self._actions and not self._quiet:
            self._actions.changed()

    def _on_multiple_choice(self, checked: bool) -> None:
        self._ui.choicesFrame.visible = checked
        self._on_changed()

    def _take(self, suggestion: Suggestion) -> None:
        self.set_question(suggestion.text, bool(suggestion.choices), suggestion.choices)
        self._on_changed()
        self.focus()

    # ---- making --------------------------------------------------------------------------

    def _add_topics(self) -> None:
        grid = qt.QGridLayout(self._ui.topicsRow)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for topic, (row, column, span) in zip(topics(), _SPANS, strict=True):
            button = qt.QPushButton(topic.title)
            button.objectName = f"topic_{topic.key}"
            button.toolTip = _("Questions about: {topic}").format(topic=topic.title)
            menu = qt.QMenu(button)
            for suggestion in topic.suggestions:
                self._add_suggestion(menu, suggestion)
            button.setMenu(menu)
            grid.addWidget(button, row, column, 1, span)
            self._menus.append(menu)

    def _add_suggestion(self, menu: Any, suggestion: Suggestion) -> None:
        text = suggestion.text
        if suggestion.choices:
            text = f"{text}  [{' / '.join(suggestion.choices)}]"

        def take() -> None:
            self._take(suggestion)

        menu.addAction(text).connect("triggered()", take)

    @staticmethod
    def _key(panel: Any, keys: str, action: Callable[[], None]) -> Any:
        shortcut = qt.QShortcut(qt.QKeySequence(keys), panel)
        shortcut.context = qt.Qt.WidgetWithChildrenShortcut
        shortcut.connect("activated()", action)
        return shortcut
