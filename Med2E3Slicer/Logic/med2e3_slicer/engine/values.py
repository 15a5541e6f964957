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


def header_of(reply: Any, name: str) -> str:
    """A header of a ``QNetworkReply``; empty when it has none."""
    try:
        value = reply.rawHeader(name)
    except (TypeError, ValueError):  # Qt 5 takes bytes, Qt 6 a text; Python layers convert or not
        value = reply.rawHeader(name.encode())
    return bytes_of(value).decode("ascii", errors="replace")
