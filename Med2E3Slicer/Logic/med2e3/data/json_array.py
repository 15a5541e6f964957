"""Reads a long JSON array one element at a time.

Knows JSON.  Holds one element and one block of the file in memory, never the whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from med2e3.errors import InputError

_BLOCK = 1 << 20
#: an element that does not end within so many signs is damage
_LONGEST = 1 << 26
#: signs after a value that make sure of its end
_LOOK_AHEAD = 4
_SPACE = re.compile(r"[ \t\r\n]*")


def iterate_array(path: Path) -> Iterator[Any]:
    """The elements of a file that holds one JSON array.

    Raises:
        InputError: when the file cannot be read, is not an array, or is cut short; elements before
            the damage were given.
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            yield from _elements(_Window(stream))
    except UnicodeDecodeError as error:
        raise InputError(f"The file {path.name!r} is not UTF-8 text.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"The file {path.name!r} is not a JSON list, or it is cut short or damaged.",
            detail=str(error),
        ) from error
    except OSError as error:
        raise InputError(
            f"The file {path.name!r} cannot be read: {error.strerror or error}.",
            detail=repr(error),
        ) from error


class _Window:
    """The part of a text file that is being looked at."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._at = 0
        self._decoder = json.JSONDecoder()

    def next_sign(self) -> str:
        """The next sign that is no space; empty at the end of the file."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_on():
                return ""

    def skip_sign(self) -> None:
        self._at += 1

    def element(self) -> Any:
        """Read one JSON value that begins at the next sign."""
        self.next_sign()
        ended = False
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                # a number that is cut by the end of the block reads as a shorter number
                if ended or end + _LOOK_AHEAD <= len(self._text):
                    self._at = end
                    return value
            except ValueError:
                if ended or len(self._text) - self._at > _LONGEST:
                    raise
            ended = not self._read_on()

    def _read_on(self) -> bool:
        more = self._stream.read(_BLOCK)
        self._text = self._text[self._at :] + more
        self._at = 0
        return bool(more)


def _elements(window: _Window) -> Iterator[Any]:
    if window.next_sign() != "[":
        raise ValueError("no [ at the start")
    window.skip_sign()
    if window.next_sign() == "]":
        return
    while True:
        yield window.element()
        sign = window.next_sign()
        if sign not in ("]", ","):
            raise ValueError(f"{sign!r} where a comma or ] belongs")
        window.skip_sign()
        if sign == "]":
            return
