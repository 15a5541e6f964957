"""Text that fits its column: cleaned, measured with the real font, and broken into lines.

Knows fonts and widths; knows nothing of records or pictures.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

#: ships with matplotlib, so it is there on every machine
BASE_FONT = "DejaVu Sans"
#: for scripts that the base font lacks; used where the machine has them
_OTHER_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans",
    "Malgun Gothic",
    "Noto Sans Devanagari",
    "Arial Unicode MS",
)
#: stands where no font has the character
MISSING = "\N{REPLACEMENT CHARACTER}"

_MEASURING_DPI = 288
#: measured and drawn widths differ a little, since hinting depends on the resolution
_SAFETY = 0.96
#: control characters, zero-width characters, and marks of writing direction
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)


@lru_cache(maxsize=1)
def families() -> tuple[str, ...]:
    """The base font and those of the others that this machine has."""
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    return (BASE_FONT, *(name for name in _OTHER_FONTS if name in installed))


@lru_cache(maxsize=1)
def _drawable() -> frozenset[int]:
    """Code points that at least one of the fonts has."""
    points: set[int] = set()
    for name in families():
        path = font_manager.findfont(FontProperties(family=[name]))
        points.update(font_manager.get_font(path).get_charmap())
    return frozenset(points)


def clean(text: str) -> tuple[str, int]:
    """Make a text drawable.

    Line ends become ``\\n``, tabs four spaces, invisible controls go, and a character that no
    font has becomes :data:`MISSING`.

    Returns:
        The text, and how many characters were replaced.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    text = _INVISIBLE.sub("", text.replace("\u2028", "\n").replace("\u2029", "\n"))
    drawable = _drawable()
    missing = sum(1 for character in text if _cannot_draw(character, drawable))
    cleaned = "".join(MISSING if _cannot_draw(c, drawable) else c for c in text)
    return cleaned, missing


def _cannot_draw(character: str, drawable: frozenset[int]) -> bool:
    return character != "\n" and ord(character) not in drawable


def font(size: float, *, bold: bool = False) -> FontProperties:
    """The page's font at ``size`` points."""
    weight = "bold" if bold else "normal"
    return FontProperties(family=list(families()), size=size, weight=weight)


@lru_cache(maxsize=1)
def _renderer() -> Any:
    return RendererAgg(8, 8, _MEASURING_DPI)  # type: ignore[no-untyped-call]


def width_inches(text: str, properties: FontProperties) -> float:
    """Width of one line."""
    width, _, _ = _renderer().get_text_width_height_descent(text, properties, ismath=False)
    return float(width) / _MEASURING_DPI


def wrap(text: str, width: float, properties: FontProperties) -> list[str]:
    """Break a text into lines no wider than ``width`` inches.

    Breaks at spaces; a single word that is wider than the line is broken inside.  Line ends of
    the text are kept.
    """
    width *= _SAFETY
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            candidate = f"{line} {word}" if line else word
            if width_inches(candidate, properties) <= width:
                line = candidate
                continue
            if line:
                lines.append(line)
            *full, line = _break_word(word, width, properties)
            lines.extend(full)
        lines.append(line)
    return lines


def _break_word(word: str, width: float, properties: FontProperties) -> list[str]:
    """Cut a word into pieces that fit; each holds at least one character."""
    pieces: list[str] = []
    while width_inches(word, properties) > width and len(word) > 1:
        low, high = 1, len(word) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if width_inches(word[:middle], properties) <= width:
                low = middle
            else:
                high = middle - 1
        pieces.append(word[:low])
        word = word[low:]
    return [*pieces, word]
