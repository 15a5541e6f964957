"""Positions and source slices as a person reads them."""

from __future__ import annotations

import pytest

from med2e3.record import position_text, source_text, stack_axis
from med2e3.volume import SlicePlace


def _stack(*points: tuple[float, float, float]) -> list[SlicePlace]:
    return [
        SlicePlace(index, (-r, -a, s), 2 * index, 2 * index + 1)
        for index, (r, a, s) in enumerate(points)
    ]


@pytest.mark.parametrize(
    ("points", "axis", "label"),
    [
        (((0, 0, 43.5), (0, 0, 90)), 2, "S 43.5 mm"),
        (((0, 0, -43.46), (0, 0, -90)), 2, "I 43.5 mm"),
        (((12, 1, 5), (-90, 1, 5)), 0, "R 12.0 mm"),
        (((-12, 1, 5), (-90, 1, 5)), 0, "L 12.0 mm"),
        (((1, -7.25, 5), (1, 60, 20)), 1, "P 7.2 mm"),
        (((1, -0.01, 5), (1, 60, 20)), 1, "A 0.0 mm"),
    ],
)
def test_a_position_is_said_along_the_stack(
    points: tuple[tuple[float, float, float], ...], axis: int, label: str
) -> None:
    stack = _stack(*points)
    assert stack_axis(stack) == axis
    assert position_text(stack[0], axis) == label


def test_without_geometry_nothing_is_said() -> None:
    stack = [SlicePlace(0, None, 0, 1), SlicePlace(1, None, 2, 3)]
    assert stack_axis(stack) is None
    assert position_text(stack[0], None) == ""


def test_source_slices_are_counted_from_one() -> None:
    assert source_text(SlicePlace(0, None, 29, 31)) == "slices 30\u201332"
    assert source_text(SlicePlace(0, None, 29, 31), dash="-") == "slices 30-32"
    assert source_text(SlicePlace(0, None, 4, 4)) == "slice 5"
