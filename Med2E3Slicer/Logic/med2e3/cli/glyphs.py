"""Signs that the terminal can show: typographic ones, or ASCII where it cannot.

Knows encodings; does not know what is said with the signs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

_BLOCKS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
_ASCII_LEVELS = "_.-~=+*#"
#: everything that would move the cursor, ring the bell or change colours
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Glyphs:
    """The signs used in lines for people.

    Args:
        dot: between parts of a line.
        dash: between the first and the last of a range.
        times: for "times uniform".
        levels: eight steps of a bar, lowest first.
    """

    dot: str = "\N{MIDDLE DOT}"
    dash: str = "\N{EN DASH}"
    times: str = "\N{MULTIPLICATION SIGN}"
    levels: str = _BLOCKS

    @classmethod
    def of(cls, stream: TextIO) -> Glyphs:
        """The signs that ``stream``'s encoding has."""
        encoding = getattr(stream, "encoding", None) or "ascii"
        best = cls()
        signs = best.dot + best.dash + best.times
        plain = not _can_encode(signs, encoding)
        return cls(
            dot="-" if plain else best.dot,
            dash="-" if plain else best.dash,
            times="x" if plain else best.times,
            levels=best.levels if _can_encode(best.levels, encoding) else _ASCII_LEVELS,
        )

    def bars(self, values: Sequence[float]) -> str:
        """One sign for each value, from 0 (lowest) to the largest value (highest)."""
        largest = max(values, default=0.0)
        if largest <= 0:
            return self.levels[0] * len(values)
        steps = len(self.levels)
        return "".join(
            self.levels[min(steps - 1, int(value / largest * steps))] for value in values
        )


def harmless(text: str) -> str:
    """The text without terminal control characters; line ends and tabs stay."""
    return _CONTROLS.sub("", text)


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
