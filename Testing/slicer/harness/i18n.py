"""``slicer.i18n``: texts in the person's language; here always English.

``pseudo`` turned on marks every translated text with brackets, so that a test sees which texts of
a panel are not translatable.  Translation files are not modelled.
"""

from __future__ import annotations

from typing import Any

pseudo = [False]


def translate(context: str, text: str, disambiguation: Any = None, n: int = -1) -> str:
    """Return a text of a context."""
    if not isinstance(text, str) or not isinstance(context, str):
        raise TypeError("translate(context, text) takes two texts")
    return f"[{text}]" if pseudo[0] and text else text


def tr(text: str) -> str:
    """Return a text; the context is the file's name in Slicer."""
    return translate("", text)


def getContext(source: str) -> str:
    """Return the context of a source file."""
    return source.rsplit("/", maxsplit=1)[-1].removesuffix(".py")
