"""Cleaning and breaking text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med2e3.figure.text import MISSING, clean, font, width_inches, wrap
from med2e3.palette import relative_color

FONT = font(10)


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.sampled_from("abc WMi.,$_\\^{}\n\u00e9\u2265"), max_size=200),
    st.floats(0.5, 4),
)
def test_every_line_fits_and_no_character_is_lost(text: str, width: float) -> None:
    lines = wrap(text, width, FONT)
    assert all(width_inches(line, FONT) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_a_letter_wider_than_the_line_still_comes_out() -> None:
    assert wrap("WW", 0.01, FONT) == ["W", "W"]


def test_line_ends_are_kept() -> None:
    assert wrap("Liver: normal.\n\nSpleen: normal.", 4, FONT) == [
        "Liver: normal.",
        "",
        "Spleen: normal.",
    ]


def test_invisible_and_missing_characters() -> None:
    assert clean("a\x00b\u200bc\r\nd\te\u202e") == ("abc\nd    e", 0)
    private_use = "\U000f1234"
    assert clean(f"x{private_use}y") == (f"x{MISSING}y", 1)


@pytest.mark.parametrize(("relative", "darker_channel"), [(0.0, 0), (0.25, 0), (4.0, 2), (32.0, 2)])
def test_blue_below_uniform_and_orange_above(relative: float, darker_channel: int) -> None:
    color = relative_color(relative)
    channels = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    assert channels[darker_channel] == min(channels)


def test_uniform_is_grey() -> None:
    channels = [int(relative_color(1.0)[i : i + 2], 16) for i in (1, 3, 5)]
    assert max(channels) - min(channels) < 16
