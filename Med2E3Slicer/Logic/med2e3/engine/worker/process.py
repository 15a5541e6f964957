"""The process with the model, as the service sees it.

Knows how it is started, talked to and ended; does not know what is said.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

import med2e3
from med2e3.engine.worker import frames

#: ``-P``: what lies in the working directory is never imported
COMMAND = (sys.executable, "-P", "-m", "med2e3.engine.worker.child")
#: the service's own secret, which the process with the model need not know
TOKEN_VARIABLE = "MED2E3_TOKEN"
#: seconds that it gets to end by itself
_PATIENCE = 2.0


class WorkerProcess:
    """One process; made by :meth:`start`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._outbox: asyncio.Queue[tuple[frames.Message, memoryview | None]] = asyncio.Queue()
        self._writer = asyncio.create_task(self._write())
        #: volumes that it was sent
        self.volumes: set[str] = set()

    @classmethod
    async def start(cls, command: Sequence[str] = COMMAND) -> WorkerProcess:
        """Start it; its messages to stderr go where this process's go."""
        sources = str(Path(med2e3.__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, (sources, os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": path}
        environment.pop(TOKEN_VARIABLE, None)
        return cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def post(self, message: frames.Message, data: npt.NDArray[np.float32] | None = None) -> None:
        """Send a message, in the order of the calls, once the pipe takes it."""
        view = None if data is None else np.ascontiguousarray(data).data.cast("B")
        self._outbox.put_nowait((message, view))

    async def messages(self) -> AsyncGenerator[frames.Message, None]:
        """What it says, until it ends."""
        assert self._process.stdout is not None
        with suppress(EOFError, ConnectionError):
            while True:
                yield await frames.read_async(self._process.stdout)

    async def end(self) -> int:
        """End it, by force if it must be; returns its exit code."""
        self._writer.cancel()
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return await asyncio.wait_for(self._process.wait(), _PATIENCE)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            return await self._process.wait()

    async def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(ConnectionError, OSError):  # its end is noticed where it is read from
            while True:
                message, data = await self._outbox.get()
                pipe.write(frames.pack(message, len(data) if data is not None else 0))
                if data is not None:
                    pipe.write(data)
                await pipe.drain()
