"""Work in several processes, one piece at a time each, whatever happens to a process.

Knows processes and pipes.  A process that dies costs the piece it worked at and is replaced; when
this process dies, the others end by themselves.  Knows nothing of the work.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar, cast

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class _Worker(Generic[T]):
    """A process, this side of its pipe, and what it is working at."""

    process: BaseProcess
    pipe: Connection
    piece: T | None = None


def run_in_processes(
    pieces: Iterable[T], work: Callable[[T], R], workers: int
) -> Generator[tuple[T, R | None], None, None]:
    """Do all pieces of work; results come as they are ready.

    Ctrl-C reaches this process alone; closing the iterator ends the processes at once, so that
    work must leave nothing half done that is seen as done.

    Args:
        pieces: sent to a process when it is free; can be pickled by multiprocessing.
        work: a function of a module; must not raise.
        workers: number of processes, at least 1.

    Yields:
        a piece and its result; None when its process died, such as for lack of memory.
    """
    remaining = iter(pieces)
    idle: list[_Worker[T]] = []
    busy: dict[Connection, _Worker[T]] = {}
    try:
        for piece in remaining:
            worker = idle.pop() if idle else _start(work)
            _give(worker, piece)
            busy[worker.pipe] = worker
            if len(busy) < workers:
                continue
            yield from _finished(busy, idle)
        while busy:
            yield from _finished(busy, idle)
    finally:
        for worker in (*idle, *busy.values()):
            worker.pipe.close()
        for worker in busy.values():
            worker.process.terminate()
        for worker in (*idle, *busy.values()):
            worker.process.join()


def _start(work: Callable[[T], R]) -> _Worker[T]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    with _without_ctrl_c():
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Hold Ctrl-C back, so that a process that begins now never gets it (not on Windows)."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _give(worker: _Worker[T], piece: T) -> None:
    worker.piece = piece
    with suppress(OSError):  # it died meanwhile: seen when its result is awaited
        worker.pipe.send(piece)


def _finished(
    busy: dict[Connection, _Worker[T]], idle: list[_Worker[T]]
) -> Iterator[tuple[T, R | None]]:
    """Wait for at least one process; those that are done become idle."""
    for pipe in cast("list[Connection]", wait(list(busy))):
        worker = busy.pop(pipe)
        piece = cast("T", worker.piece)
        result: R | None = None
        try:
            result = pipe.recv()
            idle.append(worker)
        except (EOFError, OSError):
            pipe.close()
            worker.process.join()
        worker.piece = None
        yield piece, result


def _serve(pipe: Connection, work: Callable[[T], R]) -> None:
    """What a process does: one piece after the other, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError):
        while True:
            pipe.send(work(pipe.recv()))
