"""``med2e3 ablate``: one recipe in several variants, and a table of what came out.

Knows this command's options; what is done is in :mod:`med2e3.training.ablation`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from med2e3.errors import InputError


def ablate(
    ablation: Annotated[
        str,
        typer.Argument(metavar="ABLATION", help="A YAML file, or the name of one that ships."),
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", metavar="FOLDER", help="Where everything is written.")
    ],
    data: Annotated[
        Path, typer.Option("--data", metavar="FOLDER", help="Training data of 'med2e3 data'.")
    ],
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="FOLDER", help="The model that each variant begins with."),
    ] = None,
    at_once: Annotated[
        int, typer.Option("--at-once", metavar="N", min=1, help="Variants trained at a time.")
    ] = 1,
) -> None:
    """Train and measure variants of a recipe with several seeds; print a table."""
    from med2e3.training.ablation import load_ablation, run_ablation  # noqa: PLC0415

    wanted = load_ablation(ablation)
    for folder, what in ((data, "data"), (model, "model")):
        if folder is not None and not folder.is_dir():
            raise InputError(f"There is no {what} folder {folder.name!r}.")
    text = run_ablation(
        wanted,
        output,
        data=data,
        model=model,
        at_once=at_once,
        say=lambda words: typer.echo(f"[med2e3] {words}"),
    )
    typer.echo(text)
