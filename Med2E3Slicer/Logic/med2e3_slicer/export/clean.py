"""Text that XML and HTML can hold."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

#: what XML 1.0 forbids, even as a reference
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INSTEAD = "\N{REPLACEMENT CHARACTER}"


def clean(text: str) -> str:
    """The text with U+FFFD for each character that XML forbids."""
    return _FORBIDDEN.sub(_INSTEAD, text)


def markup(text: str) -> str:
    """The text as it stands between tags or in an attribute with double quotes."""
    return escape(clean(text), {'"': "&quot;"})
