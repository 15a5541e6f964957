"""Where a model slice lies, and how that is said to a person.

Knows patient axes (RAS and LPS, mm) and anatomical letters; knows nothing of questions or files.
Records count from 0; what a person reads counts from 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from med2e3.errors import InputError

Point = tuple[float, float, float]

#: letters of the positive and the negative direction of each RAS axis
_LETTERS = (("R", "L"), ("A", "P"), ("S", "I"))


@dataclass(frozen=True)
class SlicePlace:
    """One model slice and what it stands for.

    Args:
        index: the model slice, from 0.
        position_lps_mm: its centre in patient space (left, posterior, superior positive), or
            ``None`` where the file has no geometry (``.npy``).
        position_ras_mm: the same point with right and anterior positive, as Slicer shows it.
        source_first: first slice of the source volume it stands for, from 0, or ``None``.
        source_last: last such slice, included.
    """

    index: int
    position_lps_mm: Point | None = None
    position_ras_mm: Point | None = None
    source_first: int | None = None
    source_last: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The slice as it stands in a record."""
        return {
            "index": self.index,
            "position_lps_mm": _as_list(self.position_lps_mm),
            "position_ras_mm": _as_list(self.position_ras_mm),
            "source_first": self.source_first,
            "source_last": self.source_last,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SlicePlace:
        """Read what :meth:`to_dict` gave; other keys are ignored.

        Raises:
            InputError: where a key is missing or is not what it should be.
        """
        try:
            return cls(
                index=int(values["index"]),
                position_lps_mm=_as_point(values["position_lps_mm"]),
                position_ras_mm=_as_point(values["position_ras_mm"]),
                source_first=_as_index(values["source_first"]),
                source_last=_as_index(values["source_last"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                "A slice in the record is incomplete or damaged.", detail=repr(error)
            ) from error


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
    if place.source_first is None or place.source_last is None:
        return ""
    first, last = sorted((place.source_first + 1, place.source_last + 1))
    return f"slice {first}" if first == last else f"slices {first}{dash}{last}"


def _as_list(point: Point | None) -> list[float] | None:
    return None if point is None else [float(value) for value in point]


def _as_point(values: Any) -> Point | None:
    if values is None:
        return None
    x, y, z = (float(value) for value in values)
    return (x, y, z)


def _as_index(value: Any) -> int | None:
    return None if value is None else int(value)
