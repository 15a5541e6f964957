"""One volume: read it, prepare it, ask every question, write the results.

Knows the order of the steps and what happens on Ctrl-C; the steps themselves are elsewhere.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from med2e3.asking import (
    Done,
    Event,
    GenerationOptions,
    Progress,
    Question,
    Scores,
    Stage,
    Token,
)
from med2e3.cli.engine import AnyEngine
from med2e3.cli.terminal import Terminal
from med2e3.errors import Cancelled, Med2E3Error
from med2e3.record import Exchange, VolumeRecord, build_exchange
from med2e3.volume import ModelInput, WindowChoice, prepare, read_volume

_STAGES = {
    "encoding": "Encoding the slices",
    "scoring": "Scoring the slices",
    "generating": "Answering",
}
_STOPPED = "Stopped on request; what was answered so far is kept."


@dataclass(frozen=True)
class Settings:
    """How volumes are prepared and answers generated.

    Args:
        options: decoding.
        window: a preset, ``display``, ``full``, or (center, width).
        plane: ``native``, ``axial``, ``sagittal`` or ``coronal``.
        slice_order: ``standard``, ``reversed`` or ``file``.
        trust_spacing: accept a body of unusual size.
    """

    options: GenerationOptions
    window: WindowChoice
    plane: str
    slice_order: str
    trust_spacing: bool = False


@dataclass(frozen=True)
class Prepared:
    """A volume made ready for the model.

    Args:
        model_input: what will be asked about.
        timings_s: seconds that reading and preparing took.
    """

    model_input: ModelInput
    timings_s: dict[str, float]


@dataclass(frozen=True)
class Answers:
    """What came of one volume.

    Args:
        exchanges: finished ones, and a stopped one that has words.
        stopped_by: what ended it before the last question; to be raised once ``exchanges`` are
            written.
    """

    exchanges: tuple[Exchange, ...]
    stopped_by: BaseException | None = None

    @property
    def interrupted(self) -> bool:
        """Whether a person stopped it."""
        return isinstance(self.stopped_by, Cancelled)


def prepare_volume(
    path: Path, engine: AnyEngine, settings: Settings, terminal: Terminal
) -> Prepared:
    """Read a volume and make the model input of it; loads no model.

    Raises:
        InputError: when the volume cannot be used.
    """
    terminal.stage("Reading the volume")
    start = time.perf_counter()
    volume = read_volume(path, trust_spacing=settings.trust_spacing)
    read = time.perf_counter()
    model_input = prepare(
        volume,
        engine.input_size,
        window=settings.window,
        plane=settings.plane,
        slice_order=settings.slice_order,
    )
    prepared = time.perf_counter()
    terminal.end_stage()
    return Prepared(model_input, {"read": read - start, "prepare": prepared - read})


def load_model(engine: AnyEngine, terminal: Terminal) -> None:
    """Load the model if it is not loaded, and say so."""
    if engine.is_loaded:
        return
    terminal.stage("Loading the model")
    engine.load()
    engine.record()
    terminal.end_stage()


def ask_all(
    prepared: Prepared,
    questions: Sequence[Question],
    engine: AnyEngine,
    settings: Settings,
    terminal: Terminal,
) -> Answers:
    """Ask every question about one volume; the first Ctrl-C ends with what there is.

    Args:
        prepared: what :func:`prepare_volume` gave.
        questions: at least one.
        engine: loads its model here, if it was not loaded before.
        settings: of the answers.
        terminal: shows everything as it comes.

    Raises:
        Med2E3Error: when the model cannot be loaded, or a question does not fit into it.
    """
    model_input = prepared.model_input
    timings_s = prepared.timings_s
    if not engine.is_loaded:
        load_model(engine, terminal)
        timings_s = timings_s | {"load": engine.load_seconds}
    session = engine.load()
    exchanges: list[Exchange] = []
    with _ctrl_c_sets(threading.Event()) as cancel:
        # every question is checked here, before the first is answered
        streams = [
            session.ask(model_input, question, settings.options, cancel=cancel)
            for question in questions
        ]
        try:
            for number, (question, events) in enumerate(zip(questions, streams, strict=True), 1):
                terminal.start_question(question, number, len(questions))
                done = _follow(events, terminal)
                if done.token_ids or done.finish_reason != "cancelled":
                    exchange = build_exchange(
                        question,
                        done,
                        slices=model_input.slice_map.slices,
                        model=engine.record(),
                        volume=VolumeRecord(model_input.sha256, model_input.voxels.shape),
                        preprocessing=model_input.preprocessing,
                        generation=settings.options.as_dict()
                        | {"device": session.device, "dtype": session.dtype, "seed": done.seed},
                        warnings=model_input.warnings,
                        extra_timings_s=timings_s,
                    )
                    exchanges.append(exchange)
                    terminal.show_exchange(exchange)
                if cancel.is_set():
                    return Answers(tuple(exchanges), Cancelled(_STOPPED))
        except KeyboardInterrupt:
            return Answers(tuple(exchanges), Cancelled(_STOPPED))
        except Exception as error:  # what was answered before is kept; the caller raises it
            return Answers(tuple(exchanges), error)
        finally:
            engine.forget_volume(model_input.sha256)
    return Answers(tuple(exchanges))


def _follow(events: Iterator[Event], terminal: Terminal) -> Done:
    """Show an answer as it comes; gives its last event."""
    for event in events:
        match event:
            case Stage(name=name):
                terminal.stage(_STAGES[name], brief=name != "encoding")
            case Progress(done=steps, total=total):
                terminal.progress(steps, total)
            case Token(text=text):
                terminal.token(text)
            case Done():
                terminal.end_answer()
                return event
            case Scores():
                pass
    raise Med2E3Error("The model ended without an answer.")


@contextmanager
def _ctrl_c_sets(cancel: threading.Event) -> Iterator[threading.Event]:
    """Let the first Ctrl-C set ``cancel`` and only the second interrupt at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            signal.default_int_handler(number, frame)
        cancel.set()

    if threading.current_thread() is not threading.main_thread():
        yield cancel
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)
