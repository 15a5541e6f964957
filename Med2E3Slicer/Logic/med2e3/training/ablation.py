"""Ablations: one recipe in several variants and with several seeds, and a table of what came out.

Knows variants, seeds and the table; training and measuring are elsewhere.  Each variant runs as a
process of its own, so that several run at the same time and a killed ablation goes on.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import yaml

from med2e3.atomic import write_text
from med2e3.errors import InputError, Med2E3Error
from med2e3.notice import NOTICE
from med2e3.training.measuring import evaluate_model, figure
from med2e3.training.recipe import RECIPES, load_recipe

TABLE = "ablation.md"
#: half-width of a 95 % interval of a mean in standard errors, by the number of seeds (Student's t)
_T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262}
_DECIMALS = {"ratio": 2}


@dataclass(frozen=True)
class Ablation:
    """What is compared.

    Args:
        title: of the table.
        base: the recipe that is varied.
        seeds: each variant is trained once with each.
        variants: name → changes of the recipe, as ``med2e3 train --set`` takes them.
        evaluate: options of ``med2e3 evaluate``.
        columns: heading → (task, metric, group, unit) of the evaluation's figures; the unit is
            ``percent`` or ``ratio``.
    """

    title: str
    base: str
    seeds: tuple[int, ...]
    variants: Mapping[str, tuple[str, ...]]
    evaluate: Mapping[str, Any]
    columns: Mapping[str, tuple[str, str, str, str]]


def load_ablation(name: str) -> Ablation:
    """Read an ablation from YAML, and check every variant's recipe.

    Raises:
        InputError: when it cannot be read or meant.
    """
    path = Path(name)
    if not path.is_file():
        path = RECIPES / f"{name.removesuffix('.yaml')}.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        ablation = Ablation(
            title=str(values["title"]),
            base=str(values["base"]),
            seeds=tuple(int(seed) for seed in values["seeds"]),
            variants={str(k): tuple(map(str, v or ())) for k, v in values["variants"].items()},
            evaluate=dict(values["evaluate"]),
            columns={str(k): tuple(map(str, v)) for k, v in values["columns"].items()},  # type: ignore[misc]
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"There is no ablation {name!r} that can be read.",
            hint="It needs title, base, seeds, variants, evaluate and columns.",
            detail=repr(error),
        ) from error
    for changes in ablation.variants.values():
        load_recipe(ablation.base, changes)
    return ablation


def run_ablation(
    ablation: Ablation,
    output: Path,
    *,
    data: Path,
    model: Path | None,
    at_once: int,
    say: Callable[[str], None],
) -> str:
    """Train and measure every variant with every seed; what is finished is not done again.

    Args:
        ablation: what to compare.
        output: one folder for each variant and seed, and the table.
        data: prepared training data.
        model: what every variant begins with; None for the recipe's own beginning.
        at_once: how many run at the same time.
        say: is told each step.

    Returns:
        The table, as Markdown.

    Raises:
        Med2E3Error: when a variant failed; the others are finished first.
    """
    jobs = [(variant, seed) for seed in ablation.seeds for variant in ablation.variants]
    threads = max(1, (os.cpu_count() or 1) // at_once)

    def run(job: tuple[str, int]) -> dict[str, Any] | None:
        variant, seed = job
        folder = output / _folder_name(variant) / f"seed-{seed}"
        settings = os.environ | {"OMP_NUM_THREADS": str(threads)}
        line = [sys.executable, "-m", "med2e3.cli.main", "train", ablation.base]
        line += ["--output", str(folder / "run"), "--data", str(data), "--set", f"seed={seed}"]
        line += [word for change in ablation.variants[variant] for word in ("--set", change)]
        if model is not None:
            line += ["--model", str(model)]
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "training.log").open("w", encoding="utf-8") as log:
            ended = subprocess.run(line, stdout=log, stderr=log, env=settings, check=False)
        if ended.returncode != 0:
            say(f"{variant}, seed {seed}: failed; see training.log in its folder")
            return None
        last = sorted((folder / "run").glob("[0-9]*-*/model"))[-1]
        summary = evaluate_model(last, data, folder / "evaluation", ablation.evaluate)
        say(f"{variant}, seed {seed}: done")
        return summary

    with ThreadPoolExecutor(at_once) as pool:
        results = dict(zip(jobs, pool.map(run, jobs), strict=True))
    failed = [job for job, summary in results.items() if summary is None]
    if failed:
        raise Med2E3Error(f"{len(failed)} of {len(jobs)} trainings failed.")
    text = table(ablation, {job: summary for job, summary in results.items() if summary})
    write_text(output / TABLE, text)
    return text


def table(ablation: Ablation, summaries: Mapping[tuple[str, int], Mapping[str, Any]]) -> str:
    """The ablation's figures: mean over seeds with the 95 % interval of that mean (Student's t)."""
    for heading, column in ablation.columns.items():
        if all(figure(summary, *column[:3]) is None for summary in summaries.values()):
            raise InputError(f"No evaluation has the figure of the column {heading!r}.")
    lines = [
        f"# {ablation.title}", "", f"**{NOTICE}**", "",
        f"Each figure is the mean over the seeds {', '.join(map(str, ablation.seeds))} with the "
        "95 % interval of that mean (Student's t).", "",
        "| variant | " + " | ".join(ablation.columns) + " |",
        "|---" * (len(ablation.columns) + 1) + "|",
    ]  # fmt: skip
    for variant in ablation.variants:
        cells = []
        for task, metric, group, unit in ablation.columns.values():
            found = [figure(summaries[variant, s], task, metric, group) for s in ablation.seeds]
            cells.append(_cell([value for value in found if value is not None], unit))
        lines.append(f"| {variant} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(values: Sequence[float], unit: str) -> str:
    if not values:
        return "–"
    factor, digits = (1.0, _DECIMALS[unit]) if unit in _DECIMALS else (100.0, 1)
    text = f"{mean(values) * factor:.{digits}f}"
    if len(values) in _T:
        half = _T[len(values)] * stdev(values) / math.sqrt(len(values))
        text += f" ± {half * factor:.{digits}f}"
    return text


def _folder_name(variant: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", variant.lower()).strip("-")
