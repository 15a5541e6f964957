"""How a strip looks: cells, marker, legend, and the card beside the cell under the mouse.

Knows pixels and colours; the places come from ``axis``, the words from ``words``. Does not know
events or views.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from med2e3 import palette
from med2e3.palette import Rgb, relative_color, rgb
from med2e3_slicer.strip import words
from med2e3_slicer.strip.axis import ViewGeometry, level_in_picture
from med2e3_slicer.strip.canvas import Sheet
from med2e3_slicer.strip.column import EDGE, Column

#: sizes in points; a view's scale makes pixels of them
LETTERS = 12
SMALL_LETTERS = 11

_WHITE: Rgb = (1.0, 1.0, 1.0)
_BLACK: Rgb = (0.0, 0.0, 0.0)
_LEGEND_STEPS = 24
_LEGEND_WIDTH = 112.0
_CARD_OPACITY = 0.85
#: cells get a hairline between them from this height on
_ROOMY = 4.0
#: how much of a strip is seen while it lets clicks pass
FAINT = 0.35


@dataclass(frozen=True)
class Ink:
    """Colours that suit a view's background."""

    letters: Rgb
    quiet: Rgb
    card: Rgb
    halo: Rgb

    @classmethod
    def on(cls, background: Sequence[float]) -> Ink:
        """Light letters on a dark background, dark ones on a light background."""
        red, green, blue = background[:3]
        if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.4:
            return cls(_WHITE, rgb("#b9c2ca"), rgb("#14181c"), _BLACK)
        return cls(rgb(palette.INK), rgb(palette.QUIET), _WHITE, _WHITE)


@functools.lru_cache(maxsize=512)
def _score_color(relative: float) -> Rgb:
    """The colour of a score, kept: strips are drawn again at each step of scrolling."""
    return rgb(relative_color(relative))


def paint_strip(sheet: Sheet, column: Column, view: ViewGeometry, ink: Ink, seen: float) -> None:
    """The cells of one exchange, and what the ends stand for."""
    scale, axis = view.scale, column.axis
    whole = (axis.low, axis.high)
    extent = column.extent()
    if axis.scrolling:
        middle = sum(column.across) / 2
        sheet.rectangle(middle - scale, whole[0], middle + scale, whole[1], ink.quiet, 0.55 * seen)
    if extent is not None:
        left, low, right, high = column.box(extent)
        sheet.rectangle(
            left - 2 * scale, low - 2 * scale, right + 2 * scale, high + 2 * scale, ink.halo,
            0.75 * seen,
        )  # fmt: skip
        _paint_cells(sheet, column, scale, seen)
    if axis.scrolling:
        _paint_ends(sheet, column, view, ink, seen)
    else:
        _paint_more(sheet, column, scale, ink, seen)
    if column.name and extent is not None:
        end = extent[1] + (10 if extent[1] >= axis.high - 1 and not axis.scrolling else 5) * scale
        at = (sum(column.across) / 2, end) if axis.vertical else (end, sum(column.across) / 2)
        align = ("center", "bottom") if axis.vertical else ("left", "center")
        sheet.text(
            column.name,
            at,
            ink.letters,
            size=LETTERS,
            align=align,
            bold=True,
            opacity=seen,
            shadow=True,
        )


def _paint_cells(sheet: Sheet, column: Column, scale: float, seen: float) -> None:
    hairline = scale if abs(column.axis.step) >= _ROOMY * scale else 0.0
    for index, relative in enumerate(column.shown.relative):
        along = column.axis.cell(index)
        if along is None:
            continue
        first, last = round(along[0]), max(round(along[1]), round(along[0]) + 1)
        if last - first > 2 * hairline:
            last -= round(hairline)
        sheet.rectangle(*column.box((first, last)), _score_color(relative), seen)


