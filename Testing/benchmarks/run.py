"""Run the benchmarks of speed, one after the other, and write all figures into one JSON file::

    python Testing/benchmarks/run.py --json benchmarks.json

Words after ``--`` go to the full-size benchmark, for example ``-- --device cuda``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def figures(program: str, *words: str) -> dict[str, Any]:
    """Run one benchmark in a process of its own, so that memory is counted from nothing."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "figures.json"
        command = [sys.executable, str(HERE / program), "--json", str(result), *words]
        subprocess.run(command, check=True)
        measured: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return measured


def main() -> None:
    """Parse arguments, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("::", maxsplit=1)[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("full_size", nargs="*", help="words for the full-size benchmark")
    arguments = parser.parse_args()
    measured = {
        "preprocessing": figures("preprocessing.py"),
        "strip": figures("strip.py"),
        "batching": figures("batching.py"),
        "full_size": figures("full_size.py", *arguments.full_size),
    }
    arguments.json.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
