"""What a pool says when a question cannot be answered.

Knows words; decides nothing.
"""

from __future__ import annotations

from med2e3.errors import EngineCrashedError, Med2E3Error
from med2e3.protocol import UnknownVolume

#: replicas that may be lost under one question; from the second on it is answered alone
MOST_LOSSES = 3


def unexpected(cause: Exception) -> Med2E3Error:
    """A fault in the program."""
    return Med2E3Error(
        f"Something unexpected happened in the engine ({type(cause).__name__}).",
        hint="Ask again; the engine's log says more.",
    )


def no_volume() -> Med2E3Error:
    """The volume was not put, or was dropped."""
    return UnknownVolume("The engine does not hold this volume (any more).", hint="Put it again.")


def lost_too_often(error: Med2E3Error) -> Med2E3Error:
    """A question that perhaps ends whatever answers it."""
    return EngineCrashedError(
        f"{MOST_LOSSES} replicas were lost while they answered this question, so it is not asked "
        "again.",
        hint="Ask again, or something else; the operator's log may say why.",
        detail=f"last: {error.sentence} {error.detail}",
    )
