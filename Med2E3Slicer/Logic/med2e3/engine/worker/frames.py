"""Messages between the service and the process with the model.

A message is a JSON object and, for a volume, its bytes behind it.  Knows how they are cut from a
pipe; does not know what they mean.
"""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any, BinaryIO

#: sizes of the JSON text and of the bytes behind it
_SIZES = struct.Struct("<IQ")

Message = dict[str, Any]


def pack(message: Message, size: int = 0) -> bytes:
    """A message without the ``size`` bytes that follow it."""
    text = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    return _SIZES.pack(len(text), size) + text


def read(pipe: BinaryIO) -> tuple[Message, bytearray]:
    """The next message of a pipe, with its bytes.

    Raises:
        EOFError: when the other side is gone.
    """
    length, size = _SIZES.unpack(_exactly(pipe, _SIZES.size))
    message: Message = json.loads(bytes(_exactly(pipe, length)))
    return message, _exactly(pipe, size)


async def read_async(pipe: asyncio.StreamReader) -> Message:
    """The next message of a pipe; none comes with bytes in this direction.

    Raises:
        EOFError: when the other side is gone.
    """
    length, _ = _SIZES.unpack(await pipe.readexactly(_SIZES.size))
    message: Message = json.loads(await pipe.readexactly(length))
    return message


def _exactly(pipe: BinaryIO, size: int) -> bytearray:
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        count = pipe.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        done += count
    return data
