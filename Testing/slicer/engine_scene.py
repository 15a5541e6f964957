"""What the tests of the engine share: the real engine, and Slicer's side of it.

Knows the engine's Python (this one) and the embedded model; tests nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

LOGIC = Path(__file__).resolve().parents[2] / "Med2E3Slicer" / "Logic"
TOKEN = "a-token-of-the-tests-1234"
#: a machine that is busy with other things
PATIENCE_S = 400.0


def settings_file(qt: Any, folder: Path) -> Any:
    """Settings that are the test's own."""
    return qt.QSettings(str(folder / "settings.ini"), qt.QSettings.IniFormat)


def choice(**changes: Any) -> Any:
    """The engine that these tests start."""
    from med2e3_slicer.engine import EngineChoice

    values = {"python": Path(sys.executable), "device": "cpu", "model": "embedded"} | changes
    return EngineChoice(**values)


def processes_of(group: int) -> list[int]:
    """Ids of all processes of a process group that are alive."""
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.Error):
            continue
    return found


def kill(pid: int) -> None:
    """As the system does when memory runs out."""
    os.kill(pid, signal.SIGKILL)


@contextmanager
def running_engine(*arguments: str, token: str = TOKEN) -> Iterator[str]:
    """An engine that runs already, as a department's; gives its address."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "med2e3.cli.main",
            "serve",
            "--port",
            "0",
            "--device",
            "cpu",
            *list(arguments),
        ],
        env=os.environ | {"MED2E3_TOKEN": token, "PYTHONPATH": str(LOGIC)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield line.strip().rpartition(" ")[2]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for left in processes_of(process.pid):
            kill(left)


def until(application: Any, condition: Any, seconds: float = PATIENCE_S) -> None:
    """Run the event loop until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        application.wait(20)


class Heard:
    """A listener that notes everything."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.words: list[str] = []
        self.calls: list[str] = []
        self.scores: tuple[float, ...] = ()
        self.error: Any = None
        self.exchange: Any = None
        self.stored: Any = None
        self.times: list[float] = []
        #: called with the name of each call, to act in the middle of an answer
        self.react: Any = lambda name: None

    @property
    def is_over(self) -> bool:
        return bool({"answered", "stopped", "failed"} & set(self.calls))

    def _note(self, name: str) -> None:
        self.times.append(time.perf_counter())
        self.calls.append(name)
        self.react(name)

    def stage(self, name: str) -> None:
        self.stages.append(name)
        self._note("stage")

    def progress(self, done: int, total: int) -> None:
        self._note("progress")

    def scored(self, partial: Any) -> None:
        self.scores = partial.scores
        self._note("scored")

    def token(self, text: str) -> None:
        self.words.append(text)
        self._note("token")

    def restarted(self, reason: Any) -> None:
        self.words.clear()
        self._note("restarted")

    def answered(self, exchange: Any, stored: Any) -> None:
        self.exchange, self.stored = exchange, stored
        self._note("answered")

    def stopped(self) -> None:
        self._note("stopped")

    def failed(self, error: Any) -> None:
        self.error = error
        self._note("failed")
