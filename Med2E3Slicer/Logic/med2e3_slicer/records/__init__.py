"""Questions and answers kept in the scene: one text node and one table node for each exchange."""

from med2e3_slicer.records.document import Review, slice_map_of
from med2e3_slicer.records.motion import STILL, Motion, geometry_text, motion
from med2e3_slicer.records.store import ExchangeStore, StoredExchange, Unreadable

__all__ = [
    "STILL",
    "ExchangeStore",
    "Motion",
    "Review",
    "StoredExchange",
    "Unreadable",
    "geometry_text",
    "motion",
    "slice_map_of",
]
