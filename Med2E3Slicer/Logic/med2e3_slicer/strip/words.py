"""The few words that a strip writes into a view.

Knows how a slice, its position and its score are said in the language of the application; does not
know where they are drawn.
"""

from __future__ import annotations

import numpy as np
from slicer.i18n import tr as _

from med2e3_slicer.strip.shown import Shown, Vector

_ENDS = (("R", "L"), ("A", "P"), ("S", "I"))
#: cosine above which a direction is taken for one of the patient's axes (2.5 degrees)
_ALONG_AXIS = 0.999
_TITLE_LENGTH = 30


def legend() -> str:
    """What the colours stand for."""
    return _("score relative to uniform")


def why_no_place(shown: Shown) -> str:
    """Why an exchange's slices have no place in the views."""
    if shown.motion is None:
        return _(
            "The volume was bent or changed after this answer; its slices have no place any more."
        )
    return _("The slices of this answer have no known position in the patient.")


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
    factor = f"{relative:.1f}" if relative >= 0.1 else f"{relative:.2f}"
    return _("{factor} × uniform").format(factor=factor)


def cell(shown: Shown, index: int) -> str:
    """What hovering over a cell tells, one fact a line."""
    lines = [_("Slice {number} of {count}").format(number=index + 1, count=len(shown.scores))]
    stack = shown.stack
    if stack is not None:
        lines.append(position(stack.positions_ras[index], stack.normal_ras))
    lines.append(times_uniform(shown.relative[index]))
    return "\n".join(lines)


def title(shown: Shown) -> str:
    """The title of an exchange, cut to what fits under a strip."""
    text = " ".join(shown.title.split())
    return text if len(text) <= _TITLE_LENGTH else text[: _TITLE_LENGTH - 1].rstrip() + "…"
