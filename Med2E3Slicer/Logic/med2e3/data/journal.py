"""What was done for a store so far, so that a run that was ended goes on.

Knows the file ``progress.jsonl``: one line for each volume, written when the volume is stored.  A
line that was cut short by a kill counts for nothing.  Knows nothing of how volumes are made.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from med2e3.atomic import write_lines
from med2e3.errors import InputError

JOURNAL_NAME = "progress.jsonl"


@dataclass(frozen=True)
class Done:
    """One stored volume.

    Args:
        key: of the volume.
        root: name of the folder that it was found below.
        made_from: checksum of everything that decides the result.
        sha256: of the stored voxels.
        signature: see :mod:`med2e3.data.signature`.
        attributes: of the whole volume.
        remarks: sentences for the person.
    """

    key: str
    root: str
    made_from: str
    sha256: str
    signature: str
    attributes: dict[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def read_journal(root: Path) -> dict[str, Done]:
    """The stored volumes by key; of several lines for one volume the last counts.

    Raises:
        InputError: when the file cannot be read.
    """
    done: dict[str, Done] = {}
    try:
        with (root / JOURNAL_NAME).open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    values = json.loads(line)
                    values["remarks"] = tuple(values["remarks"])
                    row = Done(**values)
                except (ValueError, TypeError, KeyError):
                    continue
                done[row.key] = row
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InputError(
            f"The file {JOURNAL_NAME!r} of the training data cannot be read.", detail=repr(error)
        ) from error
    return done


class Journal:
    """The file, open to be added to; a context manager.

    Args:
        root: folder of the store.
        done: what to begin with; the file is written anew with it.

    Raises:
        InputError: when the file cannot be written.
    """

    def __init__(self, root: Path, done: dict[str, Done]) -> None:
        write_lines(root / JOURNAL_NAME, (_line(row) for row in done.values()))
        self._stream: TextIO = (root / JOURNAL_NAME).open("a", encoding="utf-8", newline="\n")

    def add(self, row: Done) -> None:
        """Write a line at once."""
        self._stream.write(_line(row) + "\n")
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()


def _line(row: Done) -> str:
    return json.dumps(asdict(row), ensure_ascii=False)
