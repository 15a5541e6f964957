"""The whole way of one question: engine, preparation, sending, answer, record.

Knows the order, what is done again once after the engine was lost, and what becomes of the answer;
each step itself is known elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from med2e3.asking import Done, Event, GenerationOptions, Progress, Question, Scores, Stage, Token
from med2e3.errors import Cancelled, EngineCrashedError, Med2E3Error
from med2e3.protocol import Capabilities, EngineUnreachable, ModelNotReady, UnknownVolume
from med2e3.record import Exchange, ModelRecord, VolumeRecord, build_exchange
from med2e3.volume import ModelInput
from med2e3_slicer.engine import EngineControl, EngineLost, EngineState, QtEngineClient
from med2e3_slicer.engine.timers import single_shot
from med2e3_slicer.logic.listener import AskListener
from med2e3_slicer.logic.preparing import Preparer
from med2e3_slicer.records import ExchangeStore, StoredExchange, geometry_text
from med2e3_slicer.volumes import PreparationOptions

#: after any of these the same question may well be answered
_WORTH_ASKING_AGAIN = (EngineLost, EngineCrashedError, UnknownVolume, ModelNotReady)
#: after the connection to an engine here broke, its end is noticed within this time
_REASON_MS = 2000


def _nothing() -> None:
    """No step is under way."""


@dataclass(frozen=True)
class Asked:
    """What is asked, and what becomes of the answer.

    Args:
        volume: the volume node.
        question: what is asked.
        options: how the answer is generated.
        preparation: how the volume is prepared.
        store: where the record is put; None keeps it out of the scene.
    """

    volume: Any
    question: Question
    options: GenerationOptions
    preparation: PreparationOptions
    store: ExchangeStore | None


class QuestionRun:
    """One question under way, or at its end.

    Args:
        control: the engine.
        preparer: prepares the volume.
        asked: what is asked.
        listener: is told of everything.
        on_end: called once, after the listener.
    """

    def __init__(
        self,
        control: EngineControl,
        preparer: Preparer,
        asked: Asked,
        listener: AskListener,
        on_end: Callable[[QuestionRun], None],
    ) -> None:
        self.asked = asked
        #: the record; None until it is there, and when there is none
        self.exchange: Exchange | None = None
        self.stored: StoredExchange | None = None
        #: why there is no record
        self.error: Med2E3Error | None = None
        self.is_over = False
        self._control = control
        self._preparer = preparer
        self._listener = listener
        self._on_end = [on_end]
        self._was_lost = False
        #: counts attempts; what belongs to an earlier one is not listened to any more
        self._attempt = 0
        self._stop_step: Callable[[], None] = _nothing
        self._drop_step: Callable[[], None] = _nothing
        self._end_use: Callable[[], None] = _nothing
        self._unreachable: Any = None
        self._client: QtEngineClient | None = None
        self._capabilities: Capabilities | None = None
        self._model_input: ModelInput | None = None
        self._timings_s: dict[str, float] = {}
        #: where the volume lay when its voxels were read; it may be moved while the model answers
        self._geometry = ""

    def start(self) -> None:
        """Begin; returns at once, unless it fails at once."""
        waiting = self._control.when_ready(
            self._while_now(self._ready),
            self._while_now(self._fail),
            self._while_now(self._engine_state),
        )
        if not waiting.is_over:
            self._set_step(lambda: self._fail(Cancelled()), waiting.abort)

    def stop(self) -> None:
        """Stop at whatever is under way; the end comes at once or within seconds."""
        if not self.is_over:
            self._stop_step()

    def drop(self, *, tell: bool) -> None:
        """End at once: the scene or the module goes away, so nothing is kept.

        Args:
            tell: whether the listener is still there to be told.
        """
        if self.is_over:
            return
        self.error = Cancelled()
        self._end()
        if tell:
            self._listener.stopped()
        self._tell_end()

    def add_end(self, do: Callable[[], None]) -> None:
        """Call `do` at the end, too."""
        self._on_end.append(lambda run: do())

    def _tell_end(self) -> None:
        for do in self._on_end:
            do(self)

    # ---- the steps -------------------------------------------------------------------------

    def _set_step(self, stop: Callable[[], None], drop: Callable[[], None]) -> None:
        """How the present step is stopped so that the end comes, and how without a word."""
        self._stop_step, self._drop_step = stop, drop

    def _while_now(self, do: Callable[..., None]) -> Callable[..., None]:
        """The same, but only until the present attempt is over."""
        attempt = self._attempt

        def only_now(*values: object) -> None:
            if attempt == self._attempt and not self.is_over:
                do(*values)

        return only_now

    def _engine_state(self, state: EngineState) -> None:
        self._listener.stage(state.value)

    def _ready(self, client: QtEngineClient, capabilities: Capabilities) -> None:
        model = capabilities.model
        if model is None:
            raise ValueError("an engine that is ready has a model")
        self._client, self._capabilities = client, capabilities
        self._end_use = self._control.begin_use(self._while_now(self._lost))
        self._listener.stage("preparing")
        self._geometry = geometry_text(self.asked.volume)
        preparation = self._preparer.prepare(
            self.asked.volume,
            model.input_size,
            self.asked.preparation,
            self._while_now(self._prepared),
            self._while_now(self._fail),
        )
        if not preparation.is_over:
            self._set_step(preparation.cancel, preparation.cancel)

    def _prepared(self, model_input: ModelInput, timings_s: dict[str, float]) -> None:
        self._model_input = model_input
        self._timings_s = timings_s or self._timings_s
        if self._client is None:
            return
        self._listener.stage("sending")
        putting = self._client.put_volume(
            model_input, self._while_now(self._put), self._while_now(self._fail)
        )
        self._set_step(lambda: self._fail(Cancelled()), putting.abort)

    def _put(self) -> None:
        if self._client is None or self._model_input is None:
            return
        answering = self._client.ask(
            self._model_input.sha256,
            self.asked.question,
            self.asked.options,
            on_event=self._while_now(self._event),
            on_done=self._while_now(self._done),
            on_error=self._while_now(self._fail),
        )
        self._set_step(answering.cancel, answering.abort)

    def _event(self, event: Event) -> None:
        match event:
            case Stage(name=name):
                self._listener.stage(name)
            case Progress(done=done, total=total):
                self._listener.progress(done, total)
            case Scores(values=values):
                self._listener.scored(self._record(Done("", (), (), values, "cancelled")))
            case Token(text=text):
                self._listener.token(text)
            case Done():
                pass  # comes by itself

    # ---- the ends ----------------------------------------------------------------------------

    def _done(self, done: Done) -> None:
        if done.finish_reason == "cancelled" and not done.token_ids:
            self._fail(Cancelled())
            return
        try:
            exchange = self._record(done)
            if self.asked.store is not None:
                self.stored = self.asked.store.add(self.asked.volume, exchange, self._geometry)
        except Med2E3Error as error:
            self._fail(error)
            return
        self.exchange = exchange
        self._end()
        self._listener.answered(exchange, self.stored)
        self._tell_end()

    def _lost(self, error: Med2E3Error) -> None:
        """The engine's process ended while it worked for this question."""
        self._end_use = _nothing
        self._fail(error)

    def _fail(self, error: Med2E3Error) -> None:
        if self.is_over:
            return
        if isinstance(error, EngineUnreachable) and self._control.pid:
            # of an engine here this is the first sign that it ended; the reason follows
            self._unreachable = single_shot(self._while_now(lambda: self._finish(error)))
            self._unreachable.start(_REASON_MS)
        elif isinstance(error, _WORTH_ASKING_AGAIN) and not self._was_lost:
            self._ask_again(error)
        else:
            self._finish(error)

    def _finish(self, error: Med2E3Error) -> None:
        self.error = error
        self._end()
        if isinstance(error, Cancelled):
            self._listener.stopped()
        else:
            self._listener.failed(error)
        self._tell_end()

    def _ask_again(self, error: Med2E3Error) -> None:
        self._was_lost = True
        self._leave()
        if not isinstance(error, EngineLost):
            self._control.look_again()
        self._listener.restarted(error)
        self.start()

    def _end(self) -> None:
        self.is_over = True
        self._leave()

    def _leave(self) -> None:
        """End the present attempt: nothing of it is listened to any more."""
        self._attempt += 1
        self._unreachable = None
        drop, end_use = self._drop_step, self._end_use
        self._set_step(_nothing, _nothing)
        self._end_use = _nothing
        drop()
        end_use()

    # ---- the record --------------------------------------------------------------------------

    def _record(self, done: Done) -> Exchange:
        capabilities, model_input = self._capabilities, self._model_input
        if capabilities is None or capabilities.model is None or model_input is None:
            raise ValueError("an answer comes after the engine and the volume are known")
        model = capabilities.model
        exchange = build_exchange(
            self.asked.question,
            done,
            slices=model_input.slice_map.slices,
            model=ModelRecord(
                model.name, model.revision, model.sha256, model.untrained, model.notice
            ),
            volume=VolumeRecord(model_input.sha256, model_input.voxels.shape),
            preprocessing=model_input.preprocessing,
            generation=self.asked.options.as_dict()
            | {"device": model.device, "dtype": model.dtype, "seed": done.seed},
            warnings=model_input.warnings,
            extra_timings_s=self._timings_s,
        )
        return replace(exchange, software=exchange.software | {"engine": capabilities.software})
