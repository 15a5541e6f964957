"""``med2e3 data synthesize``: training data that are made, for a small model.

Knows this command's options; what is made is in :mod:`med2e3.synthetic`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from med2e3.errors import InputError

Count = Annotated[int, typer.Option(metavar="N", min=0, help="Volumes of this kind.")]


def synthesize(
    output: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of the data set.")],
    *,
    phantoms: Count = 1000,
    composites: Count = 0,
    real: Count = 0,
    test_phantoms: Count = 100,
    test_composites: Count = 0,
    test_real: Count = 0,
    size: Annotated[
        str, typer.Option(metavar="N,H,W", help="Slices, rows and columns of the model.")
    ] = "32,64,64",
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same data.")] = 0,
    varied: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Bent, framed, cut, with arms and table, by chance: phantoms, composites or real. "
            "Can be given more than once.",
        ),
    ] = None,
    processes: Annotated[int, typer.Option(metavar="N", min=1, help="Made at a time.")] = 1,
    shared: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Real slices and volumes; without it phantoms only."),
    ] = None,
) -> None:
    """Make phantoms, and real CT with lesions put in, with questions, answers and labels."""
    from med2e3.synthetic.dataset import synthesize as make  # noqa: PLC0415

    parts = size.split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
        raise InputError(f"{size!r} is no size.", hint="Write it as slices,rows,columns: 32,64,64.")
    if shared is not None and not shared.is_dir():
        raise InputError(f"There is no folder {shared.name!r}.")
    store = make(
        output,
        phantoms=phantoms,
        composites=composites,
        real=real,
        test_phantoms=test_phantoms,
        test_composites=test_composites,
        test_real=test_real,
        size=[int(part) for part in parts],
        seed=seed,
        varied=varied or (),
        processes=processes,
        shared=shared,
    )
    wished = {"composites": composites, "real": real, "test_composites": test_composites,
              "test_real": test_real}  # fmt: skip
    missing = [name for name, count in wished.items() if count > store.description["volumes"][name]]
    if missing:
        typer.echo(
            f"The folder of real CT is not there or not whole, so these were left out: "
            f"{', '.join(missing)}. Name it with --shared.",
            err=True,
        )
    for split in sorted({entry.split for entry in store.entries.values()}):
        volumes = sum(entry.split == split for entry in store.entries.values())
        typer.echo(f"{split}: {volumes} volumes, {len(store.samples(split))} questions")
