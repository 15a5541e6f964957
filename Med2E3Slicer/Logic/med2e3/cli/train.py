"""``med2e3 train``: a recipe from its data to the trained model.

Knows this command's options and how several processes are started; what a recipe does is in
:mod:`med2e3.training`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from med2e3.errors import InputError, Med2E3Error


def train(
    recipe: Annotated[
        str,
        typer.Argument(metavar="RECIPE", help="A YAML file, or the name of one that ships."),
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", metavar="FOLDER", help="Where everything is written.")
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FOLDER", help="Training data of 'med2e3 data'."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="FOLDER", help="The model to begin with."),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Change a field of the recipe, such as stages.instruction.grounding_weight=0.2; "
            "may be repeated.",
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", metavar="N", min=1, help="Train with N processes of this computer."
        ),
    ] = 1,
) -> None:
    """Train Med-2E3 by a recipe; the same line again goes on where it was stopped."""
    from med2e3.training.recipe import load_recipe  # noqa: PLC0415

    wanted = load_recipe(recipe, change or ())
    for folder, what in ((data, "data"), (model, "model")):
        if folder is not None and not folder.is_dir():
            raise InputError(f"There is no {what} folder {folder.name!r}.")
    if processes > 1 and "RANK" not in os.environ:
        raise typer.Exit(_several(processes))
    from med2e3.training.run import train as run  # noqa: PLC0415

    folder = run(wanted, output, data=data, model=model, say=_say)
    _say(f"The trained model is in {folder}")


def _several(processes: int) -> int:
    """Start this same command line once for each process; the exit code of the whole."""
    if os.name == "nt":
        raise Med2E3Error("Several processes cannot train together on Windows.")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += [f"--nproc-per-node={processes}", "-m", "med2e3.cli.main", *sys.argv[1:]]
    settings = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // processes))} | os.environ
    return subprocess.run(launcher, env=settings, check=False).returncode


def _say(text: str) -> None:
    if os.environ.get("RANK", "0") == "0":
        print(f"[med2e3] {text}", flush=True)