def _paint_ends(sheet: Sheet, column: Column, view: ViewGeometry, ink: Ink, seen: float) -> None:
    middle, axis = sum(column.across) / 2, column.axis
    top = words.direction_letter(view.normal_ras)
    low = words.direction_letter(-view.normal_ras)
    space = (20 if column.name else 4) * view.scale
    for letter, at, align in (
        (top, axis.high + space, "bottom"), (low, axis.low - 4 * view.scale, "top"),
    ):  # fmt: skip
        sheet.text(
            letter, (middle, at), ink.quiet, size=SMALL_LETTERS, align=("center", align),
            opacity=seen, shadow=True,
        )  # fmt: skip


def _paint_more(sheet: Sheet, column: Column, scale: float, ink: Ink, seen: float) -> None:
    """Arrowheads at the ends beyond which there are more cells."""
    axis, middle = column.axis, sum(column.across) / 2
    ends = sorted((axis.pixel(-0.5), axis.pixel(len(column.shown.scores) - 0.5)))
    for more, end, outward in ((ends[0] < axis.low - 1, axis.low, -1.0),
                               (ends[1] > axis.high + 1, axis.high, 1.0)):  # fmt: skip
        if not more:
            continue
        for grow, color in ((1.5 * scale, ink.halo), (0.0, ink.letters)):
            base = end + outward * (2 * scale - grow / 2)
            tip, half = end + outward * (7 * scale + grow), 5 * scale + 1.5 * grow
            corners = [(middle - half, base), (middle + half, base), (middle, tip)]
            if not axis.vertical:
                corners = [(y, x) for x, y in corners]
            sheet.polygon(corners, color, 0.8 * seen)


def paint_marker(sheet: Sheet, column: Column, scale: float, ink: Ink, seen: float) -> None:
    """Where the current slice lies on the strip, if that is known."""
    at = column.marker
    if at is None:
        return
    first, last = column.across
    for grow, color in ((scale, ink.halo), (0.0, ink.letters)):
        half = scale + grow
        left, low, right, high = column.box((at - half, at + half))
        if column.axis.vertical:
            sheet.rectangle(left - grow, low, right + grow, high, color, seen)
        else:
            sheet.rectangle(left, low - grow, right, high + grow, color, seen)
        if not column.leads:
            continue
        tip, base, wide = first - scale + grow, first - 8 * scale - grow, 5 * scale + 1.5 * grow
        corners = [(base, at - wide), (tip, at), (base, at + wide)]
        if not column.axis.vertical:
            tip, base = last + scale - grow, last + 8 * scale + grow
            corners = [(at - wide, base), (at, tip), (at + wide, base)]
        sheet.polygon(corners, color, seen)


def legend_size(sheet: Sheet, titles: Sequence[str], scale: float) -> tuple[float, float]:
    """Width and height of the legend's card in pixels."""
    lines = [words.legend(), *titles]
    widths = [sheet.text_size(line, size=SMALL_LETTERS)[0] for line in lines if line]
    width = max(_LEGEND_WIDTH * scale, *widths) + 16 * scale
    return width, (50 + 15 * len([title for title in titles if title])) * scale


def paint_legend(
    sheet: Sheet, titles: Sequence[str], right: float, low: float, scale: float, ink: Ink,
    seen: float,
) -> None:  # fmt: skip
    """What the colours mean, and what is shown, on a card with a given lower right corner."""
    width, height = legend_size(sheet, titles, scale)
    left = right - width
    sheet.rectangle(left, low, right, low + height, ink.card, _CARD_OPACITY * seen)
    start, end = left + 8 * scale, right - 8 * scale
    bar_low = low + 20 * scale
    for step in range(_LEGEND_STEPS):
        relative = palette.STRONGEST ** (2 * (step + 0.5) / _LEGEND_STEPS - 1)
        first, last = (start + (end - start) * s / _LEGEND_STEPS for s in (step, step + 1))
        sheet.rectangle(first, bar_low, last, bar_low + 7 * scale, _score_color(relative), seen)
    marks = (("¼×", 0.0, "left"), ("½×", 0.25, "center"), ("1×", 0.5, "center"),
             ("2×", 0.75, "center"), ("4×", 1.0, "right"))  # fmt: skip
    for text, share, align in marks:
        at = (start + (end - start) * share, bar_low - 4 * scale)
        sheet.text(text, at, ink.letters, size=SMALL_LETTERS, align=(align, "top"), opacity=seen)
    row = bar_low + 12 * scale
    sheet.text(words.legend(), (start, row), ink.quiet, size=SMALL_LETTERS, opacity=seen)
    for title in reversed([title for title in titles if title]):
        row += 15 * scale
        sheet.text(title, (start, row), ink.letters, size=SMALL_LETTERS, opacity=seen)


