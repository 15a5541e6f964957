"""How it is said to a person where a model slice lies.

Knows patient axes (RAS, mm) and anatomical letters; knows nothing of questions or files.
Records count from 0; what a person reads counts from 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from med2e3.volume import SlicePlace

#: letters of the positive and the negative direction of each RAS axis
_LETTERS = (("R", "L"), ("A", "P"), ("S", "I"))


def stack_axis(slices: Sequence[SlicePlace]) -> int | None:
    """The RAS axis (0 R, 1 A, 2 S) along which the slices mainly advance.

    Returns:
        ``None`` where positions are unknown or all the same.
    """
    points = [place.position_ras_mm for place in slices if place.position_ras_mm is not None]
    if len(points) < 2:
        return None
    steps = [abs(last - first) for first, last in zip(points[0], points[-1], strict=True)]
    longest = max(steps)
    return steps.index(longest) if longest > 0 else None


def position_text(place: SlicePlace, axis: int | None) -> str:
    """A slice's position along the stack, such as ``S 43.5 mm`` or ``L 12.0 mm``.

    Args:
        place: the slice.
        axis: what :func:`stack_axis` gave for its stack.

    Returns:
        An empty text where the position is unknown.
    """
    if axis is None or place.position_ras_mm is None:
        return ""
    millimetres = round(place.position_ras_mm[axis], 1)
    positive, negative = _LETTERS[axis]
    return f"{positive if millimetres >= 0 else negative} {abs(millimetres):.1f} mm"


def source_text(place: SlicePlace, *, dash: str = "\N{EN DASH}") -> str:
    """The source slices a model slice stands for, counted from 1: ``slices 30-32``."""
    first, last = place.source_first + 1, place.source_last + 1
    return f"slice {first}" if first == last else f"slices {first}{dash}{last}"
