"""An engine as a child process of this one.

Knows how it is started, watched and ended; talks to it as to any other engine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

from med2e3.asking import Done, Event, GenerationOptions, Question
from med2e3.client.engine import VolumeInput
from med2e3.client.remote import RemoteEngine
from med2e3.devices import AUTO
from med2e3.errors import Cancelled
from med2e3.protocol import (
    Capabilities,
    EngineUnreachable,
    Hello,
    child_arguments,
    parse_hello,
)

_START_S = 120.0
_END_S = 10.0
_SEEN_S = 2.0


class LocalEngine:
    """See :class:`med2e3.client.engine.Engine`.

    The child starts at the first request, and again if it has died since; it ends with
    :meth:`close`, and when this process ends, however that happens.

    Args:
        model: name or folder of the model.
        python: of the environment in which med2e3 and torch are installed.
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        precision: number format or quantization of the weights.
        environment: of the child; None for this process's own.
    """

    def __init__(
        self,
        model: str,
        *,
        python: str = sys.executable,
        device: str = AUTO,
        precision: str = AUTO,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._command = child_arguments(python, model=model, device=device, precision=precision)
        self._environment = environment
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._remote: RemoteEngine | None = None

    def capabilities(self) -> Capabilities:
        """The model, once it is loaded, and the engine's present state."""
        return self._ready().wait_until_ready()

    def put_volume(self, volume: VolumeInput) -> None:
        """Hand a volume over before the first question."""
        self._ready().put_volume(volume)

    def ask(
        self,
        volume: VolumeInput,
        question: Question,
        options: GenerationOptions | None = None,
        *,
        cancel: threading.Event | None = None,
    ) -> Iterator[Event]:
        """Answer a question; see :meth:`med2e3.client.engine.Engine.ask`."""
        remote = self._ready()
        process = self._process
        try:
            try:
                remote.wait_until_ready(cancel=cancel)
            except Cancelled:
                yield Done("", (), (), (), "cancelled")
                return
            yield from remote.ask(volume, question, options, cancel=cancel)
        except EngineUnreachable as error:
            if process is None or not _has_ended(process):
                raise
            raise EngineUnreachable(
                "The engine's process ended unexpectedly.",
                hint="Ask again: it is started anew.",
                detail=f"exit code {process.returncode}",
            ) from error

    def drop_volume(self, sha256: str) -> None:
        """Let the engine forget a volume."""
        self._ready().drop_volume(sha256)

    def close(self) -> None:
        """End the child."""
        with self._lock:
            process, self._process, self._remote = self._process, None, None
        if process is not None:
            _end(process)

    def _ready(self) -> RemoteEngine:
        with self._lock:
            if self._remote is None or self._process is None or self._process.poll() is not None:
                if self._process is not None:
                    _end(self._process)
                self._process = self._start()
                try:
                    hello = _first_line(self._process)
                except BaseException:
                    _end(self._process)
                    self._process = None
                    raise
                # on this computer a connection breaks only with the child: nothing to wait for
                self._remote = RemoteEngine(hello.address, hello.token, grace_s=0)
            return self._remote

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ} if self._environment is None else self._environment,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise EngineUnreachable(
                "The engine's Python cannot be started.",
                hint="Install the engine again.",
                detail=repr(error),
            ) from error


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a child is gone; its connections break a moment before that can be seen."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(_SEEN_S)
    return process.returncode is not None


def _first_line(process: subprocess.Popen[bytes]) -> Hello:
    """What a child says first, waited for a bounded time."""
    lines: list[bytes] = []
    output = process.stdout
    assert output is not None
    reader = threading.Thread(target=_read_line, args=(output, lines), daemon=True)
    reader.start()
    reader.join(_START_S)
    if reader.is_alive():
        raise EngineUnreachable("The engine did not start in time.", hint="Try again.")
    return parse_hello(lines[0].decode("utf-8", errors="replace"))


def _read_line(output: IO[bytes], lines: list[bytes]) -> None:
    lines.append(output.readline(1 << 16))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe, which ends the child; kill it when it does not."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
