"""The last part of what a process wrote.

Knows bytes and a bound; does not know where they come from.
"""

from __future__ import annotations


class Tail:
    """Keeps the end of a text that grows.

    Args:
        most: bytes kept.
    """

    def __init__(self, most: int = 32 * 1024) -> None:
        self._most = most
        self._kept = b""
        self._dropped = False

    def add(self, data: bytes) -> None:
        """Append; what no longer fits is forgotten from the front."""
        kept = self._kept + data
        self._dropped = self._dropped or len(kept) > self._most
        self._kept = kept[-self._most :]

    def clear(self) -> None:
        """Forget everything."""
        self._kept = b""
        self._dropped = False

    def text(self) -> str:
        """What is kept, from the beginning of a line; bytes that are not UTF-8 are replaced."""
        kept = self._kept
        if self._dropped:
            kept = b"[...]\n" + kept.partition(b"\n")[2]
        return kept.decode("utf-8", errors="replace").strip()
