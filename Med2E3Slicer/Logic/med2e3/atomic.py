"""Writing a file whole or not at all.

Knows folders, temporary names and replacing; does not know what is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from med2e3.errors import InputError


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, so that a reader sees the old file or the new one.

    A link is followed; something that is not a plain file (a pipe, a device) is written to
    directly, since it cannot be replaced.

    Raises:
        InputError: when the file cannot be written.
    """
    with _replacing(path) as stream:
        stream.write(content)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8; see :func:`write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines as UTF-8 without holding them in memory; see :func:`write_bytes`.

    Args:
        path: its folder exists.
        lines: without their ends; may be made while they are written.  When making them fails, the
            old file stays.

    Raises:
        InputError: when the file cannot be written.
    """
    with _replacing(path) as stream:
        stream.writelines(f"{line}\n".encode() for line in lines)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """What is written to the stream takes the file's place once all of it is on the disk."""
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        temporary = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
        try:
            with temporary.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"The file {path.name!r} cannot be written: {error.strerror or error}.",
            hint="Choose a folder that exists, that you may write to, and that has free space.",
            detail=repr(error),
        ) from error
