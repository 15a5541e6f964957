"""Scores as a table (CSV): one row for each question and model slice.

Knows columns and quoting; knows nothing of models or volumes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from med2e3.atomic import write_text
from med2e3.record.exchange import Exchange

#: indices count from 0 as in the JSON records; question numbers count from 1
COLUMNS = (
    "question_number",
    "question",
    "slice_index",
    "score",
    "score_relative_to_uniform",
    "position_r_mm",
    "position_a_mm",
    "position_s_mm",
    "source_first",
    "source_last",
    "model",
    "model_sha256",
    "notice",
)

Cell = str | int | float | None


def rows(exchanges: Iterable[Exchange]) -> Iterator[tuple[Cell, ...]]:
    """The table's rows in the order of :data:`COLUMNS`.

    Positions are RAS in mm.  What is not known (scores of a model without TG-IS, positions of a
    ``.npy``) is ``None``, an empty cell in the file.
    """
    for number, exchange in enumerate(exchanges, start=1):
        relative = exchange.relative_scores()
        for row, place in enumerate(exchange.slices):
            yield (
                number,
                exchange.question,
                place.index,
                exchange.scores[row] if exchange.scores else None,
                relative[row] if relative else None,
                *(place.position_ras_mm or (None, None, None)),
                place.source_first,
                place.source_last,
                exchange.model.name,
                exchange.model.sha256,
                exchange.notice,
            )


def table_text(exchanges: Iterable[Exchange]) -> str:
    """The table as CSV (RFC 4180: commas, CRLF, quotes where needed)."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    writer.writerows(rows(exchanges))
    return stream.getvalue()


def write_table(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Write the table to a UTF-8 file, whole or not at all.

    Raises:
        InputError: when the file cannot be written.
    """
    write_text(path, table_text(exchanges))
