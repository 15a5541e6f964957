"""What a person sees while a volume is read and questions are answered.

Answers go to standard output, plain and in a fixed form; progress goes to standard error.  Knows
how an answer is shown; does not know how it comes about.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from med2e3.asking import Question
from med2e3.cli.glyphs import Glyphs, harmless
from med2e3.record import Exchange, position_text, source_text, stack_axis
from med2e3.volume import SlicePlace

_TOP = 3
_ENDINGS = {
    "length": "The answer reached the longest length allowed (--max-new-tokens).",
    "stop": "The answer ended at a stop text.",
    "cancelled": "The answer was stopped.",
}


class Terminal:
    """Standard output for results, standard error for progress.

    Args:
        quiet: show answers and notices only.
        to: gets both instead.
    """

    def __init__(self, *, quiet: bool = False, to: TextIO | None = None) -> None:
        self.quiet = quiet
        # nothing is wrapped into a file or a pipe, so that it can be searched and compared
        say = partial(Console, file=to, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._out, self._err = say(), say(stderr=to is None)
        self._glyphs = Glyphs.of(to or sys.stdout)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._at_line_start = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end_stage()
        if not self._at_line_start:
            self.line()

    # ---- progress, on standard error -------------------------------------------------------

    def stage(self, text: str, *, brief: bool = False) -> None:
        """Say what is being done now.

        Args:
            text: the work.
            brief: too short to be worth a line where there is no bar (in a file or a pipe).
        """
        self.end_stage()
        if self.quiet or (brief and not self._err.is_terminal):
            return
        if not self._err.is_terminal:
            self._err.print(text)
            return
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=self._err,
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task(text, total=None)

    def progress(self, done: int, total: int) -> None:
        """``done`` of ``total`` steps of the present stage."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total)

    def end_stage(self) -> None:
        """Take the progress bar away."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None

    def remark(self, text: str) -> None:
        """A line on standard error, shown even when quiet."""
        self.end_stage()
        self._err.print(harmless(text))

    # ---- answers, on standard output -------------------------------------------------------

    def line(self, text: str = "", *, style: str = "") -> None:
        """A line of its own."""
        self._out.print(Text(harmless(text), style=style))
        self._at_line_start = True

    def start_question(self, question: Question, number: int, total: int) -> None:
        """Show what is about to be asked."""
        if self.quiet:
            return
        self.end_stage()
        if number > 1:
            self.line()
        count = f"{number}/{total} " if total > 1 else ""
        self.line(f"{count}{question.text}", style="bold")
        for letter, choice in zip(question.letters, question.choices, strict=True):
            self.line(f"  {letter}. {choice}")

    def token(self, text: str) -> None:
        """Show what a token adds to the answer, at once."""
        self.end_stage()
        text = harmless(text)
        if text:
            self._out.print(Text(text), end="")
            self._out.file.flush()
            self._at_line_start = text.endswith("\n")

    def end_answer(self) -> None:
        """End the answer's last line; an empty answer still has one."""
        self.end_stage()
        self.line()

    def show_exchange(self, exchange: Exchange) -> None:
        """What belongs to an answer besides its words: choices, slices, scores."""
        if self.quiet:
            return
        if ending := _ENDINGS.get(exchange.finish_reason):
            self.line(f"({ending})", style="dim")
        elif not exchange.answer.strip():
            self.line("(The model ended without a word.)", style="dim")
        if exchange.choice_probabilities:
            shares = [f"{k} {v:.0%}" for k, v in exchange.choice_probabilities.items()]
            self.line(f"Choices: {f' {self._glyphs.dot} '.join(shares)}")
        if exchange.scores:
            self.line(f"Highest-scored slices (uniform is 1/{len(exchange.scores)}):")
            for text in slice_lines(exchange, self._glyphs):
                self.line(f"  {text}")
            self.line(score_bar(exchange, self._glyphs))
        else:
            self.line("This model gives no slice scores.")

    def show_warnings(self, warnings: Sequence[str]) -> None:
        """What a person should know about the volume; on standard error when quiet."""
        self.end_stage()
        if self.quiet:
            for warning in warnings:
                self.remark(f"Warning: {warning}")
        elif warnings:
            self.line()
            for warning in warnings:
                self.line(f"Warning: {warning}", style="yellow")

    def show_notice(self, notice: str) -> None:
        """The notice, which is never left out."""
        self.end_stage()
        if not self.quiet:
            self.line()
        self.line(notice, style="bold")


def slice_lines(exchange: Exchange, glyphs: Glyphs, count: int = _TOP) -> list[str]:
    """The highest-scored slices, highest first, one line each, in columns."""
    axis = stack_axis(exchange.slices)
    relative = exchange.relative_scores()
    total = len(relative)
    rows = []
    for index in exchange.top_slices(count):
        place = exchange.slices[index]
        rows.append(
            [
                f"slice {index + 1} of {total}",
                position_text(place, axis),
                f"source {source_text(place, dash=glyphs.dash)}",
                f"{relative[index]:.1f} {glyphs.times} uniform",
            ]
        )
    columns = [column for column in zip(*rows, strict=True) if any(column)]
    widths = [max(map(len, column)) for column in columns]
    padded = [
        [text.ljust(width) for text in column]
        for column, width in zip(columns, widths, strict=True)
    ]
    return [f" {glyphs.dot} ".join(row).rstrip() for row in zip(*padded, strict=True)]


def score_bar(exchange: Exchange, glyphs: Glyphs) -> str:
    """All scores in one line, with what lies at both ends."""
    axis = stack_axis(exchange.slices)
    first, last = (_end(exchange.slices[index], axis) for index in (0, -1))
    return f"  {first} {glyphs.bars(exchange.scores)} {last}"


def _end(place: SlicePlace, axis: int | None) -> str:
    return position_text(place, axis) or f"slice {place.index + 1}"
