"""Check the three files of the demonstration: ``python .ci/check_results.py FOLDER``.

This script knows the schema's place and the kinds of files; what a record means is the tests'
business.  It needs jsonschema, which the extra ``dev`` installs.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path

import jsonschema

SCHEMA = (
    Path(__file__).resolve().parents[1] / "Med2E3Slicer/Logic/med2e3/record/exchanges.schema.json"
)
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MODEL_SLICES = 32


def main(folder: Path) -> int:
    """Raise with the reason when a file is wrong; print one line when all are right."""
    document = json.loads((folder / "chest.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(SCHEMA.read_text(encoding="utf-8")))
    exchanges = document["exchanges"]
    if not exchanges:
        raise ValueError("chest.json holds no exchange")
    for exchange in exchanges:
        scores = exchange["scores"]
        if len(scores) != MODEL_SLICES or not math.isclose(sum(scores), 1.0, abs_tol=1e-3):
            raise ValueError(f"the scores of {exchange['question']!r} are not 32 that sum to 1")
    if not (folder / "chest.png").read_bytes().startswith(PNG_SIGNATURE):
        raise ValueError("chest.png is not a PNG picture")
    with (folder / "chest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    if len(rows) < MODEL_SLICES + 1:
        raise ValueError("chest.csv has fewer rows than slices")
    print(f"{len(exchanges)} exchanges follow the schema; picture and table are there.")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
