"""Questions and answers kept in the scene: one text node and one table node for each exchange."""

from med2e3_slicer.records.document import Review, slice_map_of
from med2e3_slicer.records.store import ExchangeStore, StoredExchange, Unreadable

__all__ = ["ExchangeStore", "Review", "StoredExchange", "Unreadable", "slice_map_of"]
