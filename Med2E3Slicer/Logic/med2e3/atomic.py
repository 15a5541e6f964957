"""Writing a file whole or not at all.

Knows folders, temporary names and replacing; does not know what is written.
"""

from __future__ import annotations

import os
from pathlib import Path

from med2e3.errors import InputError


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, so that a reader sees the old file or the new one.

    A link is followed; something that is not a plain file (a pipe, a device) is written to
    directly, since it cannot be replaced.

    Raises:
        InputError: when the file cannot be written.
    """
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(content)
            return
        temporary = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
        try:
            with temporary.open("wb") as stream:
                stream.write(content)
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


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8; see :func:`write_bytes`."""
    write_bytes(path, text.encode("utf-8"))
