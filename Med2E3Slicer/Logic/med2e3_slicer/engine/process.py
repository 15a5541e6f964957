"""The engine as a child process of Slicer.

Knows how it is started, how it says where it listens, and how it is ended with everything that it
started. Does not know HTTP, models or questions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import qt
from slicer.i18n import tr as _

from med2e3.errors import Med2E3Error
from med2e3_slicer.engine.environment import engine_environment, startup_environment
from med2e3_slicer.engine.tail import Tail
from med2e3_slicer.engine.timers import end_timer, single_shot
from med2e3_slicer.engine.tree import kill_group, kill_tree
from med2e3_slicer.engine.values import bytes_of, number_of

_CHILD = Path(__file__).with_name("child.py")
#: importing torch for the first time from a slow disk, with a virus scanner
_START_S = 180
#: after its input was closed the engine has this long to end by itself
_GRACE_S = 3
#: the one line that it prints is not longer
_LONGEST_LINE = 64 * 1024
#: QProcess::FailedToStart and QProcess::CrashExit
_FAILED_TO_START, _CRASH_EXIT = 0, 1


class EngineError(Med2E3Error):
    """The engine could not be started, or ended."""

    code = "engine"


class EngineUnusable(EngineError):  # noqa: N818 (a state, not a fault)
    """The engine's files are missing or cannot be run; setting it up again helps."""

    code = "engine-unusable"


class EngineLost(EngineError):  # noqa: N818 (a state, not a fault)
    """The engine ended while it ran; asking again starts another."""


@dataclass(frozen=True)
class EngineCommand:
    """How the engine is started.

    Args:
        python: the engine's own Python.
        arguments: of the command ``med2e3``.
    """

    python: Path
    arguments: tuple[str, ...]


class EngineProcess:
    """One start of the engine, from beginning to end; a restart is another object.

    Args:
        command: what to start.
        on_line: called once with the line in which the engine says where it listens.
        on_ended: called once when it has ended or could not start: with None when `stop` asked for
            it, otherwise with what happened.
    """

    def __init__(
        self,
        command: EngineCommand,
        on_line: Callable[[bytes], None],
        on_ended: Callable[[EngineError | None], None],
    ) -> None:
        self._command = command
        self._on_line: Callable[[bytes], None] | None = on_line
        self._on_ended: Callable[[EngineError | None], None] | None = on_ended
        self._line = b""
        self._errors = Tail()
        self._pid = 0
        self._asked_to_end = False
        self._late = False
        self._process = qt.QProcess()
        self._process.connect("readyReadStandardOutput()", self._read_output)
        self._process.connect("readyReadStandardError()", self._read_errors)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._error_occurred)
        self._clock = single_shot(self._time_is_up)

    @property
    def pid(self) -> int:
        """The child's process id; 0 before it runs and after it ended."""
        return self._pid

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or could not start."""
        return self._on_ended is None

    @property
    def details(self) -> str:
        """The last part of what the engine wrote to its error stream."""
        return self._errors.text()

    def start(self) -> None:
        """Start it; returns at once."""
        if not self._command.python.is_file():
            self._end(
                EngineUnusable(
                    _("The engine is not installed."),
                    hint=_("Open the set-up page of the module and install it."),
                )
            )
            return
        variables = qt.QProcessEnvironment()
        for name, value in engine_environment(*startup_environment()).items():
            variables.insert(name, value)
        self._process.setProcessEnvironment(variables)
        self._process.setWorkingDirectory(qt.QDir.tempPath())
        self._process.setProgram(str(self._command.python))
        self._process.setArguments([str(_CHILD), *self._command.arguments])
        self._clock.start(_START_S * 1000)
        self._process.start()
        self._pid = int(self._process.processId())

    def stop(self) -> None:
        """Ask it to end, and end it after a grace period if it did not; returns at once."""
        if self._on_ended is None or self._asked_to_end:
            return
        self._asked_to_end = True
        self._process.closeWriteChannel()
        self._clock.start(_GRACE_S * 1000)

    def kill(self) -> None:
        """End it and everything it started now; for Slicer's exit. Waits until it is gone."""
        self._asked_to_end = True
        if self._pid:
            kill_tree(self._pid)
            self._process.waitForFinished(1000)
        self._end(None)

    def _read_output(self) -> None:
        data = bytes_of(self._process.readAllStandardOutput())
        if self._on_line is None:
            return  # the engine's own words go to its error stream; this is not for us
        self._line += data
        line, newline, _ = self._line.partition(b"\n")
        if newline:
            self._clock.stop()
            on_line, self._on_line = self._on_line, None
            if not self._asked_to_end:
                on_line(line)
        elif len(self._line) > _LONGEST_LINE:
            kill_tree(self._pid)

    def _read_errors(self) -> None:
        self._errors.add(bytes_of(self._process.readAllStandardError()))

    def _time_is_up(self) -> None:
        self._late = not self._asked_to_end
        kill_tree(self._pid)

    def _error_occurred(self, error: object) -> None:
        if number_of(error) == _FAILED_TO_START:
            self._pid = 0
            self._end(
                EngineUnusable(
                    _("The engine's Python could not be started."),
                    hint=_("Install the engine again on the set-up page of the module."),
                    detail=str(self._process.errorString()),
                )
            )

    def _finished(self, code: int, status: object) -> None:
        self._read_errors()
        kill_group(self._pid)  # a child of the engine that outlived it
        self._pid = 0
        if self._asked_to_end:
            self._end(None)
            return
        crashed = number_of(status) == _CRASH_EXIT
        self._end(
            _what_happened(int(code), crashed, self._late, self._on_line is not None, self.details)
        )

    def _end(self, error: EngineError | None) -> None:
        if self._on_ended is not None:  # the first and only end: Qt lets go of this object
            end_timer(self._clock)
            self._process.deleteLater()
        on_ended, self._on_ended = self._on_ended, None
        self._on_line = None
        if on_ended is not None:
            on_ended(error)


def _what_happened(
    code: int, crashed: bool, late: bool, was_starting: bool, details: str
) -> EngineError:
    if late:
        return EngineError(
            _("The engine did not start within {seconds} seconds.").format(seconds=_START_S),
            hint=_("Try again; if it happens again, see the details."),
            detail=details,
        )
    if crashed:
        how = _("The engine crashed")
    else:
        how = _("The engine ended by itself (exit code {code})").format(code=code)
    if was_starting:
        return EngineError(
            _("{what_happened} while it started.").format(what_happened=how),
            hint=_("See the details for what it said, or install it again on the set-up page."),
            detail=details,
        )
    return EngineLost(
        f"{how}.",
        hint=_(
            "Ask again to start another; if it happens again, the memory of this computer may be "
            "too small for the model."
        ),
        detail=details,
    )
