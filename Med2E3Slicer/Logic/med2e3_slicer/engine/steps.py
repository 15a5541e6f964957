"""Work on the main thread in small steps, between which Slicer does everything else.

Knows generators and a timer; does not know what is worked on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import qt
from slicer.i18n import tr as _

from med2e3.errors import Cancelled, Med2E3Error
from med2e3_slicer.engine.timers import end_timer

#: stepping, kept alive until its end
_running: set[Steps] = set()


class Steps:
    """Runs a generator, one step for each turn of the event loop.

    Args:
        steps: each step takes a few milliseconds; its return value goes to `on_done`.
        on_done: called with the result.
        on_error: called with what went wrong; after `cancel` with `Cancelled`.
    """

    def __init__(
        self,
        steps: Generator[Any, None, Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[Med2E3Error], None],
    ) -> None:
        self._steps = steps
        self._on_done = on_done
        self._on_error = on_error
        self._over = False
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._step)
        _running.add(self)
        self._timer.start()

    def cancel(self) -> None:
        """Stop: nothing more is done, and `on_error` gets `Cancelled`."""
        if not self._over:
            self._stop()
            self._on_error(Cancelled())

    def _step(self) -> None:
        if self._over:
            return
        try:
            next(self._steps)
        except StopIteration as end:
            self._stop()
            self._on_done(end.value)
        except Med2E3Error as error:
            self._stop()
            self._on_error(error)
        except MemoryError as error:
            self._stop()
            self._on_error(
                Med2E3Error(
                    _("There is not enough memory for a copy of the volume."),
                    hint=_("Close other volumes or programs and try again."),
                    detail=repr(error),
                )
            )

    def _stop(self) -> None:
        self._over = True
        end_timer(self._timer)
        self._steps.close()
        _running.discard(self)
