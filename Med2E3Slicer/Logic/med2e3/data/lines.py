"""Writes a file of many lines, whole or not at all, without holding it in memory.

Knows files.  Knows nothing of what the lines say.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from med2e3.errors import InputError


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines as UTF-8, so that a reader sees the old file or the whole new one.

    Args:
        path: its folder exists.
        lines: without their ends; may be made while they are written.  When making them fails, the
            old file stays.

    Raises:
        InputError: when the file cannot be written.
    """
    part = path.with_name(f".{path.name[:100]}.{os.getpid()}.part")
    try:
        try:
            with part.open("w", encoding="utf-8", newline="\n") as stream:
                stream.writelines(f"{line}\n" for line in lines)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"The file {path.name!r} cannot be written: {error.strerror or error}.",
            hint="Choose a folder that exists, that you may write to, and that has free space.",
            detail=repr(error),
        ) from error
