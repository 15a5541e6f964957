"""The text of a record node: the JSON of one exchange, and beside it what a person made of it.

Knows the JSON (that of ``med2e3.record``, with one more key) and which characters a scene file can
hold. Does not know MRML.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

from med2e3.errors import InputError
from med2e3.record import Exchange, ExchangeFile, dumps
from med2e3.volume import SliceMap

#: half characters and the two that XML forbids; JSON can say them as escapes
_NOT_IN_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")
_KEY = "review"


@dataclass(frozen=True)
class Review:
    """What a person did with an answer; the answer itself is never changed.

    Args:
        text: the person's version of the text, ``None`` if it was not edited.
        reviewed: whether the person marked it as reviewed.
        changed: when, ISO 8601 in UTC; empty if nothing was done yet.
    """

    text: str | None = None
    reviewed: bool = False
    changed: str = ""


def write_document(exchange: Exchange) -> str:
    """The text of a new record.

    Raises:
        InputError: when a number of the record is not finite.
    """
    return _storable(dumps([exchange]))


def with_review(text: str, review: Review) -> str:
    """A record's text with another review; everything else in it stays as it is.

    Raises:
        InputError: when the text cannot be read; it is then left alone.
    """
    read_document(text)
    values = _parse(text)
    values[_KEY] = {
        "text": review.text,
        "reviewed": review.reviewed,
        "changed": review.changed,
    }
    return _storable(json.dumps(values, ensure_ascii=False, allow_nan=False, indent=2) + "\n")


def read_document(text: str) -> tuple[Exchange, Review]:
    """What :func:`write_document` and :func:`with_review` wrote.

    Raises:
        InputError: when the text is no record, is damaged, or is of a newer version.
    """
    values = _parse(text)
    exchanges = ExchangeFile.from_dict(values).exchanges
    if len(exchanges) != 1:
        raise InputError(
            _("The record holds {count} exchanges instead of one.").format(count=len(exchanges))
        )
    return exchanges[0], _review(values.get(_KEY))


def slice_map_of(exchange: Exchange) -> SliceMap:
    """Where the model slices of a record lie, as it was when the question was asked.

    Raises:
        InputError: when the record does not tell it.
    """
    told = exchange.preprocessing
    try:
        axis = str(told["slice_axis"])
        normal, spacing = told["slice_normal_lps"], told["slice_spacing_mm"]
        if axis not in {"i", "j", "k"}:
            raise ValueError(axis)
        if normal is None or spacing is None:
            return SliceMap(exchange.slices, axis)
        x, y, z = (float(value) for value in normal)
        return SliceMap(exchange.slices, axis, (x, y, z), float(spacing))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            _("The record does not tell where its slices lie."), detail=repr(error)
        ) from error


def _parse(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(_("The record is damaged."), detail=repr(error)) from error
    if not isinstance(values, dict):
        raise InputError(_("The record is damaged."), detail=type(values).__name__)
    return values


def _review(values: Any) -> Review:
    if not isinstance(values, dict):
        return Review()
    text = values.get("text")
    return Review(
        text if isinstance(text, str) else None,
        values.get("reviewed") is True,
        str(values.get("changed", "")),
    )


def _storable(text: str) -> str:
    return _NOT_IN_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
