"""Asking: the state of the panel, the question under way, and what is said around it.

Plain Python over the views and the ports; knows no Qt and no nodes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from slicer.i18n import tr as _

from med2e3.asking import Question
from med2e3.errors import InputError, Med2E3Error
from med2e3.notice import NOTICE, whole_notice
from med2e3_slicer.engine import EngineUnusable
from med2e3_slicer.logic import AskListener

from .answer_view import AnswerTexts
from .messages import message_for
from .state import EnginePlace, Failure, PanelState
from .words import pace_text, slice_text, slice_tool_tip, task_title

if TYPE_CHECKING:
    from collections.abc import Callable

    from med2e3.record import Exchange
    from med2e3_slicer.records import StoredExchange

    from .answer_view import AnswerView
    from .exchanges_presenter import ExchangesPresenter
    from .message_view import MessageView
    from .ports import Asking, Desk, Display, Order
    from .question_view import QuestionView


class Form(Protocol):
    """What the panel's fields hold now."""

    def order(self, question: Question) -> Order:
        """Everything that goes with a question.

        Raises:
            InputError: when a field holds what cannot be used.
        """

    def remark(self) -> str:
        """What the chosen model's answers must say besides the notice."""


class AskingPresenter:
    """Asks, follows the answer, and keeps the panel's state.

    Args:
        asking: answers questions.
        display: the strips.
        desk: Slicer's window.
        form: the panel's fields.
        question: the section "Question".
        answer: the section "Answer".
        message: the frames at the top.
        clock: seconds, from any beginning.
        changed: called with whether a question is under way, whenever the state is another.
    """

    def __init__(
        self,
        asking: Asking,
        display: Display,
        desk: Desk,
        form: Form,
        question: QuestionView,
        answer: AnswerView,
        message: MessageView,
        clock: Callable[[], float],
        changed: Callable[[bool], None],
    ) -> None:
        self._asking = asking
        self._display = display
        self._desk = desk
        self._form = form
        self._question = question
        self._answer = answer
        self._message = message
        self._clock = clock
        self._changed = changed
        self._exchanges: ExchangesPresenter | None = None
        self._order: Order | None = None
        self._texts: AnswerTexts | None = None
        self._written = ""
        self._asked_at = self._first_word_at = 0.0
        self._listener: _Listener | None = None
        self.state = PanelState()

    def join(self, exchanges: ExchangesPresenter) -> None:
        """Tell where answers are listed."""
        self._exchanges = exchanges

    def update(
        self, *, engine: EnginePlace, has_volume: bool, volume_problem: str, has_exchanges: bool
    ) -> None:
        """Take what is known of the engine, the volume and the scene now."""
        state = replace(
            self.state,
            engine=engine,
            has_volume=has_volume,
            volume_problem=volume_problem,
            has_exchanges=has_exchanges,
        )
        self.set_state(state)

    def set_state(self, state: PanelState) -> None:
        """Show another state."""
        self.state = state
        self._question.show(state)
        address = self._asking.note().address
        self._message.show(message_for(state, address, self._desk, self.again, self.dismiss))
        self._message.set_notice(whole_notice(self._form.remark() or None))
        self._changed(state.busy)
        self.tick()

    def tick(self) -> None:
        """Show the time or the speed; called now and then while a question is answered."""
        now = self._clock()
        writing = now - self._first_word_at if self._first_word_at else 0.0
        self._question.show_pace(pace_text(self.state, now - self._asked_at, writing))

    # ---- what a person does --------------------------------------------------------------

    def ask(self) -> None:
        """Ask the question in the form."""
        choices = self._question.choices if self._question.multiple_choice else ()
        try:
            question = Question(self._question.text.strip(), choices)
        except InputError as error:
            self.fail(error)
            return
        self._begin(question)

    def report(self) -> None:
        """Ask for a report."""
        self._begin(Question.report())

    def stop(self) -> None:
        """Stop the question under way."""
        if self.state.can_stop:
            self.set_state(self.state.stopping())
            self._asking.stop()

    def again(self) -> None:
        """Ask the question that failed once more."""
        if self._order is not None:
            self._begin(self._order.question)
        else:
            self.dismiss()

    def dismiss(self) -> None:
        """Take the message about a failure away."""
        self.set_state(self.state.dismissed())

    def fail(self, error: Med2E3Error) -> None:
        """Show an error of something else than a question under way."""
        if not self.state.busy:
            self.set_state(self.state.ended(_failure(error)))

    def abandon(self) -> None:
        """Stop and hear no more of it: the scene is closed or the panel ends."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.deaf = True
            self._asking.stop()
        if self.state.busy:
            self.set_state(self.state.ended())
        self._order = None

    # ---- the question under way ----------------------------------------------------------

    def _begin(self, question: Question) -> None:
        if not self.state.can_ask:
            return
        try:
            order = self._form.order(question)
        except InputError as error:
            self.fail(error)
            return
        if not self._has_consent():
            return
        if self._exchanges is not None:
            self._exchanges.leave()
        self._order = order
        self._written = ""
        self._asked_at, self._first_word_at = self._clock(), 0.0
        report = question.resolved_task == "report"
        title = task_title("report") if report else question.with_choices
        self._texts = AnswerTexts(title, "", NOTICE, finished=False)
        self._answer.show(self._texts, "")
        self.set_state(self.state.asked())
        self._listener = listener = _Listener(self)
        try:
            self._asking.ask(order, listener)
        except Med2E3Error as error:
            listener.failed(error)

    def _has_consent(self) -> bool:
        request = self._asking.consent_request()
        if request is None:
            return True
        answer = self._desk.consent(request)
        if answer != "no":
            self._asking.give_consent(remember=answer == "always")
        return answer != "no"

    @property
    def _shown_live(self) -> bool:
        """Whether the answer under way is shown, not an older one that a person chose."""
        return self._exchanges is None or self._exchanges.current is None

    def scored(self, partial: Exchange) -> None:
        """The slices' colours are there."""
        if self._texts is None or self._order is None:
            return
        self._texts = replace(self._texts, relative_scores=partial.relative_scores())
        if not self._shown_live:
            return
        self._answer.show(self._texts, self._written)
        if partial.scores:
            hottest = partial.top_slices(1)[0]
            self._answer.show_slice(
                slice_text(partial, hottest), slice_tool_tip(partial, hottest, 0), True, True
            )
            self._display.show_live(partial, self._order.volume)

    def restarted(self, reason: Med2E3Error) -> None:
        """The engine was lost and is asked again; what was written is void."""
        self._written, self._first_word_at = "", 0.0
        if self._texts is not None and self._shown_live:
            self._answer.show(self._texts, "")
        self.set_state(self.state.wrote(0).reached("starting"))
        self._desk.say(_("Asked again: {reason}").format(reason=reason.sentence))

    def wrote(self, text: str) -> None:
        """Some more of the answer is there."""
        if not self._first_word_at:
            self._first_word_at = self._clock()
        self._written += text
        if self._shown_live:
            self._answer.append(text)
        self.set_words(len(self._written.split()))

    def set_words(self, words: int) -> None:
        """Count words; the rest of the panel stays as it is."""
        self.state = self.state.wrote(words)
        self.tick()

    def answered(self, stored: StoredExchange | None) -> None:
        """The answer is in the scene, or was stopped with nothing to keep."""
        live = self._shown_live
        self._listener = None
        if stored is not None:
            self._order = None
        self.set_state(self.state.ended())
        if self._exchanges is None:
            return
        self._exchanges.refresh()
        if stored is not None and live:
            self._exchanges.choose(stored.key)
        elif stored is None and live:
            self._exchanges.leave()

    def failed(self, error: Med2E3Error) -> None:
        """The question failed; it stays in the form and can be asked again."""
        live = self._shown_live
        self._listener = None
        self.set_state(self.state.ended(_failure(error)))
        if self._exchanges is not None and live:
            self._exchanges.leave()


