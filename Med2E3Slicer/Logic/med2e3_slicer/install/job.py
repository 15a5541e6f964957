"""One command that runs beside Slicer and tells what it does line by line.

Knows ``QProcess``; does not know which commands there are. The event loop never waits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import qt

from med2e3_slicer.engine.tail import Tail
from med2e3_slicer.engine.tree import kill_tree
from med2e3_slicer.engine.values import bytes_of, number_of

_FAILED_TO_START = 0
_LINE_END = re.compile(rb"[\r\n]+")


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: its exit code; None when it was cancelled or could not start.
        cancelled: whether `Job.cancel` ended it.
        details: the last part of what it wrote.
    """

    code: int | None
    cancelled: bool
    details: str

    @property
    def succeeded(self) -> bool:
        """Whether it did all it should."""
        return self.code == 0


class Job:
    """One run of a command.

    Args:
        command: program and arguments.
        environment: all of its variables.
        on_line: called with each line that it writes, on either stream.
        on_ended: called once.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        on_ended: Callable[[Outcome], None],
    ) -> None:
        self._on_line = on_line
        self._on_ended: Callable[[Outcome], None] | None = on_ended
        self._cancelled = False
        self._rest = b""
        self._tail = Tail()
        variables = qt.QProcessEnvironment()
        for name, value in environment.items():
            variables.insert(name, value)
        self._process = qt.QProcess()
        self._process.setProcessEnvironment(variables)
        self._process.setProcessChannelMode(qt.QProcess.MergedChannels)
        self._process.setProgram(command[0])
        self._process.setArguments(list(command[1:]))
        self._process.connect("readyReadStandardOutput()", self._read)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._error_occurred)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._on_ended is None

    def start(self) -> None:
        """Start it; returns at once."""
        self._process.start()
        self._process.closeWriteChannel()

    def cancel(self) -> None:
        """End it and what it started; `on_ended` follows when it is gone."""
        if self._on_ended is not None:
            self._cancelled = True
            kill_tree(int(self._process.processId()))

    def _read(self) -> None:
        data = bytes_of(self._process.readAllStandardOutput())
        self._tail.add(data)
        *lines, self._rest = _LINE_END.split(self._rest + data)
        self._say(lines)

    def _say(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            text = line.decode("utf-8", errors="replace").strip()
            if text and not self._cancelled:
                self._on_line(text)

    def _finished(self, code: int, status: object) -> None:
        self._read()
        self._say([self._rest])
        crashed = number_of(status) != 0
        self._end(None if self._cancelled else -1 if crashed else int(code))

    def _error_occurred(self, error: object) -> None:
        if number_of(error) == _FAILED_TO_START:
            self._tail.add(str(self._process.errorString()).encode())
            self._end(None)

    def _end(self, code: int | None) -> None:
        on_ended, self._on_ended = self._on_ended, None
        if on_ended is not None:
            self._process.deleteLater()  # Qt lets go of this object
            on_ended(Outcome(code, self._cancelled, self._tail.text()))
