"""The module's logic, as the panel asks it.

Knows how the engine's states, models and choices are said to a person; asks nothing by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slicer.i18n import tr as _

from med2e3.protocol import ModelNotReady
from med2e3.sizes import human_bytes
from med2e3_slicer.engine import (
    ConsentRequest,
    EngineAddress,
    EngineLost,
    EngineState,
    EngineUnusable,
)
from med2e3_slicer.logic import AskListener, Med2E3Logic
from med2e3_slicer.model_names import model_title

from .advanced_view import MachineChoices
from .models import installed_models
from .ports import EngineNote, ModelChoice, Order
from .state import EnginePlace


class LogicAsking:
    """The real :class:`~.ports.Asking`.

    Args:
        logic: of the module.
    """

    def __init__(self, logic: Med2E3Logic) -> None:
        self._logic = logic

    def note(self) -> EngineNote:
        """The engine's state."""
        engine = self._logic.engine
        if engine.is_remote:
            address = engine.choice.remote_address
            return EngineNote(EnginePlace.REMOTE, self._model_text() or address, False, address)
        if not engine.is_installed:
            return EngineNote(EnginePlace.MISSING, _("Engine: not installed"))
        loaded = engine.state in (EngineState.READY, EngineState.BUSY, EngineState.LOADING)
        return EngineNote(EnginePlace.LOCAL, self._local_text(), loaded)

    def models(self) -> Sequence[ModelChoice]:
        """Models that can be chosen, the usual one first."""
        return installed_models()

    def ask(self, order: Order, listener: AskListener) -> None:
        """Begin; returns at once."""
        if not self._logic.engine.is_remote and order.model:
            self._logic.use_local(model=order.model)
        preparation, generation = order.preparation, order.generation
        self._logic.ask_async(
            order.volume,
            order.question,
            listener=listener,
            window=preparation.window,
            plane=preparation.plane,
            slice_order=preparation.slice_order,
            max_new_tokens=generation.max_new_tokens,
            temperature=generation.temperature,
            seed=generation.seed,
        )

    def stop(self) -> None:
        """Stop what is under way."""
        self._logic.stop()

    def unload(self) -> None:
        """Free the model's memory."""
        self._logic.unload()

    def consent_request(self) -> ConsentRequest | None:
        """What the person must agree to before the next question; None when nothing."""
        choice = self._logic.engine.choice
        if not choice.remote_address:
            return None
        address = EngineAddress.parse(choice.remote_address)
        if self._logic.consents.is_given(address):
            return None
        return self._logic.consent_request(choice.remote_address)

    def give_consent(self, *, remember: bool) -> None:
        """The person agreed."""
        address = EngineAddress.parse(self._logic.engine.choice.remote_address)
        self._logic.consents.give(address, remember=remember)

    def machine_choices(self) -> MachineChoices:
        """As they are kept for this computer."""
        choice = self._logic.engine.choice
        return MachineChoices(
            choice.device,
            choice.precision,
            bool(choice.remote_address),
            choice.remote_address,
            choice.remote_token,
        )

    def set_machine_choices(self, choices: MachineChoices) -> None:
        """Keep and use them.

        Raises:
            InputError: for an address that is none.
        """
        if choices == self.machine_choices():
            return
        if choices.remote and choices.address:
            self._logic.use_remote(choices.address, choices.token, keep=True)
        elif not choices.remote:
            self._logic.use_local(device=choices.device, precision=choices.precision, keep=True)

    def observe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` when the engine's state is another; returns how to end that."""
        return self._logic.engine.observe(changed)

    # ---- words ---------------------------------------------------------------------------

    def _local_text(self) -> str:
        if self._logic.engine.state is EngineState.READY:
            return self._model_text() or _("Engine: ready")
        return {
            EngineState.STOPPED: _("Engine: starts with the first question"),
            EngineState.STARTING: _("Engine: starting"),
            EngineState.LOADING: _("Engine: loading the model"),
            EngineState.BUSY: self._model_text() or _("Engine: at work"),
            EngineState.CRASHED: self._problem_text(),
        }.get(self._logic.engine.state, "")

    def _problem_text(self) -> str:
        """Why no engine runs, and whether asking again helps."""
        problem = self._logic.engine.problem
        if isinstance(problem, EngineUnusable):
            return _("Engine: cannot be started; set it up again")
        if isinstance(problem, ModelNotReady):
            return _("Engine: could not load the model; tries again when asked")
        if isinstance(problem, EngineLost):
            return _("Engine: ended unexpectedly; starts again when asked")
        return _("Engine: did not start; tries again when asked")

    def _model_text(self) -> str:
        capabilities = self._logic.engine.capabilities
        if capabilities is None or capabilities.model is None:
            return ""
        model = capabilities.model
        parts = [_("Ready"), model.device.upper(), model.dtype]
        if self._logic.engine.is_remote:
            parts = [model_title(model.name), model.device.upper(), model.dtype]
        if capabilities.memory_free:
            free = human_bytes(capabilities.memory_free)
            parts.append(_("{size} free").format(size=free))
        return " · ".join(parts)
