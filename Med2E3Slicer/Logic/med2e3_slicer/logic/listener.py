"""Who is told what happens to a question.

Knows the calls and their order; does nothing by itself.
"""

from __future__ import annotations

from med2e3.errors import Med2E3Error
from med2e3.record import Exchange
from med2e3_slicer.records import StoredExchange


class AskListener:
    """Every call comes on the main thread; the last is one of `answered`, `stopped`, `failed`."""

    def stage(self, name: str) -> None:
        """``starting``, ``loading``, ``preparing``, ``sending``, ``encoding``, ... begins."""

    def progress(self, done: int, total: int) -> None:
        """Steps of the present stage."""

    def scored(self, partial: Exchange) -> None:
        """The scores are there, before the first word; ``partial`` has no answer yet."""

    def token(self, text: str) -> None:
        """What one token adds to the answer."""

    def restarted(self, reason: Med2E3Error) -> None:
        """The engine was lost and the question is asked again; words so far are void."""

    def answered(self, exchange: Exchange, stored: StoredExchange | None) -> None:
        """The end: the record, and how the scene holds it (None when it was not to be stored)."""

    def stopped(self) -> None:
        """The end: stopped before there was anything to keep."""

    def failed(self, error: Med2E3Error) -> None:
        """The end: it failed; nothing was put into the scene."""
