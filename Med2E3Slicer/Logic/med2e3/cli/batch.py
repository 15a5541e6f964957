"""Many volumes: each gets its own folder of results, and what is finished is not done again.

Knows which results are complete and which volumes failed; how one volume is answered is in
:mod:`med2e3.cli.run`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import med2e3
from med2e3.asking import Question
from med2e3.atomic import write_text
from med2e3.cli.engine import AnyEngine
from med2e3.cli.failures import debug_wanted, unexpected_sentence
from med2e3.cli.folders import Source
from med2e3.cli.outputs import FIGURES, Outputs
from med2e3.cli.run import Settings, ask_all, load_model, prepare_volume
from med2e3.cli.terminal import Terminal
from med2e3.errors import InputError, Med2E3Error

#: written last into a volume's folder: its results are complete, and what they were made from
FINISHED = "finished.json"
#: written into the results folder: what became of every volume
SUMMARY = "summary.json"


class State(StrEnum):
    """What became of a volume."""

    ANSWERED = "answered"
    KEPT = "already there"
    FAILED = "failed"
    STOPPED = "stopped"
    WAITING = "not begun"


@dataclass
class Entry:
    """One volume of the batch."""

    volume: str
    state: State = State.WAITING
    reason: str = ""


def run_batch(
    sources: Sequence[Source],
    results: Path,
    questions: Sequence[Question],
    engine: AnyEngine,
    settings: Settings,
    terminal: Terminal,
) -> int:
    """Answer the questions for every volume.

    A volume that fails is reported and the others go on.  A folder of results that is complete
    and was made with the same model, questions, settings and volume is kept as it is.

    Args:
        sources: the volumes; results go to ``results/<name>/``.
        results: created if it is missing.
        questions: at least one.
        engine: loads its model when the first volume needs it.
        settings: of preparation and answers.
        terminal: shows progress and answers.

    Returns:
        The exit code: 0, 1 when some volume failed, 130 when stopped by a person.

    Raises:
        InputError: when the results folder cannot be written.
        Med2E3Error: when the model cannot be loaded.
    """
    check_folder(results)
    task = fingerprint(questions, engine, settings)
    entries = [Entry(source.name) for source in sources]
    try:
        for number, (source, entry) in enumerate(zip(sources, entries, strict=True), start=1):
            if number > 1:
                terminal.line()
            terminal.line(f"[{number}/{len(sources)}] {source.name}", style="bold")
            answer_one(
                source, entry, results / source.name, task, questions, engine, settings, terminal
            )
            if entry.state is State.STOPPED:
                break
    except KeyboardInterrupt:
        entry.state = State.STOPPED
    finally:
        write_summary(results, entries)
    show_summary(entries, engine, terminal)
    return exit_code(entries)


def exit_code(entries: Iterable[Entry]) -> int:
    """0, 1 when some volume failed, 130 when stopped by a person."""
    states = {entry.state for entry in entries}
    if State.STOPPED in states:
        return 130
    return 1 if State.FAILED in states else 0


def answer_one(
    source: Source,
    entry: Entry,
    folder: Path,
    task: str,
    questions: Sequence[Question],
    engine: AnyEngine,
    settings: Settings,
    terminal: Terminal,
) -> None:
    """Answer for one volume and note in ``entry`` what became of it."""
    outputs = Outputs.in_folder(folder, questions=len(questions))
    with _failure_noted(entry, terminal):
        made_from = _with_volume(task, source)
        if _is_finished(folder, outputs, made_from):
            entry.state = State.KEPT
            return
        (folder / FINISHED).unlink(missing_ok=True)
        prepared = prepare_volume(source.path, engine, settings, terminal)
        outputs.check()
    if entry.state is State.FAILED:
        return
    load_model(engine, terminal)  # without a model no volume can be answered: this ends the batch
    with _failure_noted(entry, terminal):
        answers = ask_all(prepared, questions, engine, settings, terminal)
        terminal.show_warnings(prepared.model_input.warnings)
        if answers.exchanges:
            outputs.write(answers.exchanges, prepared.model_input.voxels)
            for name in FIGURES:  # of an earlier run with fewer or more questions
                if folder / name != outputs.figure:
                    (folder / name).unlink(missing_ok=True)
        if answers.interrupted:
            entry.state = State.STOPPED
            return
        if answers.stopped_by is not None:
            raise answers.stopped_by
        note = {"med2e3": med2e3.__version__, "made_from": made_from}
        write_text(folder / FINISHED, json.dumps(note, indent=2) + "\n")
        entry.state = State.ANSWERED


@contextmanager
def _failure_noted(entry: Entry, terminal: Terminal) -> Iterator[None]:
    """Note a failure in ``entry``, so that one bad volume does not end a night's work."""
    try:
        yield
    except Med2E3Error as error:
        entry.state, entry.reason = State.FAILED, str(error)
    except Exception as error:
        if debug_wanted():
            raise
        entry.state, entry.reason = State.FAILED, unexpected_sentence(error)
    if entry.state is State.FAILED:
        terminal.remark(f"{entry.volume}: {entry.reason}")


def check_folder(results: Path) -> None:
    """Create the results folder and see whether it can be written.

    Raises:
        InputError: when it cannot.
    """
    try:
        results.mkdir(parents=True, exist_ok=True)
        trial = results / ".trial"
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise InputError(
            f"The results folder {results.name!r} cannot be written: {error.strerror or error}.",
            hint="Choose a folder that you may write to.",
            detail=repr(error),
        ) from error


def fingerprint(questions: Sequence[Question], engine: AnyEngine, settings: Settings) -> str:
    """Everything that decides the answers, besides the volume."""
    parts: dict[str, Any] = {
        "model": engine.record().sha256,
        "device": engine.device,
        "dtype": engine.dtype,
        "questions": [asdict(question) for question in questions],
        "settings": asdict(settings),
        "med2e3": med2e3.__version__,
    }
    return json.dumps(parts, sort_keys=True)


def _with_volume(task: str, source: Source) -> str:
    text = json.dumps([task, source.signature()])
    return hashlib.sha256(text.encode()).hexdigest()


def _is_finished(folder: Path, outputs: Outputs, made_from: str) -> bool:
    try:
        note = json.loads((folder / FINISHED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return (
        isinstance(note, dict)
        and note.get("made_from") == made_from
        and all(path.is_file() for path in outputs.paths())
    )


def write_summary(results: Path, entries: Sequence[Entry]) -> None:
    """Write what became of every volume into the results folder."""
    rows = [{"volume": e.volume, "state": str(e.state), "reason": e.reason} for e in entries]
    text = json.dumps({"volumes": rows}, indent=2, ensure_ascii=False)
    write_text(results / SUMMARY, text + "\n")


def show_summary(entries: Sequence[Entry], engine: AnyEngine, terminal: Terminal) -> None:
    """Count the outcomes, name the failures, and show the model's notice."""
    counts = {state: sum(entry.state is state for entry in entries) for state in State}
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    terminal.line()
    terminal.line(f"{len(entries)} volumes: {', '.join(parts)}.")
    for entry in entries:
        if entry.state is State.FAILED:
            terminal.line(f"  {entry.volume}: {entry.reason}")
    terminal.show_notice(engine.notice())
