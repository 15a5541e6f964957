"""A question and what comes back while it is answered (light half: no torch)."""

from med2e3.asking.events import (
    Done,
    Event,
    Progress,
    Scores,
    Stage,
    Token,
)
from med2e3.asking.options import GenerationOptions
from med2e3.asking.question import REPORT_QUESTION, Question, Turn

__all__ = [
    "REPORT_QUESTION",
    "Done",
    "Event",
    "GenerationOptions",
    "Progress",
    "Question",
    "Scores",
    "Stage",
    "Token",
    "Turn",
]
