"""Colours of the page: readable with any colour vision, in print and on a screen.

Scores run from blue (below uniform) over grey (uniform) to orange (above), which differ in
lightness and on the blue-yellow axis.
"""

from __future__ import annotations

import math

from matplotlib.colors import LinearSegmentedColormap, to_hex

INK = "#1b1f24"
QUIET = "#5c6670"
RULE = "#d5dade"
CARD = "#f4f6f7"
WARNING_INK = "#7a2e00"
WARNING_CARD = "#fdeee3"

_RELATIVE = LinearSegmentedColormap.from_list(
    "relative_to_uniform", ["#1f5d94", "#7fa6c9", "#c3c9ce", "#f0a35e", "#c84e00"]
)
#: scores four times above or below uniform have the strongest colours
_FACTOR = 4.0


def relative_color(relative: float) -> str:
    """The colour of a score that is ``relative`` times uniform."""
    if relative <= 0:
        return to_hex(_RELATIVE(0.0))
    position = math.log(relative) / math.log(_FACTOR)
    return to_hex(_RELATIVE(0.5 + 0.5 * max(-1.0, min(1.0, position))))
