"""Volumes that are not to be learned from, since they are in a test set, too.

Knows the file ``dropped.csv`` of a store, which every later run of ``med2e3 data prepare`` obeys.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from med2e3.atomic import write_text
from med2e3.errors import InputError

DROPS_NAME = "dropped.csv"


def read_drops(root: Path) -> dict[str, str]:
    """Keys of dropped volumes, each with the volume that it is a copy of.

    Raises:
        InputError: when the file is damaged.
    """
    try:
        with (root / DROPS_NAME).open(encoding="utf-8", newline="") as stream:
            return {row["key"]: row["copy_of"] for row in csv.DictReader(stream)}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise InputError(
            f"The file {DROPS_NAME!r} of the training data is damaged.",
            hint="Delete it, then run 'med2e3 data duplicates' again.",
            detail=repr(error),
        ) from error


def write_drops(root: Path, drops: Mapping[str, str]) -> None:
    """Write what :func:`read_drops` reads, whole or not at all.

    Raises:
        InputError: when the file cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("key", "copy_of"))
    table.writerows(sorted(drops.items()))
    write_text(root / DROPS_NAME, text.getvalue())
