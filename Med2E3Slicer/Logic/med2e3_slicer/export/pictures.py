"""The key slices and the bar of scores as PNG pictures.

Knows pixels, the radiological display and the colours of scores. Does not know documents.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from slicer.i18n import tr as _

from med2e3.errors import InputError
from med2e3.palette import INK, QUIET, RULE, relative_color
from med2e3.record import Exchange, position_text, stack_axis
from med2e3.record.frame import Frame, frame_of
from med2e3_slicer.export.content import KEY_SLICES, slice_text

#: of a slice's picture; its height follows the size of its pixels
_WIDTH = 480
_EDGE = 8
_LETTER = 30
#: of the bar of scores
_BAR = (1600, 260)
_BAR_LETTER = 26
#: heights of the bars are shown up to at least this many times uniform
_LEAST_TOP = 2.0


@dataclass(frozen=True)
class Picture:
    """A PNG picture.

    Args:
        png: the file.
        width: in pixels.
        height: in pixels.
        caption: what it shows, in words.
    """

    png: bytes
    width: int
    height: int
    caption: str


def score_bar(exchange: Exchange) -> Picture | None:
    """One bar for each model slice, uniform as a line; ``None`` where there are no scores."""
    relative = exchange.relative_scores()
    if not relative:
        return None
    image = Image.new("RGB", _BAR, "white")
    draw = ImageDraw.Draw(image)
    top, floor = 46, _BAR[1] - 44
    step = _BAR[0] / len(relative)
    scale = (floor - top) / max(_LEAST_TOP, *relative)
    draw.line([(0, floor), (_BAR[0], floor)], fill=RULE, width=2)
    for index, value in enumerate(relative):
        box = (index * step + 3, floor - value * scale, (index + 1) * step - 3, floor)
        draw.rectangle(box, fill=relative_color(value))
    line = floor - scale
    for start in range(0, _BAR[0], 24):
        draw.line([(start, line), (start + 13, line)], fill=INK, width=2)
    ranks = {index: rank for rank, index in enumerate(exchange.top_slices(KEY_SLICES), start=1)}
    labelled = {0, len(relative) - 1, *range(7, len(relative) - 1, 8)}
    axis = stack_axis(exchange.slices)
    for index, value in enumerate(relative):
        middle = (index + 0.5) * step
        if index in ranks:
            _write(draw, (middle, floor - value * scale - 4), str(ranks[index]), "ms", INK)
        if index in labelled:
            side = {0: "l", len(relative) - 1: "r"}.get(index, "m")
            x = {"l": 0, "r": _BAR[0] - 1}.get(side, middle)
            place = position_text(exchange.slices[index], axis)
            label = f"{index + 1}   {place}" if place else str(index + 1)
            _write(draw, (x, floor + 8), label, f"{side}a", QUIET)
    return _picture(
        image,
        _("Score of each slice; the dashed line is uniform (1/{count}).").format(
            count=len(relative)
        ),
    )


def key_slices(exchange: Exchange, voxels: npt.NDArray[np.floating[Any]]) -> tuple[Picture, ...]:
    """The highest-scored slices, highest first, framed in the colour of their score.

    Args:
        exchange: the record.
        voxels: the model input it was asked about, (slices, rows, columns), 0 to 1.

    Raises:
        InputError: when the pictures are another volume's.
    """
    if voxels.ndim != 3 or len(voxels) != len(exchange.slices):
        raise InputError(
            _("The record is about {count} slices, the pictures are another volume's.").format(
                count=len(exchange.slices)
            )
        )
    frame = frame_of(exchange)
    height = round(_WIDTH * min(2.0, max(0.3, frame.proportion(*voxels.shape[1:]))))
    relative = exchange.relative_scores()
    pictures = []
    for index in exchange.top_slices(KEY_SLICES):
        grey = (np.clip(voxels[index], 0, 1) * 255).round().astype(np.uint8)
        image = Image.fromarray(grey).resize((_WIDTH, height), Image.Resampling.BICUBIC)
        image = image.convert("RGB")
        draw = ImageDraw.Draw(image)
        _write_edges(draw, frame, height)
        box = (0, 0, _WIDTH - 1, height - 1)
        draw.rectangle(box, outline=relative_color(relative[index]), width=_EDGE)
        pictures.append(_picture(image, slice_text(exchange, index)))
    return tuple(pictures)


def _write_edges(draw: ImageDraw.ImageDraw, frame: Frame, height: int) -> None:
    far = _EDGE + 6
    places = (
        (far, height / 2, "lm"),
        (_WIDTH - far, height / 2, "rm"),
        (_WIDTH / 2, far, "ma"),
        (_WIDTH / 2, height - far, "md"),
    )
    edges = (frame.left, frame.right, frame.top, frame.bottom)
    for letter, (x, y, anchor) in zip(edges, places, strict=True):
        _write(draw, (x, y), letter, anchor, "white", size=_LETTER, around="black")


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    anchor: str,
    color: str,
    *,
    size: int = _BAR_LETTER,
    around: str | None = None,
) -> None:
    draw.text(
        place,
        text,
        fill=color,
        font=ImageFont.load_default(size),
        anchor=anchor,
        stroke_width=3 if around else 0,
        stroke_fill=around,
    )


def _picture(image: Image.Image, caption: str) -> Picture:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return Picture(stream.getvalue(), image.width, image.height, caption)
