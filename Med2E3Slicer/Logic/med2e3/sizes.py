"""Sizes of files and memory, said to a person.

Knows decimal units; does not know what is measured.
"""

from __future__ import annotations


def human_bytes(size: int) -> str:
    """Bytes for a person, in decimal units."""
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
