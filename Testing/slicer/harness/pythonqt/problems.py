"""What went wrong inside Qt's machinery, kept for the test that caused it.

Knows: signatures that Qt does not know, exceptions in slots, messages that no test answered.  Does
not know: who records them, and what a test does with them (``conftest.py`` fails the test).
"""

from __future__ import annotations

import sys
import traceback
from types import TracebackType


class Problems:
    """A list of sentences, one for each thing that Slicer would only have printed."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def add(self, sentence: str) -> None:
        """Keep one sentence."""
        self.sentences.append(sentence)

    def add_exception(self, error: BaseException, where: str) -> None:
        """Keep an exception with its traceback; ``where`` says what was running."""
        text = "".join(traceback.format_exception(error))
        self.add(f"{where}: {type(error).__name__}: {error}\n{text}")

    def take(self) -> list[str]:
        """Return the sentences and forget them."""
        sentences, self.sentences = self.sentences, []
        return sentences


PROBLEMS = Problems()


def record_uncaught() -> None:
    """Keep exceptions that Qt's and VTK's callbacks hand to ``sys.excepthook``.

    PySide and VTK print an exception of a slot, an event handler or an observer through the hook
    and go on, as PythonQt does.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        PROBLEMS.add_exception(error.with_traceback(trace), "Exception in a callback")
        sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook
