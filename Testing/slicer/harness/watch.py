"""How long the event loop was busy without a break, and with what.

Knows: the dispatcher's two signals, the first event of a turn, the main thread's stack.  Does not
know: what is being tested.  Timers and sockets are served between a wait and the next turn of the
dispatcher, so a filter on the application marks the first event after a wait.

A *turn* is what the loop does between two waits.  On a shared computer the wall time of a turn also
holds the time in which another process had the processor; ``cpu_ms`` and ``waits`` (voluntary
pauses of the main thread: sleeping, waiting for a process, a lock, a socket) do not depend on that.
A test asserts about ``waits`` and ``cpu_ms`` and about ``where``; benchmarks report ``wall_ms``.
"""

from __future__ import annotations

import resource
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

from PySide6 import QtCore


@dataclass
class Turn:
    """One busy turn of the loop: milliseconds, voluntary pauses, and the stacks seen in it."""

    wall_ms: float
    cpu_ms: float
    waits: int
    where: list[str] = field(default_factory=list)

    @property
    def idle_ms(self) -> float:
        """Milliseconds in which the main thread did not compute."""
        return max(0.0, self.wall_ms - self.cpu_ms)


class _First(QtCore.QObject):
    """Calls back at every event; the watch uses the first of a turn."""

    def __init__(self, seen: Any) -> None:
        super().__init__()
        self.seen = seen

    def eventFilter(self, _watched: Any, _event: Any) -> bool:
        self.seen()
        return False


class EventLoopWatch:
    """Watches the loop while it runs; made by the fixture ``event_loop_watch``."""

    #: stacks are taken of turns longer than this, every 5 ms
    LONG_MS = 50.0

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._began: tuple[float, float, int] | None = None
        self.running = False
        self._main = threading.get_ident()
        self._stacks: list[str] = []
        self._ended = threading.Event()
        self._dispatcher: Any = QtCore.QAbstractEventDispatcher.instance()
        self._dispatcher.connect("awake()", self._begin)
        self._dispatcher.connect("aboutToBlock()", self._end)
        self._first = _First(self._event)
        QtCore.QCoreApplication.instance().installEventFilter(self._first)
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    @staticmethod
    def _now() -> tuple[float, float, int]:
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        return time.perf_counter(), time.thread_time(), usage.ru_nvcsw

    def _event(self) -> None:
        if self._began is None and self.running:
            self._stacks = []
            self._began = self._now()

    def _begin(self) -> None:
        self._end()
        if not self.running:
            return
        self._stacks = []
        self._began = self._now()

    def _end(self) -> None:
        if self._began is None:
            return
        wall, cpu, switches = self._began
        self._began = None
        wall_now, cpu_now, switches_now = self._now()
        self.turns.append(
            Turn(
                (wall_now - wall) * 1000,
                (cpu_now - cpu) * 1000,
                switches_now - switches,
                self._stacks,
            )
        )

    def entered(self) -> None:
        """The test runs the loop."""
        self.running = True

    def left(self) -> None:
        """The test left the loop: what comes until it runs again is the test's own."""
        self._end()
        self.running = False

    def _sample(self) -> None:
        while not self._ended.wait(0.005):
            began, stacks = self._began, self._stacks
            if began is None or (time.perf_counter() - began[0]) * 1000 < self.LONG_MS:
                continue
            frame = sys._current_frames().get(self._main)
            if frame is not None and len(stacks) < 20:
                stacks.append("".join(traceback.format_stack(frame, limit=8)))

    def reset(self) -> None:
        """Forget the turns."""
        self.turns = []

    def stop(self) -> None:
        """Watch no more."""
        self._dispatcher.disconnect("awake()", self._begin)
        self._dispatcher.disconnect("aboutToBlock()", self._end)
        QtCore.QCoreApplication.instance().removeEventFilter(self._first)
        self._began = None
        self._ended.set()
        self._thread.join()

    @property
    def longest_ms(self) -> float:
        """The wall time of the longest turn."""
        return max((turn.wall_ms for turn in self.turns), default=0.0)

    @property
    def longest_cpu_ms(self) -> float:
        """The computing time of the turn that computed longest."""
        return max((turn.cpu_ms for turn in self.turns), default=0.0)

    def long_turns(self) -> list[Turn]:
        """Turns longer than ``LONG_MS``."""
        return [turn for turn in self.turns if turn.wall_ms > self.LONG_MS]

    def blocking(self, part: str = "med2e3") -> list[str]:
        """Stacks of long turns in which code of ``part`` was running; a test wants none."""
        return [each for turn in self.long_turns() for each in turn.where if part in each]
