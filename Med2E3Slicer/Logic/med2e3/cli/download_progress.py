"""The progress of a download on the terminal.

Knows how to draw it (on the error stream, so that standard output stays for results); does not
know what is downloaded or why.
"""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

from med2e3.weights.install import Reporter


class TerminalReporter(Reporter):
    """Draws bytes, speed and remaining time; on a stream that is no terminal it prints lines.

    Args:
        console: where to draw.
        quiet: draw nothing; remarks are printed all the same.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._task: TaskID | None = None
        self._progress = Progress(
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            BarColumn(bar_width=12),
            DownloadColumn(table_column=Column(no_wrap=True)),
            TransferSpeedColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=console,
            expand=True,
            disable=quiet or not console.is_terminal,
        )

    def __enter__(self) -> TerminalReporter:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()

    def stage(self, sentence: str) -> None:
        """Show what is being done now."""
        if self._task is not None:
            self._progress.update(self._task, description=sentence)
        if not self._quiet and (self._task is None or not self._console.is_terminal):
            self._console.print(sentence, markup=False, highlight=False)

    def note(self, sentence: str) -> None:
        """Print a line that stays."""
        if not self._quiet:
            self._console.print(sentence, markup=False, highlight=False)

    def received(self, done_bytes: int, total_bytes: int) -> None:
        """Move the bar."""
        if self._task is None:
            self._task = self._progress.add_task("Downloading", total=total_bytes)
            # What lay here before this run is no speed.
            self._progress.update(self._task, completed=done_bytes)
            self._progress.reset(self._task, completed=done_bytes, total=total_bytes)
        self._progress.update(self._task, completed=done_bytes)
