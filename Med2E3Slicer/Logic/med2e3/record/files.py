"""Records in a JSON file: ``{"schema_version": "1.0", "exchanges": [record, ...]}``.

Knows the file's form and its version; does not know what a record holds.  The form is described
by ``exchanges.schema.json`` beside this module.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from med2e3.atomic import write_text
from med2e3.errors import InputError
from med2e3.record.exchange import Exchange

#: a larger first number means that older programs cannot read the file
SCHEMA_VERSION = "1.0"


@dataclass(frozen=True)
class ExchangeFile:
    """What one file holds: exchanges in the order in which they were asked."""

    exchanges: tuple[Exchange, ...]
    schema_version: str = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """The whole file as JSON values."""
        return {
            "schema_version": self.schema_version,
            "exchanges": [exchange.to_dict() for exchange in self.exchanges],
        }

    @classmethod
    def from_dict(cls, values: Any) -> ExchangeFile:
        """Read a file's JSON values; keys that this version does not know are ignored.

        Raises:
            InputError: for another major version, or a damaged record.
        """
        if not isinstance(values, dict) or not isinstance(values.get("exchanges"), list):
            raise InputError("This file holds no Med-2E3 records.")
        version = values.get("schema_version")
        ours = SCHEMA_VERSION.partition(".")[0]
        if not isinstance(version, str) or not version.partition(".")[0].isdigit():
            raise InputError("This file does not say which version of the records it holds.")
        if version.partition(".")[0] != ours:
            raise InputError(
                f"This file holds records of version {version}; this program reads {ours}.x.",
                hint="Open it with the Med2E3Slicer version that wrote it, or update this one.",
            )
        exchanges = tuple(Exchange.from_dict(record) for record in values["exchanges"])
        return cls(exchanges, version)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the file."""
    text = files(__package__).joinpath("exchanges.schema.json").read_text(encoding="utf-8")
    result: dict[str, Any] = json.loads(text)
    return result


def dumps(exchanges: Iterable[Exchange]) -> str:
    """The file's text: UTF-8 JSON, no NaN, a newline at the end.

    Raises:
        InputError: when a number is not finite, which JSON cannot say.
    """
    document = ExchangeFile(tuple(exchanges)).to_dict()
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    except ValueError as error:
        raise InputError(
            "A record holds a number that is not finite.", detail=str(error)
        ) from error


def write_exchanges(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Write records to a JSON file, whole or not at all.

    Raises:
        InputError: when a number is not finite, or the file cannot be written.
    """
    write_text(path, dumps(exchanges))


def read_exchanges(path: Path) -> ExchangeFile:
    """Read records from a JSON file.

    Raises:
        InputError: when the file cannot be read, is not JSON, is of another major version, or
            holds a damaged record.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError("The records file cannot be read.", detail=repr(error)) from error
    except ValueError as error:
        raise InputError("The records file is not valid JSON.", detail=repr(error)) from error
    return ExchangeFile.from_dict(values)
