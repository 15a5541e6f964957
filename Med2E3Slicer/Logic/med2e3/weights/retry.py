"""Trying again after a failure that may pass.

Knows how often and how long to wait; does not know what is tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from med2e3.errors import WeightsError

T = TypeVar("T")


class TransientError(WeightsError):
    """A failure that may pass by itself: a lost connection, a busy server.

    Args:
        retry_after_s: how long the server asks to wait, seconds; None when it does not say.
    """

    def __init__(
        self,
        sentence: str,
        *,
        hint: str = "",
        detail: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(sentence, hint=hint, detail=detail)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Retry:
    """How often something is tried again.

    Attributes:
        times: how many failures in a row are forgiven; progress in between starts the count
            again, so that a long download over a poor line gets through.
        first_wait_s: wait after the first failure; doubles with each further one.
        longest_wait_s: no wait is longer, whatever the server asks.
        sleep: how to wait.
    """

    times: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    sleep: Callable[[float], None] = time.sleep

    def call(
        self,
        action: Callable[[], T],
        *,
        progressed: Callable[[], bool] = lambda: False,
        notify: Callable[[str], None] = lambda sentence: None,
    ) -> T:
        """Call ``action`` until it succeeds.

        Args:
            action: raises :class:`TransientError` when trying again makes sense.
            progressed: asked after each failure whether it got further than before.
            notify: told before each wait what happened and what comes.

        Raises:
            WeightsError: what ``action`` raised last; anything else it raises passes through.
        """
        failures = 0
        while True:
            try:
                return action()
            except TransientError as error:
                failures = 1 if progressed() else failures + 1
                if failures > self.times:
                    raise
                wait = self.first_wait_s * 2 ** (failures - 1)
                wait = min(max(wait, error.retry_after_s or 0.0), self.longest_wait_s)
                notify(f"{error.sentence} Trying again in {wait:g} s ({failures} of {self.times}).")
                self.sleep(wait)
