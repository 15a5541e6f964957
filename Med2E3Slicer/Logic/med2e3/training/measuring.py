"""Measuring a trained model with ``med2e3 evaluate``, from a recipe.

Knows how a recipe's options become that command's, and where its results are; knows nothing of
metrics.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from med2e3.errors import Med2E3Error


def evaluate_model(
    model: Path, data: Path, output: Path, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Run one evaluation; what is finished is not done again.

    Args:
        model: a model's folder.
        data: prepared data.
        output: folder of the results.
        options: of ``med2e3 evaluate``, by their long names; a list repeats an option, true is
            an option without a value.

    Returns:
        The content of ``summary.json``.

    Raises:
        Med2E3Error: when the evaluation failed, with its own words.
    """
    line = [sys.executable, "-m", "med2e3.cli.main", "evaluate", "--quiet", "--output", str(output)]
    for name, value in options.items():
        for entry in value if isinstance(value, list | tuple) else [value]:
            if entry is not False:
                line += [f"--{name.replace('_', '-')}"] + ([] if entry is True else [str(entry)])
    settings = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    ended = subprocess.run(
        [*line, "--", str(model), str(data)],
        env=settings,
        check=False,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if ended.returncode != 0:
        said = ended.stderr.strip().splitlines()
        raise Med2E3Error(
            "The trained model could not be evaluated.",
            hint=said[0] if said else "",
            detail=ended.stderr,
        )
    summary: dict[str, Any] = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    return summary


def figure(summary: Mapping[str, Any], task: str, metric: str, group: str) -> float | None:
    """One value of a summary, or None where it has none."""
    for row in summary["figures"]:
        if (row["task"], row["metric"], row["group"]) == (task, metric, group):
            return float(row["estimate"]["value"])
    return None
