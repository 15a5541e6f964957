"""The few words that a strip writes into a view.

Knows how a slice, its position and its score are said; does not know where they are drawn.
"""

from __future__ import annotations

import numpy as np

from med2e3_slicer.strip.shown import Shown, Vector

NO_POSITION = "These slices have no known position in the patient."
LIGHT_BOX = "The strip is not drawn in light box views."
LEGEND = "score relative to uniform"
_ENDS = (("R", "L"), ("A", "P"), ("S", "I"))
#: cosine above which a direction is taken for one of the patient's axes (2.5 degrees)
_ALONG_AXIS = 0.999
_TITLE_LENGTH = 30


def direction_letter(direction_ras: Vector) -> str:
    """The letter of the patient's side that a direction points to most: R, L, A, P, S or I."""
    axis = int(np.argmax(np.abs(direction_ras)))
    return _ENDS[axis][0 if direction_ras[axis] > 0 else 1]


def position(point_ras: Vector, normal_ras: Vector) -> str:
    """A slice's position in mm: along the axis that it is perpendicular to, or all three."""
    axis = int(np.argmax(np.abs(normal_ras)))
    axes = [axis] if abs(normal_ras[axis]) > _ALONG_AXIS else [0, 1, 2]
    parts = (f"{_ENDS[a][0 if point_ras[a] >= 0 else 1]} {abs(point_ras[a]):.1f}" for a in axes)
    return "  ".join(parts) + " mm"


def times_uniform(relative: float) -> str:
    """A score as it is read: ``3.2 × uniform``."""
    return f"{relative:.1f} × uniform" if relative >= 0.1 else f"{relative:.2f} × uniform"


def cell(shown: Shown, index: int) -> str:
    """What hovering over a cell tells, one fact a line."""
    lines = [f"Slice {index + 1} of {len(shown.scores)}"]
    stack = shown.stack
    if stack is not None:
        lines.append(position(stack.positions_ras[index], stack.normal_ras))
    lines.append(times_uniform(shown.relative[index]))
    return "\n".join(lines)


def title(shown: Shown) -> str:
    """The title of an exchange, cut to what fits under a strip."""
    text = " ".join(shown.title.split())
    return text if len(text) <= _TITLE_LENGTH else text[: _TITLE_LENGTH - 1].rstrip() + "…"
