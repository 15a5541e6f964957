"""Values that Qt 5, Qt 6 and their Python layers give in different clothes.

Knows numbers of enumerations and bytes of arrays; does not know what they mean.
"""

from __future__ import annotations

from typing import Any


def number_of(enumerator: Any) -> int:
    """An enumerator's number, whether it came as a number or as a Python enumeration."""
    return int(getattr(enumerator, "value", enumerator))


def bytes_of(array: Any) -> bytes:
    """The bytes of a ``QByteArray``."""
    return bytes(array.data())
