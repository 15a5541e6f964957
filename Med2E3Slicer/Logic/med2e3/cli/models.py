"""``med2e3 models``: list, download, verify, remove, convert and assemble models.

Knows options, questions to the person and what is printed; does not know how any of it is done
(that is :mod:`med2e3.weights` and :mod:`med2e3.checkpoint`).
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from med2e3.cli.assemble import assemble
from med2e3.errors import Cancelled, InputError, WeightsError
from med2e3.sizes import human_bytes

app = typer.Typer(
    help="List, download, verify, remove, convert and assemble models.", no_args_is_help=True
)
app.command()(assemble)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print no progress.")]


def _out() -> Console:
    # Into a file or a pipe nothing is wrapped, so that it can be searched.
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 240)


def _err() -> Console:
    return Console(stderr=True, highlight=False, markup=False, soft_wrap=not sys.stderr.isatty())


def _agreed(question: str) -> bool:
    """What the person answers; Ctrl-C and the end of the input stop the command."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort as error:
        raise Cancelled from error


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """List models: the embedded one, the installed ones, and those that can be downloaded."""
    from med2e3.cli.model_table import model_rows  # noqa: PLC0415

    rows = model_rows()
    if as_json:
        print(json.dumps({"models": [asdict(row) for row in rows]}, indent=2))
        return
    table = Table("name", "installed", "size", "revision", "licence", box=None)
    for row in rows:
        size = human_bytes(row.bytes_on_disk) if row.bytes_on_disk else ""
        if not row.installed and row.download_bytes:
            size = f"about {human_bytes(row.download_bytes)} to download"
        table.add_row(row.name, row.state, size, row.revision_text, row.licence)
    _out().print(table)


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="A name from `med2e3 models list`.")],
    *,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept the licence without being asked.")
    ] = False,
    from_folder: Annotated[
        Path | None,
        typer.Option("--from", help="Take the files from this folder; nothing is downloaded."),
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(help="Address of a mirror (default: HF_ENDPOINT, or the hub).")
    ] = None,
    keep_originals: Annotated[
        bool, typer.Option("--keep-originals", help="Keep the published files after conversion.")
    ] = False,
    revision: Annotated[
        str | None, typer.Option(help="Commit of the model's repository (`main` for the newest).")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Download a model, check it, convert it and install it; an interrupted one continues."""
    from med2e3.cli.download_progress import TerminalReporter  # noqa: PLC0415
    from med2e3.weights import Store, find_entry, store_dir  # noqa: PLC0415
    from med2e3.weights.hub import choose_hub  # noqa: PLC0415
    from med2e3.weights.install import install  # noqa: PLC0415
    from med2e3.weights.plan import (  # noqa: PLC0415
        installed_already,
        plan_from_folder,
        plan_from_hub,
    )

    if from_folder is not None and (mirror is not None or revision is not None):
        raise InputError(
            "--from takes the files of a folder, so --mirror and --revision mean nothing with it.",
            hint="Leave one of them out.",
        )
    out, err = _out(), _err()
    entry, store = find_entry(name), Store(store_dir())
    if installed_already(entry, store, revision=revision) is not None:
        out.print(f"{name} is installed already; nothing was downloaded.")
        return

    err.print(f"{entry.title}\n\nLicence: {entry.licence.name}")
    for part in entry.licence.parts:
        err.print(f"  {part.what}: {part.licence}")
    for paragraph in entry.licence.text:
        err.print(f"\n{paragraph}")
    err.print()
    interactive = sys.stdin.isatty()
    if not accept_licence and not interactive:
        raise InputError(
            "The licence was not accepted, so nothing was downloaded.",
            hint="Read it above and run the command again with --accept-licence.",
        )
    try:
        with TerminalReporter(err, quiet=quiet) as reporter:
            if from_folder is not None:
                plan = plan_from_folder(entry, store, from_folder, keep_originals=keep_originals)
            else:
                plan = plan_from_hub(
                    entry,
                    store,
                    choose_hub(mirror),
                    revision=revision,
                    keep_originals=keep_originals,
                    notify=reporter.note,
                )
        for remark in plan.remarks:
            err.print(remark)
        err.print(
            f"{human_bytes(plan.download_bytes)} to download "
            f"({human_bytes(plan.total_bytes)} in all); needs {human_bytes(plan.disk_bytes)} of "
            f"{human_bytes(plan.disk_free_bytes)} free disk."
        )
        plan.require_disk()
        if not accept_licence and not _agreed("Do you accept the licence?"):
            raise Cancelled("The licence was not accepted, so nothing was downloaded.")
        with TerminalReporter(err, quiet=quiet) as reporter:
            install(plan, reporter=reporter)
    except KeyboardInterrupt as error:
        raise Cancelled(
            "Stopped on request; what was downloaded is kept.",
            hint="Run the same command to continue, or `med2e3 models remove` to free the space.",
        ) from error
    out.print(f"{name} is installed. Use it with --model {name}.")


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="Name of an installed model.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read every file of an installed model again and compare it with its checksum."""
    from med2e3.weights.manifest import damaged_files, read_manifest  # noqa: PLC0415
    from med2e3.weights.resolve import EMBEDDED_NAME, resolve_model  # noqa: PLC0415

    folder = resolve_model(name)
    manifest = read_manifest(folder)
    if manifest is None:
        hint = (
            "It comes with the software; install that again if you doubt it."
            if name == EMBEDDED_NAME
            else "Only downloaded and converted models have checksums."
        )
        raise InputError(f"The model {folder.name!r} has no checksums to compare with.", hint=hint)
    err = _err()
    bad = damaged_files(folder, manifest, progress=None if quiet or as_json else err.print)
    if as_json:
        result = {"name": manifest.name, "files": len(manifest.files), "damaged": bad}
        print(json.dumps(result, indent=2))
    if bad:
        first = "; ".join(f"{path} {problem}" for path, problem in bad.items())
        raise WeightsError(
            f"The model {manifest.name!r} is damaged: {first}.",
            hint="Remove it, then download or convert it again.",
        )
    if not as_json:
        _out().print(f"{manifest.name}: all {len(manifest.files)} files are as installed.")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Name of an installed or half-downloaded model.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    forget: Annotated[
        bool,
        typer.Option(
            "--forget", help="Also forget its revision and checksums: the next download is new."
        ),
    ] = False,
) -> None:
    """Delete an installed model and its unfinished downloads."""
    from med2e3.weights import EMBEDDED_NAME, Store, store_dir  # noqa: PLC0415

    if name == EMBEDDED_NAME:
        raise InputError("The embedded model belongs to the software and cannot be removed.")
    store = Store(store_dir())
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(
                "Nothing was removed, since nobody could be asked.",
                hint="Run the command again with --yes.",
            )
        if not _agreed(f"Remove the model {name}?"):
            raise Cancelled("Nothing was removed.")
    freed = store.remove(name, forget=forget)
    _out().print(f"{name} was removed; {human_bytes(freed)} are free again.")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="Folder of a checkpoint as published.")],
    target: Annotated[Path, typer.Argument(help="New folder for the safetensors model.")],
    *,
    question_tokenizer: Annotated[
        Path, typer.Option(help="Folder of M3D-CLIP's tokenizer (vocab.txt).")
    ],
    base_llm: Annotated[
        Path | None,
        typer.Option(help="Folder of the base language model, for a LoRA checkpoint without it."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Convert a published checkpoint to one safetensors model."""
    from med2e3.checkpoint import convert_checkpoint  # noqa: PLC0415
    from med2e3.weights.install import describe_conversion  # noqa: PLC0415

    err = _err()
    report = convert_checkpoint(
        source,
        target,
        question_tokenizer=question_tokenizer,
        base_llm=base_llm,
        progress=None if quiet or as_json else err.print,
    )
    describe_conversion(target, report)
    result: dict[str, Any] = asdict(report)
    if as_json:
        print(json.dumps(result, indent=2))
        return
    _out().print(
        f"Converted {report.tensors} tensors ({report.parameters:,} parameters); "
        f"{len(report.unused)} published tensors are not used at inference."
    )