def paint_hover(sheet: Sheet, column: Column, index: int, view: ViewGeometry, ink: Ink) -> None:
    """The cell under the mouse: a frame, a card of facts, and the slice's line in the picture."""
    along = column.axis.cell(index)
    if along is None:
        return
    scale = view.scale
    if not column.axis.scrolling:
        _paint_plane(sheet, column, index, view)
    left, low, right, high = column.box((round(along[0]), round(along[1])))
    for grow, color in ((2.0, ink.halo), (1.0, ink.letters)):
        g = grow * scale
        for edge in ((left - g, low - g, right + g, low), (left - g, high, right + g, high + g),
                     (left - g, low, left, high), (right, low, right + g, high)):  # fmt: skip
            sheet.rectangle(*edge, color)
    text = words.cell(column.shown, index)
    if column.name:
        text = f"{column.name}   {text}"
    text_width, text_height = sheet.text_size(text, size=LETTERS)
    width, height = text_width + 16 * scale, text_height * 1.12 + 12 * scale
    middle = sum(along) / 2
    if column.axis.vertical:
        card_left, card_low = column.beside[0] - 14 * scale - width, middle - height / 2
    else:
        card_left, card_low = middle - width / 2, column.beside[1] + 14 * scale
    card_left = min(max(card_left, 4 * scale), view.size[0] - width - 4 * scale)
    card_low = min(max(card_low, 4 * scale), view.size[1] - height - 4 * scale)
    card_right, card_high = card_left + width, card_low + height
    sheet.rectangle(
        card_left - scale, card_low - scale, card_right + scale, card_high + scale, ink.quiet, 0.6
    )
    sheet.rectangle(card_left, card_low, card_right, card_high, ink.card, 0.92)
    bar = _score_color(column.shown.relative[index])
    sheet.rectangle(card_left, card_low, card_left + 4 * scale, card_high, bar)
    at = (card_left + 10 * scale, card_high - 6 * scale)
    sheet.text(text, at, ink.letters, size=LETTERS, align=("left", "top"))


def _paint_plane(sheet: Sheet, column: Column, index: int, view: ViewGeometry) -> None:
    """The line along which a model slice cuts the picture, as a band of two pixels."""
    per_x, per_y, at_corner = level_in_picture(column.stack, view)
    width, height = view.size
    if column.axis.vertical:
        ends = [(x, (index - at_corner - per_x * x) / per_y) for x in (0.0, float(width))]
    else:
        ends = [((index - at_corner - per_y * y) / per_x, y) for y in (0.0, float(height))]
    for thick, color, opacity in ((1.5, _BLACK, 0.6), (0.5, _WHITE, 0.9)):
        t = thick * view.scale
        dx, dy = (0.0, t) if column.axis.vertical else (t, 0.0)
        (x0, y0), (x1, y1) = ends
        corners = [(x0 - dx, y0 - dy), (x1 - dx, y1 - dy), (x1 + dx, y1 + dy), (x0 + dx, y0 + dy)]
        sheet.polygon(corners, color, opacity)


def paint_sentence(sheet: Sheet, sentence: str, view: ViewGeometry, ink: Ink) -> None:
    """Why there is no strip, in the lower right corner."""
    scale = view.scale
    width, height = sheet.text_size(sentence, size=SMALL_LETTERS)
    right, low = view.size[0] - EDGE * scale, EDGE * scale
    sheet.rectangle(
        right - width - 12 * scale, low, right, low + height + 12 * scale, ink.card, _CARD_OPACITY
    )
    at = (right - 6 * scale, low + 6 * scale)
    sheet.text(sentence, at, ink.letters, size=SMALL_LETTERS, align=("right", "bottom"))
