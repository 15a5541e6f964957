"""Colours for scores and for what stands beside them: in the figure and in Slicer's views.

Readable with any colour vision, in print and on a screen: scores run from blue (below uniform) over
grey (uniform) to orange (above), which differ in lightness and on the blue-yellow axis. Knows
colours only, and no library that draws.
"""

from __future__ import annotations

import math

INK = "#1b1f24"
QUIET = "#5c6670"
RULE = "#d5dade"
CARD = "#f4f6f7"
WARNING_INK = "#7a2e00"
WARNING_CARD = "#fdeee3"

_RELATIVE = ("#1f5d94", "#7fa6c9", "#c3c9ce", "#f0a35e", "#c84e00")
#: scores this many times above or below uniform, or further, have the strongest colours
STRONGEST = 4.0

Rgb = tuple[float, float, float]


def rgb(color: str) -> Rgb:
    """Red, green and blue in 0..1 of a colour written ``#rrggbb``."""
    red, green, blue = (int(color[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def relative_color(relative: float) -> str:
    """The colour of a score that is ``relative`` times uniform, as ``#rrggbb``."""
    position = 0.0
    if relative > 0:
        power = math.log(relative) / math.log(STRONGEST)
        position = 0.5 + 0.5 * max(-1.0, min(1.0, power))
    steps = len(_RELATIVE) - 1
    left = min(int(position * steps), steps - 1)
    share = position * steps - left
    mixed = (
        round(255 * ((1 - share) * low + share * high))
        for low, high in zip(rgb(_RELATIVE[left]), rgb(_RELATIVE[left + 1]), strict=True)
    )
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
