"""What was left out of a data set, and why: collected, counted, written as a table.

Knows sentences and CSV.  Knows nothing of what is read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from med2e3.atomic import write_text


@dataclass(frozen=True)
class Refusal:
    """Something that is not used, or a remark about something that is.

    Args:
        source: the file or volume, by its name below the folder that was given.
        reason: one sentence.
        line: of the file, 1 first; None where there is none.
    """

    source: str
    reason: str
    line: int | None = None

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}, line {self.line}"
        return f"{where}: {self.reason}"


#: what readers call for everything that they leave out
Refuse = Callable[[Refusal], None]


def write_table(path: Path, rows: Iterable[Refusal]) -> None:
    """Write rows as CSV with the columns source, line, reason; whole or not at all.

    Raises:
        InputError: when the file cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("source", "line", "reason"))
    for row in rows:
        table.writerow((row.source, "" if row.line is None else row.line, row.reason))
    write_text(path, text.getvalue())
