"""The model card: what a model is, how it was trained, and what was measured of it.

Knows Markdown and what a recipe and an evaluation say; measures nothing itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from med2e3.atomic import write_text
from med2e3.model_info import read_model_info
from med2e3.notice import NOTICE
from med2e3.training.recipe import Recipe

FILE = "README.md"


def write_card(
    model: Path, recipe: Recipe, seconds: Mapping[str, float], reports: Mapping[str, Path]
) -> None:
    """Write ``README.md`` into a model's folder.

    Args:
        model: the folder.
        recipe: what it was trained by.
        seconds: of each stage, by name.
        reports: Markdown reports of ``med2e3 evaluate``, by the name of what was measured.
    """
    info = read_model_info(model)
    parts = [f"# {recipe.title}", f"**{NOTICE}**", recipe.card.strip()]
    parts.append(
        f"{info.parameters / 1e6:.2f} million numbers, {info.num_bytes / 1e6:.1f} MB; volumes of "
        f"{' × '.join(map(str, info.input_size))}."
    )
    grounded = [stage.name for stage in recipe.stages if stage.grounding_weight]
    if grounded:
        parts.append(
            f"**Its scores were grounded**: in the stages {', '.join(grounded)} a loss on the "
            "scores told them which slices to find. The released Med-2E3 was trained without it, "
            "so nothing that is measured here of scores can be said of that model."
        )
    parts.append("## Training")
    parts.append(_stages(recipe, seconds))
    for name, report in reports.items():
        parts.append(f"## Measured: {name}")
        parts.append(_lowered(report.read_text(encoding="utf-8")))
    write_text(model / FILE, "\n\n".join(part for part in parts if part) + "\n")


def _stages(recipe: Recipe, seconds: Mapping[str, float]) -> str:
    lines = ["| stage | kind | learns | grounding weight | seconds |", "|---|---|---|---|---|"]
    for stage in recipe.stages:
        took = f"{seconds[stage.name]:.0f}" if stage.name in seconds else ""
        learns = ", ".join(stage.train)
        lines.append(
            f"| {stage.name} | {stage.kind} | {learns} | {stage.grounding_weight:g} | {took} |"
        )
    made = json.dumps(dict(recipe.data)) if recipe.data else "given"
    return "\n".join(lines) + f"\n\nSeed {recipe.seed}; data: `{made}`."


def _lowered(report: str) -> str:
    """A report's headings two levels deeper, without its title and its last, general part."""
    body = report.split("\n## How to read this", maxsplit=1)[0]
    lines = [line for line in body.splitlines() if not line.startswith("# ")]
    return "\n".join(f"#{line}" if line.startswith("## ") else line for line in lines).strip()
