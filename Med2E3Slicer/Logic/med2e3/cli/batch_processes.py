"""Many volumes in several processes of this machine, each with a model of its own.

Knows which process does which volume and what happens when one ends; how one volume is answered,
and what is not done again, is in :mod:`med2e3.cli.batch`.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from med2e3.asking import Question
from med2e3.cli.batch import (
    Entry,
    State,
    answer_one,
    check_folder,
    exit_code,
    fingerprint,
    show_summary,
    write_summary,
)
from med2e3.cli.engine import AnyEngine
from med2e3.cli.engine_elsewhere import choose_engine
from med2e3.cli.failures import unexpected_sentence
from med2e3.cli.folders import Source
from med2e3.cli.run import Settings
from med2e3.cli.terminal import Terminal
from med2e3.data.pool import run_in_processes
from med2e3.errors import Med2E3Error
from med2e3.protocol import error_of, problem_of

#: what limits the threads of torch and numpy in a process
_THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Workers:
    """Processes, and what each makes its engine of (see ``choose_engine``)."""

    count: int
    address: str | None
    model: str
    device: str
    dtype: str


@dataclass(frozen=True)
class _Task:
    """All that a process needs besides the volume."""

    workers: Workers
    results: Path
    made_from: str
    questions: tuple[Question, ...]
    settings: Settings


@dataclass(frozen=True)
class _Outcome:
    """What became of a volume; ``problem`` ends the whole batch."""

    entry: Entry
    problem: dict[str, Any] | None = None


def run_batch_in_processes(
    sources: Sequence[Source],
    results: Path,
    questions: Sequence[Question],
    engine: AnyEngine,
    settings: Settings,
    terminal: Terminal,
    workers: Workers,
) -> int:
    """Answer the questions for every volume; see :func:`med2e3.cli.batch.run_batch`.

    A process that ends (killed, out of memory) costs nothing but time: its volume is done once
    more, and reported as failed if that ends a process again.

    Args:
        sources: the volumes.
        results: created if it is missing.
        questions: at least one.
        engine: says which model answers; it is not loaded in this process.
        settings: of preparation and answers.
        terminal: shows what is finished.
        workers: the processes.

    Returns:
        The exit code, as ``run_batch``.

    Raises:
        Med2E3Error: when the results cannot be written or the model cannot be loaded.
    """
    check_folder(results)
    made_from = fingerprint(questions, engine, settings)
    work = partial(_work, _Task(workers, results, made_from, tuple(questions), settings))
    entries = {source.name: Entry(source.name) for source in sources}
    stopped = False
    try:
        again = _run(sources, work, workers.count, entries, terminal)
        for source in _run(again, work, 1, entries, terminal):
            entry = entries[source.name]
            entry.state = State.FAILED
            entry.reason = "The process that answered ended twice, perhaps for lack of memory."
    except KeyboardInterrupt:
        stopped = True
    finally:
        write_summary(results, list(entries.values()))
    show_summary(list(entries.values()), engine, terminal)
    return 130 if stopped else exit_code(entries.values())


def _run(
    sources: Sequence[Source],
    work: partial[_Outcome],
    count: int,
    entries: dict[str, Entry],
    terminal: Terminal,
) -> list[Source]:
    """Do what can be done; returns the volumes whose process ended."""
    lost: list[Source] = []
    with closing(run_in_processes(sources, work, count)) as outcomes:
        for source, outcome in outcomes:
            if outcome is None:
                lost.append(source)
                terminal.remark(f"{source.name}: its process ended unexpectedly.")
                continue
            if outcome.problem is not None:
                raise error_of(outcome.problem)
            entries[source.name] = outcome.entry
            reason = f": {outcome.entry.reason}" if outcome.entry.reason else ""
            terminal.line(f"{source.name}: {outcome.entry.state}{reason}")
    return lost


def _work(task: _Task, source: Source) -> _Outcome:
    """One volume, in a process of its own; raises nothing."""
    entry = Entry(source.name)
    try:
        engine = _engine(task.workers)
        folder = task.results / source.name
        with open(os.devnull, "w") as nowhere, Terminal(quiet=True, to=nowhere) as terminal:  # noqa: PTH123
            answer_one(
                source,
                entry,
                folder,
                task.made_from,
                task.questions,
                engine,
                task.settings,
                terminal,
            )
    except Med2E3Error as error:
        return _Outcome(entry, problem_of(error))
    except Exception as error:
        return _Outcome(entry, problem_of(Med2E3Error(unexpected_sentence(error))))
    return _Outcome(entry)


@cache
def _engine(workers: Workers) -> AnyEngine:
    """This process's own; processors, and the GPUs that are named, are shared out evenly."""
    os.environ.setdefault(_THREADS, str(max(1, (os.cpu_count() or 1) // workers.count)))
    gpus = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
    if len(gpus) > 1:
        number = multiprocessing.current_process().name.rpartition("-")[2]
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[int(number) % len(gpus)]
    return choose_engine(workers.address, workers.model, workers.device, workers.dtype)
