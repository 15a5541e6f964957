"""What the panel says: question, choices, answer, notices, footer.

Knows the wording and its type sizes; does not know where it stands on the page.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass

from med2e3 import palette
from med2e3.asking.question import IMAGE_MARK
from med2e3.figure.canvas import Canvas, line_height
from med2e3.figure.text import MISSING, clean, font, wrap
from med2e3.notice import NOTICE
from med2e3.record import Exchange

_HEADINGS = {
    "report": "REPORT ASKED FOR",
    "open_vqa": "QUESTION",
    "closed_vqa": "MULTIPLE-CHOICE QUESTION",
}
_ENDINGS = {
    "length": "The answer was cut at the longest length allowed.",
    "stop": "The answer ended at a stop text.",
    "cancelled": "The answer was stopped by a person.",
}
_PADDING = 0.1


@dataclass(frozen=True)
class Block:
    """Lines of one kind.

    Args:
        lines: already broken.
        size: type size in points.
        bold: weight.
        color: of the text.
        card: colour of a rectangle behind, or an empty text.
        width: of the rectangle, in inches.
        after: white space below, in inches.
    """

    lines: tuple[str, ...]
    size: float
    bold: bool = False
    color: str = palette.INK
    card: str = ""
    width: float = 0.0
    after: float = 0.0

    @property
    def height(self) -> float:
        """Inches, white space included."""
        padding = 2 * _PADDING if self.card else 0.0
        return len(self.lines) * line_height(self.size) + padding + self.after

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        """Draw the block with its upper left corner at (x, y)."""
        if self.card:
            canvas.card(x, y, self.width, self.height - self.after, self.card)
            x, y = x + _PADDING, y + _PADDING
        canvas.lines(x, y, self.lines, size=self.size, bold=self.bold, color=self.color)


def text_blocks(exchange: Exchange, width: float) -> Iterator[Block]:
    """The text column of one exchange, from top to bottom, ``width`` inches wide."""
    question, lost_in_question = clean(exchange.question.replace(IMAGE_MARK, " ").strip())
    choices, lost_in_choices = clean("\n".join(_choices(exchange)))
    answer, lost_in_answer = clean(exchange.answer.strip())

    yield _heading(_HEADINGS[exchange.task])
    yield _block(question, width, 11.5, bold=True, after=0.1)
    if choices:
        yield _block(choices, width, 9.5, after=0.1)
    yield _heading("ANSWER OF THE MODEL")
    if answer:
        yield _block(answer, width, 10, after=0.08)
    else:
        yield _block("(no words)", width, 10, color=palette.QUIET, after=0.08)
    if exchange.finish_reason in _ENDINGS:
        yield _block(_ENDINGS[exchange.finish_reason], width, 8, color=palette.QUIET, after=0.04)
    lost = lost_in_question + lost_in_choices + lost_in_answer
    if lost:
        note = f"{lost} characters marked {MISSING} are in no font of this computer."
        yield _block(note, width, 8, color=palette.QUIET, after=0.04)
    if not exchange.scores:
        note = "This model gives no slice scores."
        yield _block(note, width, 8, color=palette.QUIET, after=0.04)
    yield Block((), 1, after=0.12)
    if exchange.model.notice:
        notice, _ = clean(exchange.model.notice)
        yield _card(notice, width, palette.WARNING_CARD, palette.WARNING_INK, bold=True)
    yield _card(NOTICE, width, palette.CARD, palette.INK, bold=True)
    for warning in exchange.warnings:
        yield _card(clean(warning)[0], width, palette.CARD, palette.QUIET, bold=False)


def footer_text(exchange: Exchange, width: float) -> list[str]:
    """Which model, with which picture settings, in one or more lines."""
    model = exchange.model
    parts = [f"model {model.name}"]
    if model.revision:
        is_hash = len(model.revision) >= 32
        parts.append(f"revision {model.revision[:12] if is_hash else model.revision}")
    parts.append(f"weights {model.sha256[:12]}")
    parts.append(window_text(exchange))
    if plane := exchange.preprocessing.get("plane"):
        parts.append(f"plane {plane}")
    parts.append(f"software med2e3 {exchange.software['med2e3']}")
    text, _ = clean("  \N{MIDDLE DOT}  ".join(parts))
    return wrap(text, width, font(8))


def window_text(exchange: Exchange) -> str:
    """Which voxel values the pictures show."""
    window = exchange.preprocessing.get("window")
    if not window:
        return "values as they are in the file"
    return f"window {window['name']} (center {window['center']:g}, width {window['width']:g})"


def _choices(exchange: Exchange) -> Iterator[str]:
    for letter, choice in zip(string.ascii_uppercase, exchange.choices, strict=False):
        probability = exchange.choice_probabilities.get(letter)
        share = "" if probability is None else f"  ({probability:.0%})"
        yield f"{letter}.  {choice}{share}"


def _heading(text: str) -> Block:
    return Block((text,), 7.5, bold=True, color=palette.QUIET, after=0.04)


def _block(
    text: str,
    width: float,
    size: float,
    *,
    bold: bool = False,
    color: str = palette.INK,
    after: float = 0.0,
) -> Block:
    lines = wrap(text, width, font(size, bold=bold))
    return Block(tuple(lines), size, bold=bold, color=color, after=after)


def _card(text: str, width: float, card: str, color: str, *, bold: bool) -> Block:
    lines = wrap(text, width - 2 * _PADDING, font(8.5, bold=bold))
    return Block(tuple(lines), 8.5, bold=bold, color=color, card=card, width=width, after=0.08)
