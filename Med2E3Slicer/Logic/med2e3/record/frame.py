"""How the pictures of a record lie in the patient.

Knows the preprocessing part of a record and the radiological display (patient's right at the
left of the picture); knows nothing of drawing.
"""

from __future__ import annotations

from dataclasses import dataclass

from med2e3.record.exchange import Exchange

#: letters at the left, right, upper and lower edge of a picture in radiological display
_EDGES = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "S", "I"),
    "sagittal": ("A", "P", "S", "I"),
}


@dataclass(frozen=True)
class Frame:
    """How a model slice lies in the patient.

    Args:
        pixel_height: height of a pixel as a multiple of its width; 1 when unknown.
        left: anatomical letter at the picture's left edge (``R``), or an empty text.
        right: letter at the right edge.
        top: letter at the upper edge.
        bottom: letter at the lower edge.
    """

    pixel_height: float = 1.0
    left: str = ""
    right: str = ""
    top: str = ""
    bottom: str = ""

    def proportion(self, rows: int, columns: int) -> float:
        """Height of the picture as a multiple of its width."""
        return self.pixel_height * rows / columns


def frame_of(exchange: Exchange) -> Frame:
    """Proportions and letters of a record's pictures; what is unknown is left out."""
    pixel = exchange.preprocessing.get("pixel_spacing_mm")
    pixel_height = float(pixel[0]) / float(pixel[1]) if pixel else 1.0
    located = any(place.position_ras_mm is not None for place in exchange.slices)
    edges = _EDGES.get(str(exchange.preprocessing.get("plane")), ("", "", "", ""))
    return Frame(pixel_height, *edges) if located else Frame(pixel_height)
