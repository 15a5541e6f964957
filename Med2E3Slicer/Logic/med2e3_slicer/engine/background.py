"""Work off the main thread, inside Slicer's Python.

Slicer's idle event loop keeps Python's lock, so a thread gets no turn unless Python code runs on
the main thread. A timer here hands the lock over for a few milliseconds at a time: numpy works on
meanwhile without it, and the main thread never waits longer than one such turn. Knows threads and
timers; does not know what is worked on. The work must not touch Qt, MRML or VTK.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from med2e3.errors import Cancelled, Med2E3Error
from med2e3_slicer.engine.timers import end_timer

#: between two turns the event loop has this long for itself
_PAUSE_MS = 10
#: one turn: the main thread sleeps without Python's lock
_TURN_S = 0.005

#: work whose thread has not ended yet; also keeps the timers alive
_running: set[Background] = set()


class Background:
    """One piece of work in a thread; its result arrives on the main thread.

    Args:
        work: gets an event that is set when the person stops; its result goes to `on_done`.
        on_done: called on the main thread with the result.
        on_error: called on the main thread with what went wrong; after `cancel` with `Cancelled`.
    """

    def __init__(
        self,
        work: Callable[[threading.Event], Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[Med2E3Error], None],
    ) -> None:
        self._work = work
        self._on_done: Callable[[Any], None] | None = on_done
        self._on_error: Callable[[Med2E3Error], None] | None = on_error
        self._stopped = threading.Event()
        self._result: Any = None
        self._error: Med2E3Error | None = None
        self._thread = threading.Thread(target=self._run, name="Med2E3 work", daemon=True)
        self._timer = qt.QTimer()
        self._timer.setInterval(_PAUSE_MS)
        self._timer.connect("timeout()", self._give_a_turn)
        _running.add(self)
        self._thread.start()
        self._timer.start()

    @property
    def is_running(self) -> bool:
        """Whether the result is still to come."""
        return self._on_done is not None

    def cancel(self) -> None:
        """Stop: `on_error` gets `Cancelled` now, and what the thread still gives is dropped."""
        self._stopped.set()
        self._end(error=Cancelled())

    def _run(self) -> None:
        try:
            self._result = self._work(self._stopped)
        except Med2E3Error as error:
            self._error = error
        except MemoryError as error:
            self._error = Med2E3Error(
                _("There is not enough memory to prepare the volume."),
                hint=_("Close other volumes or programs and try again."),
                detail=repr(error),
            )
        except Exception:
            self._error = Med2E3Error(
                _("The volume could not be prepared because of a fault in this program."),
                hint=_("Please report it with the details."),
                detail=traceback.format_exc(),
            )

    def _give_a_turn(self) -> None:
        time.sleep(_TURN_S)
        if self._thread.is_alive():
            return
        end_timer(self._timer)
        _running.discard(self)
        self._end(result=self._result, error=self._error)

    def _end(self, *, result: Any = None, error: Med2E3Error | None = None) -> None:
        on_done, on_error = self._on_done, self._on_error
        self._on_done = self._on_error = None
        if on_done is None or on_error is None:
            return
        if error is not None:
            on_error(error)
        else:
            on_done(result)
