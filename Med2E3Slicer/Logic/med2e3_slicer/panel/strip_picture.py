"""A small picture of an exchange's scores, as the bytes of a PPM file.

Knows scores and, from :mod:`med2e3.palette`, their colours, which are those of the strip and of the
figures.  Qt reads the bytes (``QPixmap.loadFromData(picture, "PPM")``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from med2e3.palette import relative_color


def strip_picture(relative_scores: Sequence[float], width: int, height: int) -> bytes:
    """One cell for each score, from left to right.

    Args:
        relative_scores: scores as multiples of uniform, in the model's slice order; not empty.
        width: of the picture in pixels.
        height: of the picture in pixels.

    Returns:
        a binary PPM file.
    """
    count = len(relative_scores)
    colours = np.array(
        [list(bytes.fromhex(relative_color(value)[1:])) for value in relative_scores], np.uint8
    )
    row = colours[np.arange(width) * count // width]
    picture = np.broadcast_to(row, (height, width, 3))
    return b"P6\n%d %d\n255\n" % (width, height) + picture.tobytes()
