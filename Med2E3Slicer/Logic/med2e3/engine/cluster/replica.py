"""One replica: a model in a worker process, and what a service elsewhere may ask of it.

Knows messages as bytes, in pieces that are small enough to travel within a call; the model itself
is a :class:`med2e3.engine.worker.WorkerBackend`.  Knows nothing of Ray or of other replicas.  Its
methods raise nothing but what a fault in the program raises: errors are messages.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any, cast

import numpy as np

from med2e3.asking import Event
from med2e3.engine.core_dumps import forbid_core_dumps
from med2e3.engine.logs import log_to_stderr
from med2e3.engine.worker import WorkerBackend, wire
from med2e3.errors import Med2E3Error
from med2e3.protocol import EngineUnreachable, problem_of

#: Ray keeps arguments and results of up to 100 kB within the call itself; larger ones go to its
#: object store, which may write to disk
PIECE_BYTES = 64 << 10


def in_pieces(data: bytes | memoryview) -> Iterator[bytes]:
    """Cut bytes into pieces that never reach the object store; at least one."""
    for begin in range(0, max(1, len(data)), PIECE_BYTES):
        yield bytes(data[begin : begin + PIECE_BYTES])


def packed(message: dict[str, Any]) -> list[bytes]:
    """A message in pieces."""
    return list(in_pieces(json.dumps(message, allow_nan=False).encode()))


def unpacked(pieces: tuple[bytes, ...] | list[bytes]) -> dict[str, Any]:
    """The message that :func:`packed` gave."""
    message: dict[str, Any] = json.loads(b"".join(pieces))
    return message


class Replica:
    """What runs in a process of the cluster.

    Args:
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        precision: number format or quantization of the weights.
    """

    def __init__(self, device: str, precision: str) -> None:
        forbid_core_dumps()
        log_to_stderr()
        #: another one when the process was started again, which then holds nothing
        self._life = secrets.token_hex(8)
        self._backend = WorkerBackend(device=device, precision=precision)
        self._arriving: dict[str, bytearray] = {}

    async def state(self) -> bytes:
        """Which life this is, the process ids, and the backend's status."""
        status = self._backend.status()
        return json.dumps(
            {
                "life": self._life,
                "pids": [os.getpid(), self._backend.worker_pid],
                "state": status.state,
                "problem": status.problem,
                "model": wire.model_to_json(status.model) if status.model else None,
                "memory": [status.memory_total, status.memory_free],
                "restarts": status.restarts,
            }
        ).encode()

    async def load(self, model: str) -> bytes:
        """Load a model; an empty answer, or a problem document."""
        try:
            await self._backend.load(model)
        except Med2E3Error as error:
            return json.dumps(problem_of(error)).encode()
        return b""

    async def unload(self) -> None:
        """Free the model's memory."""
        await self._backend.unload()

    async def put(self, sha256: str, begin: int, *pieces: bytes) -> None:
        """A part of a volume, from byte ``begin`` on."""
        if begin == 0:
            self._arriving[sha256] = bytearray()
        body = self._arriving.get(sha256)
        if body is not None and len(body) == begin:
            for piece in pieces:
                body += piece

    async def keep(self, sha256: str, shape: list[int]) -> bytes:
        """All parts of a volume (slices, rows, columns) were sent; as :meth:`load` answers."""
        body = self._arriving.pop(sha256, bytearray())
        try:
            if len(body) != np.prod(shape) * 4:
                raise EngineUnreachable("Parts of a volume did not arrive.", hint="Ask again.")
            voxels = np.frombuffer(body, np.float32).reshape(shape)
            await self._backend.put_volume(sha256, voxels)
        except Med2E3Error as error:
            return json.dumps(problem_of(error)).encode()
        return b""

    async def drop(self, sha256: str) -> None:
        """Forget a volume, and what has arrived of it."""
        self._arriving.pop(sha256, None)
        await self._backend.drop_volume(sha256)

    async def ask(self, *pieces: bytes) -> AsyncIterator[tuple[bool, bytes]]:
        """Answer a job: pieces of messages, each with whether it is the message's last."""
        job = wire.job_from_json(unpacked(pieces))
        events = cast("AsyncGenerator[Event, None]", self._backend.ask(job))
        async with aclosing(events):
            try:
                async for event in events:
                    for part in _parts(wire.outcome_to_json(job.id, event)):
                        yield part
            except Med2E3Error as error:
                for part in _parts(wire.outcome_to_json(job.id, error)):
                    yield part

    async def cancel(self, job: str) -> None:
        """Stop a job."""
        self._backend.cancel(job)

    async def close(self) -> None:
        """End the process with the model."""
        await self._backend.close()


def _parts(message: dict[str, Any]) -> Iterator[tuple[bool, bytes]]:
    pieces = packed(message)
    for number, piece in enumerate(pieces, start=1):
        yield number == len(pieces), piece