class _Listener(AskListener):
    """Hears of one question; deaf once the panel has turned to something else."""

    def __init__(self, presenter: AskingPresenter) -> None:
        self._presenter = presenter
        self.deaf = False

    def stage(self, name: str) -> None:
        """A stage began."""
        if not self.deaf:
            self._presenter.set_state(self._presenter.state.reached(name))

    def progress(self, done: int, total: int) -> None:
        """Steps of it are done."""
        if not self.deaf:
            self._presenter.set_state(self._presenter.state.progressed(done, total))

    def scored(self, partial: Exchange) -> None:
        """The scores are there."""
        if not self.deaf:
            self._presenter.scored(partial)

    def token(self, text: str) -> None:
        """Some text is there."""
        if not self.deaf and text:
            self._presenter.wrote(text)

    def restarted(self, reason: Med2E3Error) -> None:
        """It begins again."""
        if not self.deaf:
            self._presenter.restarted(reason)

    def answered(self, exchange: Exchange, stored: StoredExchange | None) -> None:
        """The end: it is in the scene."""
        if not self.deaf:
            self.deaf = True
            self._presenter.answered(stored)

    def stopped(self) -> None:
        """The end: there was nothing to keep."""
        if not self.deaf:
            self.deaf = True
            self._presenter.answered(None)

    def failed(self, error: Med2E3Error) -> None:
        """The end: it failed."""
        if not self.deaf:
            self.deaf = True
            self._presenter.failed(error)


def _failure(error: Med2E3Error) -> Failure:
    set_up = isinstance(error, EngineUnusable)
    return Failure(error.sentence, error.hint, error.detail, set_up)
