"""The whole panel: its fields, sections and presenters, and how they are joined.

Knows the widgets' file, the parameter node and Qt's timer; the behaviour is in the presenters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from med2e3.asking import GenerationOptions, Question
from med2e3.errors import InputError, Med2E3Error
from med2e3.volume import parse_window
from med2e3_slicer.volumes import PreparationOptions

from .advanced_view import AdvancedActions, AdvancedView, SceneChoices
from .answer_view import AnswerActions, AnswerView
from .asking_presenter import AskingPresenter
from .events import watch, watch_node
from .exchanges_presenter import ExchangesPresenter
from .exchanges_view import ExchangesActions, ExchangesView
from .message_view import MessageView
from .ports import ModelChoice, Order, VolumeNotes
from .question_view import QuestionActions, QuestionView
from .scrolling import tend
from .state import EnginePlace
from .style import dress_quiet
from .view_choices import ViewChoices

if TYPE_CHECKING:
    from .parameters import PanelParameters
    from .wiring import Parts

_TICK_MS = 500
#: a pause in typing after which an edited answer is kept in the scene
_DRAFT_MS = 800
#: files whose widgets fill the sections of the main file; the sections' layouts are empty, and
#: what is empty is not among the names that Slicer gives
SECTIONS = {"Question": "questionSection", "Answer": "answerSection",
            "Exchanges": "exchangesSection", "Advanced": "advancedSection"}  # fmt: skip


class Panel:
    """What the module's widget shows.

    Args:
        open_ui: loads a ``.ui`` file of the module by its name without suffix.
        names: gives the named widgets inside a widget.
        parts: the rest of the extension.
    """

    def __init__(
        self, open_ui: Callable[[str], Any], names: Callable[[Any], Any], parts: Parts
    ) -> None:
        self.widget = open_ui("Med2E3Slicer")
        self.ui = names(self.widget)
        for name, place in SECTIONS.items():
            section = open_ui(name)
            getattr(self.ui, place).layout().addWidget(section)
            setattr(self.ui, name, section)
            for key, value in vars(names(section)).items():
                setattr(self.ui, key, value)
        self._parts = parts
        self._parameters: PanelParameters | None = None
        self._stop_parameters: Callable[[], None] = lambda: None
        self._quiet = False
        self._loading = False
        self._models: tuple[ModelChoice, ...] = ()
        self._notes = VolumeNotes("")
        self._examined: tuple[Any, ...] = ()
        self._make_views()
        self._make_presenters()
        self._bind()
        self._tick = self._timer(_TICK_MS, self._on_tick, once=False)
        self._draft_timer = self._timer(_DRAFT_MS, self.exchanges.keep_draft, once=True)
        self._examine_timer = self._timer(0, self._examine, once=True)
        # the widgets inside get the new palette after the whole panel has got it
        self._restyle_timer = self._timer(0, self._restyle, once=True)
        self._watchers = [watch(self.widget, {
            qt.QEvent.PaletteChange: self._on_style,
            qt.QEvent.StyleChange: self._on_style,
        }), *tend(self.ui.panelScrollArea)]  # fmt: skip
        self.ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._on_volume)
        self.ui.modelSelector.connect("currentIndexChanged(int)", self._on_model)
        self._end_engine = parts.asking.observe(self.refresh_engine)
        self.refresh_machine()
        self.exchanges.refresh()
        self._restyle()

    # ---- life ----------------------------------------------------------------------------

    def set_scene_parameters(self, parameters: PanelParameters | None) -> None:
        """Show and keep the choices of a scene; None while there is none."""
        self._loading = False
        self._stop_parameters()
        self._stop_parameters = lambda: None
        self._parameters = parameters
        if parameters is not None:
            node = parameters.parameterNode  # type: ignore[attr-defined]  # the wrapper adds it
            self._stop_parameters = watch_node(node, self._on_parameters)
        self._read_parameters()

    def scene_loads(self) -> None:
        """A scene is being loaded: no field writes into it before its choices are shown.

        Slicer's selector of volumes loses its choice meanwhile, and says so.
        """
        self._loading = True

    def scene_closes(self) -> None:
        """Nothing of the scene is to be touched any more."""
        self.presenter.abandon()
        self.exchanges.forget()
        self.set_scene_parameters(None)

    def scene_changed(self) -> None:
        """A scene was closed or loaded: show what it holds."""
        self.exchanges.refresh()
        self._examine_timer.start()

    def leave(self) -> None:
        """The panel is no longer seen: what was typed is kept, a question goes on."""
        self.exchanges.keep_draft()

    def close(self) -> None:
        """The end: nothing is heard any more."""
        self.presenter.abandon()
        self._stop_parameters()
        self._stop_parameters = lambda: None  # it holds the node
        self._parameters, self._quiet = None, True
        self.views.close()
        self.widget.setMRMLScene(None)
        for timer in (self._tick, self._draft_timer, self._examine_timer, self._restyle_timer):
            timer.stop()
        self.exchanges.close()
        self._parts.display.close()
        self._end_engine()

    # ---- the form ------------------------------------------------------------------------

    @property
    def volume(self) -> Any:
        """The chosen volume node, or None."""
        return self.ui.inputSelector.currentNode()

    def order(self, question: Question) -> Order:
        """Everything that goes with a question.

        Raises:
            InputError: when the window cannot be read.
        """
        choices = self.advanced.scene_choices
        return Order(
            self.volume,
            question,
            self._model().key,
            self._preparation(choices),
            GenerationOptions(
                max_new_tokens=choices.max_new_tokens,
                temperature=choices.temperature,
                seed=None if choices.seed < 0 or not choices.temperature else choices.seed,
            ),
        )

    def remark(self) -> str:
        """What the chosen model's answers must say besides the notice."""
        return self._model().remark

    def refresh_engine(self) -> None:
        """Show the engine's state."""
        note = self._parts.asking.note()
        self.ui.engineStateLabel.text = note.text
        self._set_state()

    def refresh_machine(self) -> None:
        """Show which models there are now, and the engine's state."""
        self._refresh_models()
        self.advanced.show_machine_choices(self._parts.asking.machine_choices())
        self.refresh_engine()

    # ---- making --------------------------------------------------------------------------

    def _make_views(self) -> None:
        self.message = MessageView(self.ui)
        self.question = QuestionView(self.ui, self.widget)
        self.answer = AnswerView(self.ui)
        self.listing = ExchangesView(self.ui)
        self.advanced = AdvancedView(self.ui)
        self.views = ViewChoices(self._parts.display, self.answer)

    def _make_presenters(self) -> None:
        parts = self._parts
        self.presenter = AskingPresenter(
            parts.asking, parts.display, parts.desk, self, self.question, self.answer,
            self.message, time.monotonic, self._on_state,
        )  # fmt: skip
        self.exchanges = ExchangesPresenter(
            parts.records, parts.display, parts.exporter, parts.desk, self.answer, self.listing,
            self._set_state, self.presenter.fail, lambda: self.message.notice,
        )  # fmt: skip
        self.presenter.join(self.exchanges)

    def _bind(self) -> None:
        presenter, exchanges, parts = self.presenter, self.exchanges, self._parts
        self.question.bind(
            QuestionActions(presenter.ask, presenter.report, presenter.stop, self._on_form)
        )
        self.answer.bind(AnswerActions(
            self._on_edited, self._on_editing, exchanges.set_reviewed, exchanges.copy,
            exchanges.save, exchanges.hotter, exchanges.cooler, exchanges.strip_clicked,
            self.views.set_strips, self.views.set_plot,
        ))  # fmt: skip
        self.listing.bind(
            ExchangesActions(exchanges.choose, exchanges.set_comparing, exchanges.remove)
        )
        self.advanced.bind(
            AdvancedActions(self._on_advanced, parts.asking.unload, parts.desk.set_up)
        )

    def _timer(self, milliseconds: int, action: Callable[[], None], *, once: bool) -> Any:
        timer = qt.QTimer(self.widget)
        timer.setSingleShot(once)
        timer.setInterval(milliseconds)
        timer.connect("timeout()", action)
        return timer

    # ---- reactions -----------------------------------------------------------------------

    def _set_state(self) -> None:
        note = self._parts.asking.note()
        self.presenter.update(
            engine=note.place,
            has_volume=self.volume is not None,
            volume_problem=self._notes.problem,
            has_exchanges=self.exchanges.count > 0,
        )

    def _on_state(self, busy: bool) -> None:
        if busy and not self._tick.active:
            self._tick.start()
        elif not busy:
            self._tick.stop()
        note = self._parts.asking.note()
        self.ui.inputSelector.enabled = not busy
        self.ui.modelSelector.enabled = not busy and note.place is not EnginePlace.REMOTE
        self.advanced.enable(not busy, note.loaded)

    def _on_tick(self) -> None:
        self.presenter.tick()

    def _on_volume(self, _node: Any = None) -> None:
        self._on_form()
        self._examine_timer.start()
        self._set_state()

    def _on_form(self) -> None:
        if not (self._quiet or self._loading):
            self._write_parameters()

    def _on_model(self) -> None:
        self._name_model()
        self._on_form()

    def _on_advanced(self) -> None:
        try:
            self._parts.asking.set_machine_choices(self.advanced.machine_choices)
        except InputError as error:
            self.presenter.fail(error)
        self._on_form()
        self._refresh_models()
        self.refresh_engine()
        self._examine_timer.start()

    def _on_edited(self, text: str) -> None:
        self.exchanges.edited(text)
        self._draft_timer.start()

    def _on_editing(self, editing: bool) -> None:
        if not editing:
            self.exchanges.keep_draft()

    def _on_style(self, _event: Any) -> None:
        self._restyle_timer.start()

    def _restyle(self) -> None:
        for view in (self.message, self.question, self.answer, self.listing):
            view.restyle()
        for label in (self.ui.volumeSummaryLabel, self.ui.engineStateLabel):
            dress_quiet(label)

    # ---- volume and model ----------------------------------------------------------------

    def _examine(self) -> None:
        node = self.volume
        try:
            preparation = self._preparation(self.advanced.scene_choices)
            self._notes = self._parts.volumes.notes(node, preparation) if node else VolumeNotes("")
        except Med2E3Error as error:
            self._notes = VolumeNotes("", problem=str(error))
        self.ui.volumeSummaryLabel.text = self._notes.summary
        self.ui.volumeSummaryLabel.visible = bool(self._notes.summary)
        self.message.warn(self._notes.warnings)
        self._set_state()

    def _preparation(self, choices: SceneChoices) -> PreparationOptions:
        return PreparationOptions(parse_window(choices.window), choices.plane, choices.slice_order)

    def _refresh_models(self) -> None:
        models = tuple(self._parts.asking.models())
        if models == self._models:
            return
        chosen = self._model().key if self._models else ""
        self._models = models
        self._quiet = True
        self.ui.modelSelector.clear()
        for model in models:
            self.ui.modelSelector.addItem(model.title, model.key)
        self._choose_model(chosen)
        self._quiet = False
        self._name_model()

    def _model(self) -> ModelChoice:
        index = self.ui.modelSelector.currentIndex
        return self._models[index] if 0 <= index < len(self._models) else ModelChoice("", "")

    def _name_model(self) -> None:
        """The whole title, which may be cut off in the selector."""
        said, title = _("The model that answers."), self._model().title
        self.ui.modelSelector.toolTip = f"{title}\n{said}" if title else said

    def _choose_model(self, key: str) -> None:
        keys = [model.key for model in self._models]
        if keys:
            self.ui.modelSelector.currentIndex = keys.index(key) if key in keys else 0

    # ---- the scene's parameters ----------------------------------------------------------

    def _on_parameters(self) -> None:
        """They were changed; those of a scene that is being loaded are read when it is complete.

        Before that neither the volume nor the layout is the scene's own.
        """
        if self._parameters is None:
            return
        scene = self._parameters.parameterNode.GetScene()  # type: ignore[attr-defined]
        if scene is not None and not scene.IsImporting():
            self._read_parameters()

    def _read_parameters(self) -> None:
        parameters = self._parameters
        if self._quiet:
            return
        self._quiet = True
        if parameters is None:
            self.ui.inputSelector.setCurrentNode(None)
        else:
            self.ui.inputSelector.setCurrentNode(parameters.inputVolume)
            self._choose_model(parameters.model)
            self.question.set_question(
                parameters.question, parameters.multipleChoice, tuple(parameters.choices)
            )
            self.advanced.show_scene_choices(SceneChoices(
                parameters.window, parameters.plane, parameters.sliceOrder,
                parameters.longestAnswer, parameters.temperature, parameters.seed,
            ))  # fmt: skip
        self.views.read(parameters)
        self._quiet = False
        self._examine_timer.start()
        self._set_state()

    def _write_parameters(self) -> None:
        parameters = self._parameters
        if parameters is None:
            return
        choices = self.advanced.scene_choices
        self._quiet = True
        parameters.inputVolume = self.volume
        parameters.model = self._model().key
        parameters.question = self.question.text
        parameters.multipleChoice = self.question.multiple_choice
        parameters.choices = list(self.question.choices)
        parameters.window = choices.window
        parameters.plane = choices.plane
        parameters.sliceOrder = choices.slice_order
        parameters.longestAnswer = choices.max_new_tokens
        parameters.temperature = choices.temperature
        parameters.seed = choices.seed
        self._quiet = False
