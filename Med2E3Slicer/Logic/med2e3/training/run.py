"""A recipe from beginning to end: data, a first model, its stages one after the other.

Knows which steps are finished and goes on after them; knows nothing of what a stage does.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import PartialState
from transformers import set_seed
from transformers.utils import logging as transformers_logging

from med2e3.atomic import write_text
from med2e3.data.store import VolumeStore
from med2e3.errors import InputError
from med2e3.training.allocation import keep_freed_memory
from med2e3.training.card import write_card
from med2e3.training.measuring import evaluate_model
from med2e3.training.recipe import Recipe, Stage
from med2e3.training.scratch import build_from_scratch
from med2e3.training.stages import MODEL, run_stage, uses_bfloat16

FINISHED = "finished.json"
RECIPE = "recipe.json"


def train(
    recipe: Recipe,
    output: Path,
    *,
    data: Path | None = None,
    model: Path | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Train a recipe; what is finished is not done again, what was stopped goes on.

    Args:
        recipe: what to do.
        output: folder for everything that is made.
        data: prepared training data; by default they are made as the recipe says.
        model: the model to begin with, instead of the recipe's.
        say: is told each step.

    Returns:
        The folder of the trained model.

    Raises:
        InputError: when recipe, data and model do not fit, or when the folder holds the work of
            another recipe.
    """
    if recipe.threads and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(recipe.threads)
    if not torch.accelerator.is_available():
        keep_freed_memory()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    set_seed(recipe.seed)
    # without an accelerator several processes find each other only when told that they are on CPUs
    state = PartialState(cpu=not torch.accelerator.is_available())
    if not state.is_main_process:
        say = _silent
    with state.main_process_first():
        _claim(recipe, output)
        data = data or _make_data(recipe, output, say)
        current = _first_model(recipe, output, data, model, say)
    if any(stage.arguments.get("bf16") and not uses_bfloat16(stage) for stage in recipe.stages):
        say("This processor is slow at bfloat16: training in float32")
    for number, stage in enumerate(recipe.stages, 1):
        folder = _folder(output, number, stage)
        marker = folder / FINISHED
        if marker.is_file():
            say(f"Stage {number} of {len(recipe.stages)}, {stage.name}: finished before")
        else:
            say(f"Stage {number} of {len(recipe.stages)}, {stage.name}: training")
            seconds = _timed(stage, current, data, folder, recipe.seed)
            if state.is_main_process:
                write_text(marker, json.dumps({"seconds": round(seconds, 1)}) + "\n")
            say(f"Stage {number} of {len(recipe.stages)}, {stage.name}: done in {seconds:.0f} s")
        state.wait_for_everyone()
        current = folder / MODEL
    if recipe.evaluate and state.is_main_process:
        _measure(recipe, output, current, data, say)
    return current


def _measure(
    recipe: Recipe, output: Path, model: Path, data: Path, say: Callable[[str], None]
) -> None:
    """Evaluate the trained model as the recipe says, and write its card."""
    reports = {}
    splits = {entry.split for entry in VolumeStore(data).entries.values()}
    for options in recipe.evaluate:
        name = str(options.get("split", "test"))
        if name not in splits:
            say(f"The training data have no volumes in the split {name}: not measured")
            continue
        say(f"Measuring on the split {name}")
        folder = output / "evaluation" / name
        evaluate_model(model, data, folder, options)
        reports[name] = folder / "report.md"
    seconds = {
        stage.name: json.loads((_folder(output, n, stage) / FINISHED).read_text("utf-8"))["seconds"]
        for n, stage in enumerate(recipe.stages, 1)
    }
    write_card(model, recipe, seconds, reports)


def _folder(output: Path, number: int, stage: Stage) -> Path:
    return output / f"{number}-{stage.name}"


def _timed(stage: Stage, start: Path, data: Path, folder: Path, seed: int) -> float:
    begin = time.perf_counter()
    run_stage(stage, start, data, folder, seed=seed)
    return time.perf_counter() - begin


def _silent(_: str) -> None:
    pass


def _claim(recipe: Recipe, output: Path) -> None:
    """Write the recipe into its folder, or check that it is the one that is there."""
    output.mkdir(parents=True, exist_ok=True)
    wanted = json.dumps(asdict(recipe), indent=1, default=list)
    file = output / RECIPE
    if not file.exists():
        write_text(file, wanted + "\n")
        return
    if json.loads(file.read_text(encoding="utf-8")) != json.loads(wanted):
        raise InputError(
            f"The folder {output.name!r} holds the work of another recipe.",
            hint="Give another folder, or delete this one to begin anew.",
        )


def _make_data(recipe: Recipe, output: Path, say: Callable[[str], None]) -> Path:
    if not recipe.data:
        raise InputError(
            "This recipe needs prepared training data.", hint="Give their folder with --data."
        )
    from med2e3.synthetic.dataset import SHARED_VARIABLE, synthesize  # noqa: PLC0415 (only where data are made)

    folder = output / "data"
    if (folder / FINISHED).is_file():
        return folder
    say("Making the training data")
    begin = time.perf_counter()
    made = synthesize(folder, **recipe.data).description["volumes"]
    missing = [name for name, count in made.items() if count < recipe.data.get(name, 0)]
    if missing:
        say(
            f"Real CT volumes were not found (variable {SHARED_VARIABLE}): the data are phantoms "
            f"only, without {', '.join(missing)}"
        )
    write_text(folder / FINISHED, "{}\n")
    say(f"Training data: ready after {time.perf_counter() - begin:.0f} s")
    return folder


def _first_model(
    recipe: Recipe, output: Path, data: Path, model: Path | None, say: Callable[[str], None]
) -> Path:
    if model is not None:
        return model
    if "model" in recipe.start:
        return Path(recipe.start["model"])
    if "scratch" not in recipe.start:
        raise InputError(
            "This recipe needs a model to begin with.",
            hint="Make one with 'med2e3 models assemble' and give it with --model.",
        )
    folder = output / "0-start"
    if not (folder / FINISHED).is_file():
        say("Making a new model")
        store = VolumeStore(data)
        samples = store.samples(recipe.stages[0].data.split)
        build_from_scratch(
            folder,
            recipe.start["scratch"],
            samples,
            title=recipe.title,
            seed=recipe.seed,
            remark=recipe.remark,
        )
        write_text(folder / FINISHED, "{}\n")
    return folder
