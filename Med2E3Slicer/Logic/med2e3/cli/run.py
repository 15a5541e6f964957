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

from med2e3.asking import Done, GenerationOptions, Progress, Question, Scores, Stage, Token
from med2e3.cli.engine import Engine
from med2e3.cli.terminal import Terminal
from med2e3.errors import Med2E3Error, ResourceError
from med2e3.record import Exchange, VolumeRecord, build_exchange
from med2e3.volume import ModelInput, WindowChoice, prepare, read_volume

_STAGES = {
    "preparing": "Preparing the volume",
    "loading": "Loading the model",
    "encoding": "Encoding the slices",
    "scoring": "Scoring the slices",
    "generating": "Answering",
}


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
class Answers:
    """What came of one volume.

    Args:
        exchanges: finished ones, and a stopped one that has words.
        model_input: what was asked about.
        interrupted: whether a person stopped it.
    """

    exchanges: tuple[Exchange, ...]
    model_input: ModelInput
    interrupted: bool


def prepare_volume(
    path: Path, engine: Engine, settings: Settings, terminal: Terminal
) -> tuple[ModelInput, dict[str, float]]:
    """Read a volume and make the model input of it; loads no model.

    Returns:
        The model input, and the seconds that reading and preparing took.

    Raises:
        InputError: when the volume cannot be used.
    """
    terminal.stage("Reading the volume")
    start = time.perf_counter()
    volume = read_volume(path, trust_spacing=settings.trust_spacing)
    read = time.perf_counter()
    model_input = prepare(
        volume,
        engine.info.input_size,
        window=settings.window,
        plane=settings.plane,
        slice_order=settings.slice_order,
    )
    prepared = time.perf_counter()
    terminal.end_stage()
    return model_input, {"read": read - start, "prepare": prepared - read}


def ask_all(
    model_input: ModelInput,
    questions: Sequence[Question],
    engine: Engine,
    settings: Settings,
    terminal: Terminal,
    timings_s: dict[str, float],
) -> Answers:
    """Ask every question about one model input; the first Ctrl-C ends with what there is.

    Args:
        model_input: what :func:`prepare_volume` gave.
        questions: at least one.
        engine: loads its model here, if it was not loaded before.
        settings: of the answers.
        terminal: shows everything as it comes.
        timings_s: seconds spent before, for the records.

    Raises:
        Med2E3Error: when the model cannot be loaded or a question cannot be asked.
    """
    if not engine.is_loaded:
        terminal.stage("Loading the model")
        engine.load()
        timings_s = timings_s | {"load": engine.load_seconds}
    model = engine.record()
    terminal.end_stage()
    exchanges: list[Exchange] = []
    interrupted = False
    with _ctrl_c_sets(threading.Event()) as cancel:
        for number, question in enumerate(questions, start=1):
            if cancel.is_set():
                interrupted = True
                break
            terminal.start_question(question, number, len(questions))
            done = _ask(model_input, question, engine, settings.options, terminal, cancel)
            interrupted = done.finish_reason == "cancelled"
            if interrupted and not done.token_ids:
                break
            session = engine.load()
            exchange = build_exchange(
                question,
                done,
                slices=model_input.slice_map.as_records(),
                model=model,
                volume=VolumeRecord(model_input.sha256, model_input.voxels.shape),
                preprocessing=model_input.preprocessing,
                generation=settings.options.as_dict()
                | {"device": session.device, "dtype": session.dtype, "seed": done.seed},
                warnings=model_input.warnings,
                extra_timings_s=timings_s,
            )
            terminal.show_exchange(exchange)
            exchanges.append(exchange)
            if interrupted:
                break
    return Answers(tuple(exchanges), model_input, interrupted)


def _ask(
    model_input: ModelInput,
    question: Question,
    engine: Engine,
    options: GenerationOptions,
    terminal: Terminal,
    cancel: threading.Event,
) -> Done:
    try:
        for event in engine.load().ask(model_input, question, options, cancel=cancel):
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
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
            raise ResourceError(
                "There is not enough memory to answer.",
                hint="Close other programs, or choose --dtype bfloat16 or another --device.",
                detail=repr(error),
            ) from error
        raise
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
