"""Time and memory of the model in each precision beside the reference's way, on this machine.

One run measures everything, so that ratios hold although seconds move with the machine::

    python Testing/benchmarks/full_size.py --json full_size.json

Random weights are written to a temporary folder once; then each precision is loaded from it and
asked in a process of its own, so that its peak memory is its own.  ``second`` is another question
about a volume that was asked about before.  The reference's way computes everything again for each
question (``one_precision.py`` says how).  Decoding one token reads every weight of the language
model once, so the memory's bandwidth, measured in each process, bounds it.

``--size half`` and ``small`` have fewer layers of the same width.  ``--clock cpu`` counts this
program's processor time instead of the wall's, for a machine that others use at the same time; it
is a fair measure with ``--threads 1`` only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REFERENCE = "reference"


def model_name() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def run(program: str, *words: str) -> None:
    """One program of this folder in a process of its own."""
    subprocess.run([sys.executable, str(HERE / program), *words], check=True)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Write weights, measure each precision in turn, put the ratios together."""
    figures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        run(
            "random_weights.py",
            str(folder / "model"),
            "--size",
            arguments.size,
            "--dtype",
            arguments.dtype,
        )
        for kind in (REFERENCE, *arguments.precisions.split(",")):
            print(f"{kind} ...", file=sys.stderr, flush=True)
            words = ["--reference"] if kind == REFERENCE else []
            result = folder / f"{kind}.json"
            precision = arguments.dtype if kind == REFERENCE else kind
            for option in ("device", "rounds", "tokens", "threads", "clock"):
                words += [f"--{option}", str(getattr(arguments, option))]
            words += ["--precision", precision, "--json", str(result)]
            run("one_precision.py", str(folder / "model"), *words)
            figures[kind] = json.loads(result.read_text(encoding="utf-8"))
    base = figures[REFERENCE]
    again = base["seconds"]["second"]
    return {
        "machine": {
            "cpu": model_name(),
            "cores": os.cpu_count(),
            "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
            "device": arguments.device,
        },
        "size": arguments.size,
        "tokens": arguments.tokens,
        "rounds": arguments.rounds,
        "figures": figures,
        "to_reference": {
            kind: {
                "second_time_to_first_token": f["seconds"]["second"]["first_token"]
                / again["first_token"],
                "second_whole_answer": f["seconds"]["second"]["total"] / again["total"],
                "peak_memory": f["peak_memory_bytes"] / base["peak_memory_bytes"],
                "tokens_per_second": f["tokens_per_second"] / base["tokens_per_second"],
            }
            for kind, f in figures.items()
        },
    }


def main() -> None:
    """Parse arguments, measure, print and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--size", default="full", choices=("full", "half", "small", "tiny"))
    parser.add_argument("--precisions", default="bfloat16,int8,int4", help="separated by commas")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    parser.add_argument("--dtype", default="bfloat16", help="of the file and of the reference")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=60, help="tokens of each answer")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--clock", default="wall", choices=("wall", "cpu"))
    parser.add_argument("--folder", type=Path, help="where the weights are put for the time")
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments), indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
