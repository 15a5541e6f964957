"""The colour strip in the slice views: one cell per model slice, at its true place.

Runs wherever MRML's slice logic and VTK run; needs no Qt. Knows nothing of engines or records.
"""

from med2e3_slicer.strip.manager import StripManager
from med2e3_slicer.strip.shown import Shown, Stack
from med2e3_slicer.strip.slice_strip import Cell, SliceStrip
from med2e3_slicer.strip.views import FixedViews, LayoutViews, SliceView

__all__ = [
    "Cell",
    "FixedViews",
    "LayoutViews",
    "Shown",
    "SliceStrip",
    "SliceView",
    "Stack",
    "StripManager",
]
