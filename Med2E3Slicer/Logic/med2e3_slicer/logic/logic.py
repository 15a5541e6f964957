"""The module's logic: what its panel and every script call.

Knows the order of arguments that is convenient for people, who is asked, and where records go; the
steps of a question are known by :mod:`med2e3_slicer.logic.question`. Shows no dialog.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import qt
import slicer

from med2e3.asking import GenerationOptions, Question, Turn
from med2e3.errors import Cancelled, Med2E3Error
from med2e3.record import Exchange
from med2e3_slicer.engine import (
    ConsentRequest,
    Consents,
    EngineAddress,
    EngineChoice,
    EngineControl,
    EngineSettings,
    EngineState,
    consent_request,
)
from med2e3_slicer.logic.listener import AskListener
from med2e3_slicer.logic.preparing import Preparer
from med2e3_slicer.logic.question import Asked, QuestionRun
from med2e3_slicer.records import ExchangeStore
from med2e3_slicer.volumes import PreparationOptions

#: of all options that a question can have: those of its preparation, and those of its answer
_PREPARATION = frozenset(PreparationOptions.__dataclass_fields__)
_GENERATION = frozenset(GenerationOptions.__dataclass_fields__)


class Med2E3Logic:
    """Reports and answers about volume nodes.

    Args:
        settings: of the engine; Slicer's own when none are given.
    """

    def __init__(self, settings: EngineSettings | None = None) -> None:
        self.settings = settings or EngineSettings()
        self.consents = Consents(self.settings)
        self.engine = EngineControl(self.settings.load(), self.consents)
        self._preparer = Preparer()
        self._runs: list[QuestionRun] = []
        self._scene: Any = None
        self._store: ExchangeStore | None = None
        self._scene_tag = 0

    # ---- asking ------------------------------------------------------------------------------

    def report(self, volume_node: Any, **options: Any) -> Exchange:
        """Write a report of a volume and wait for it; Slicer stays alive meanwhile.

        Args:
            volume_node: the CT volume.
            **options: as for :meth:`ask`.

        Returns:
            The record, which is in the scene already.

        Raises:
            Med2E3Error: when there is no report.
        """
        return self._wait(self.report_async(volume_node, **options))

    def ask(
        self,
        volume_node: Any,
        question: str | Question,
        choices: Iterable[str] = (),
        history: Iterable[Exchange | Turn] = (),
        **options: Any,
    ) -> Exchange:
        """Ask about a volume and wait for the answer; Slicer stays alive meanwhile.

        Args:
            volume_node: the CT volume.
            question: what is asked.
            choices: of a multiple-choice question, without letters.
            history: earlier questions and answers that this one follows on from, oldest first.
            **options: ``window``, ``plane``, ``slice_order``, ``trust_spacing`` (how the volume is
                prepared); ``max_new_tokens``, ``temperature``, ``top_p``, ``seed``, ``stop`` (how
                the answer is generated); ``store=False`` keeps the record out of the scene.

        Returns:
            The record, which is in the scene already.

        Raises:
            Med2E3Error: when there is no answer.
        """
        return self._wait(self.ask_async(volume_node, question, choices, history, **options))

    def report_async(
        self, volume_node: Any, *, listener: AskListener | None = None, **options: Any
    ) -> QuestionRun:
        """The same as :meth:`report`, but returns at once; see :meth:`ask_async`."""
        return self.ask_async(volume_node, Question.report(), listener=listener, **options)

    def ask_async(
        self,
        volume_node: Any,
        question: str | Question,
        choices: Iterable[str] = (),
        history: Iterable[Exchange | Turn] = (),
        *,
        listener: AskListener | None = None,
        on_done: Callable[[Exchange], None] | None = None,
        on_error: Callable[[Med2E3Error], None] | None = None,
        **options: Any,
    ) -> QuestionRun:
        """Ask and return at once.

        Args:
            volume_node: the CT volume.
            question: as for :meth:`ask`.
            choices: as for :meth:`ask`.
            history: as for :meth:`ask`.
            listener: is told of every stage, of the scores and of each word.
            on_done: called with the record at the end.
            on_error: called instead when there is none; with ``Cancelled`` when it was stopped.
            **options: as for :meth:`ask`.

        Returns:
            The question under way; its ``stop()`` stops it.

        Raises:
            InputError: when the question or an option is not possible.
        """
        asked = self._asked(volume_node, _question(question, choices, history), options)

        def on_end(run: QuestionRun) -> None:
            self._runs.remove(run)
            if run.exchange is not None and on_done is not None:
                on_done(run.exchange)
            if run.error is not None and on_error is not None:
                on_error(run.error)

        run = QuestionRun(self.engine, self._preparer, asked, listener or AskListener(), on_end)
        self._runs.append(run)
        run.start()
        return run

    def stop(self) -> None:
        """Stop all questions under way; returns at once."""
        for run in list(self._runs):
            run.stop()

    @property
    def is_busy(self) -> bool:
        """Whether a question is under way."""
        return bool(self._runs)

    # ---- records -----------------------------------------------------------------------------

    @property
    def store(self) -> ExchangeStore:
        """The records of the present scene."""
        scene = slicer.mrmlScene
        if self._store is None or self._scene is not scene:
            if self._store is not None:
                self._store.close()
                self._scene.RemoveObserver(self._scene_tag)
            self._scene, self._store = scene, ExchangeStore(scene)
            self._scene_tag = scene.AddObserver(
                slicer.vtkMRMLScene.StartCloseEvent, self._scene_closes
            )
        return self._store

    def exchanges(self, volume_node: Any = None) -> list[Exchange]:
        """The records in the scene, newest first; of one volume when it is given."""
        return [stored.exchange for stored in self.store.exchanges(volume_node)]

    # ---- the engine ----------------------------------------------------------------------------

    @property
    def state(self) -> EngineState:
        """What the engine is doing."""
        return self.engine.state

    def use_local(
        self,
        *,
        python: str | Path | None = None,
        model: str | None = None,
        device: str | None = None,
        precision: str | None = None,
        idle_minutes: float | None = None,
        keep: bool = False,
    ) -> None:
        """Use an engine of this computer from the next question on; it is started when needed.

        Args:
            python: its Python; by default the one of the set-up page.
            model: name of an installed model, or a model folder.
            device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
            precision: number format or quantization of the weights.
            idle_minutes: without a question for so long it is ended; 0 for never.
            keep: also the next time Slicer runs.
        """
        given: dict[str, Any] = {
            "python": None if python is None else Path(python),
            "model": model,
            "device": device,
            "precision": precision,
            "idle_minutes": idle_minutes,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        self._choose(
            replace(self.engine.choice, remote_address="", remote_token="", **changes), keep
        )

    def forget_local(self, python: Path) -> None:
        """The engine's Python was removed: use and keep it no longer, if it is the one in use.

        Args:
            python: that was removed.
        """
        choice = self.engine.choice
        if choice.python == python:
            self.engine.stop()
            self._choose(replace(choice, python=None), keep=True)

    def use_remote(
        self,
        address: str,
        token: str,
        *,
        consent: bool = False,
        remember_consent: bool = False,
        keep: bool = False,
        keep_token: bool = False,
    ) -> None:
        """Use an engine that runs already, from the next question on. Sends nothing yet.

        Args:
            address: where it listens, ``https://HOST:PORT``.
            token: its token.
            consent: whether the person agrees to what :meth:`consent_request` says; not needed
                for an address of this computer.
            remember_consent: agree for good, also the next time Slicer runs.
            keep: keep the address for the next time Slicer runs.
            keep_token: keep the token, too, readable in Slicer's settings file.

        Raises:
            InputError: when it is no address.
        """
        where = EngineAddress.parse(address)
        if consent:
            self.consents.give(where, remember=remember_consent)
        choice = replace(self.engine.choice, remote_address=where.url, remote_token=token)
        self._choose(choice, keep, keep_token=keep_token)

    def consent_request(self, address: str) -> ConsentRequest:
        """What a person must agree to before an engine at this address is used.

        Raises:
            InputError: when it is no address.
        """
        return consent_request(EngineAddress.parse(address))

    def unload(self) -> None:
        """End the engine here and free the model's memory; the next question starts it again."""
        self.stop()
        self.engine.stop()

    def shutdown(self) -> None:
        """End everything at once, such as when the module is unloaded or reloaded."""
        self._drop_all(tell=False)
        self.engine.shutdown()
        if self._store is not None:
            self._store.close()
            self._scene.RemoveObserver(self._scene_tag)
            self._store = self._scene = None

    # ---- inside --------------------------------------------------------------------------------

    def _choose(self, choice: EngineChoice, keep: bool, *, keep_token: bool = False) -> None:
        self.engine.choose(choice)
        if keep:
            self.settings.save(self.engine.choice, keep_token=keep_token)

    def _asked(self, volume_node: Any, question: Question, options: dict[str, Any]) -> Asked:
        store = self.store if options.pop("store", True) else None
        unknown = options.keys() - _PREPARATION - _GENERATION
        if unknown:
            raise TypeError(f"unknown option: {', '.join(sorted(unknown))}")
        generation = {name: options[name] for name in _GENERATION & options.keys()}
        if "stop" in generation:
            generation["stop"] = tuple(generation["stop"])
        preparation = {name: options[name] for name in _PREPARATION & options.keys()}
        return Asked(
            volume_node,
            question,
            GenerationOptions(**generation),
            PreparationOptions(**preparation),
            store,
        )

    def _wait(self, run: QuestionRun) -> Exchange:
        if not run.is_over:
            loop = qt.QEventLoop()
            run.add_end(loop.quit)
            try:
                loop.exec_()
            finally:
                run.stop()
        if run.exchange is None:
            raise run.error or Cancelled()
        return run.exchange

    def _drop_all(self, *, tell: bool) -> None:
        for run in list(self._runs):
            run.drop(tell=tell)

    def _scene_closes(self, caller: Any, event: str) -> None:
        self._drop_all(tell=True)
        self._preparer.forget()


def _question(
    question: str | Question, choices: Iterable[str], history: Iterable[Exchange | Turn]
) -> Question:
    if isinstance(question, Question):
        return question
    if isinstance(choices, str):
        raise TypeError("choices is a list of texts, not one text")
    turns = tuple(turn if isinstance(turn, Turn) else _turn(turn) for turn in history)
    return Question(question, choices=tuple(choices), history=turns)


def _turn(exchange: Exchange) -> Turn:
    said = Question(exchange.question, choices=exchange.choices, task=exchange.task)
    return Turn(said.with_choices, exchange.answer)
