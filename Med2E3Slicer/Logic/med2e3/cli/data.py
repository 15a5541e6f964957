"""``med2e3 data``: prepare training volumes, find copies among them, check them.

Knows options, progress and what is printed; how any of it is done is in :mod:`med2e3.data`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from med2e3.cli.models import Json, Quiet
from med2e3.cli.options import Plane, SliceOrder, TrustSpacing, Window
from med2e3.cli.synthesize import synthesize
from med2e3.errors import Cancelled, InputError, Med2E3Error
from med2e3.volume import PLANES, SLICE_ORDERS, parse_window

if TYPE_CHECKING:
    from med2e3.data.annotations import AnnotationFile
    from med2e3.data.refusals import Refusal

app = typer.Typer(
    help="Prepare training volumes, find copies among them, check them.", no_args_is_help=True
)
app.command()(synthesize)

Store = Annotated[
    Path, typer.Argument(metavar="STORE", help="Folder of prepared volumes.", show_default=False)
]

Word = TypeVar("Word", bound=str)

_SPLIT_AND_FILE = re.compile(r"([A-Za-z0-9_-]+)=(.+)")
_SHOWN = 20


@app.command()
def prepare(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Folder of volumes: PNG or JPEG stacks, .npy, NIfTI, NRRD, MetaImage, DICOM.",
            show_default=False,
        ),
    ],
    store: Annotated[
        Path,
        typer.Argument(
            metavar="STORE",
            help="Folder for the prepared volumes; an interrupted run continues.",
            show_default=False,
        ),
    ],
    *,
    annotations: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[SPLIT=]FILE",
            help="M3D-Cap or conversations (.json), M3D-VQA (.csv), samples (.jsonl); "
            "may be repeated.",
        ),
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where M3D-Cap's text files are, if not in FOLDER."),
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="S,R,C", help="Slices, rows, columns of each volume.")
    ] = "32,256,256",
    dtype: Annotated[
        str, typer.Option(metavar="uint8|float16|float32", help="How voxels are stored.")
    ] = "uint8",
    window: Window = "display",
    plane: Plane = "axial",
    slice_order: SliceOrder = "standard",
    trust_spacing: TrustSpacing = False,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Label volumes with the paths and geometry of the volumes."
        ),
    ] = None,
    label_names: Annotated[
        str, typer.Option(metavar="NAME,...", help="What label 1, 2, ... means.")
    ] = "",
    ask_for_report: Annotated[
        str,
        typer.Option(
            metavar="drawn|default|none",
            help="The question before a report of M3D-Cap; `none` is the image alone.",
        ),
    ] = "drawn",
    vqa: Annotated[
        str, typer.Option(metavar="both|open|closed", help="Which form of M3D-VQA's questions.")
    ] = "both",
    split: Annotated[
        str, typer.Option(help="Split of volumes that no annotation names.")
    ] = "unassigned",
    prefix: Annotated[
        str, typer.Option(metavar="NAME", help="Put before each volume's name in the store.")
    ] = "",
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes (default: one for each core).")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Turn a folder of volumes into training arrays with an index and samples."""
    from med2e3.data.m3d_cap import ASKINGS  # noqa: PLC0415
    from med2e3.data.m3d_vqa import FORMS  # noqa: PLC0415
    from med2e3.data.one_volume import Preparation  # noqa: PLC0415
    from med2e3.data.prepare import PrepareRequest, prepare_store  # noqa: PLC0415
    from med2e3.data.store import DTYPES  # noqa: PLC0415

    names = [name.strip() for name in label_names.split(",") if name.strip()]
    request = PrepareRequest(
        source=source,
        store=store,
        preparation=Preparation(
            size=_size(size),
            window=parse_window(window),
            plane=_one_of("plane", plane, PLANES),
            slice_order=_one_of("slice order", slice_order, SLICE_ORDERS),
            trust_spacing=trust_spacing,
        ),
        dtype=_one_of("number format", dtype, DTYPES),
        prefix=prefix,
        labels=labels,
        label_names=("background", *names) if names else (),
        annotations=tuple(_annotation(text) for text in annotations or ()),
        texts=texts,
        asking=_one_of("way to ask for a report", ask_for_report, ASKINGS),
        form=_one_of("form of questions", vqa, FORMS),
        split=split,
        workers=workers if workers is not None else os.cpu_count() or 1,
    )
    try:
        with _locked(store), _progress(quiet or as_json, "Preparing volumes") as bar:
            task = bar.add_task("", total=None, refused="")

            def show(done: int, total: int, refused: int) -> None:
                text = f"{refused} refused" if refused else ""
                bar.update(task, completed=done, total=total, refused=text)

            summary = prepare_store(request, show)
    except KeyboardInterrupt as error:
        raise Cancelled(
            "Stopped on request; volumes that were prepared are kept.",
            hint="Run the same command to continue.",
        ) from error
    if as_json:
        result = {
            "prepared": summary.prepared,
            "kept": summary.kept,
            "refused": [str(row) for row in summary.refused],
            "volumes": dict(summary.volumes),
            "samples": {"/".join(key): n for key, n in sorted(summary.samples.items())},
        }
        print(json.dumps(result, indent=2))
    else:
        out = _out()
        out.print(f"{summary.prepared} volumes were prepared, {summary.kept} were there already.")
        for name, count in sorted(summary.volumes.items()):
            out.print(f"  {name}: {count} volumes")
        for (name, kind), count in sorted(summary.samples.items()):
            out.print(f"  {name}: {count} samples ({kind})")
        if summary.remarks:
            out.print(f"{len(summary.remarks)} remarks are in remarks.csv.")
        _show("refused", "refused.csv", summary.refused, out)
    if not summary.volumes:
        raise Med2E3Error(
            "No volume could be prepared.", hint="The file refused.csv of the store says why."
        )


@app.command()
def duplicates(
    store: Store,
    *,
    threshold: Annotated[
        float, typer.Option(help="Similarity from which two volumes count as copies, up to 1.")
    ] = 0.99,
    drop_from_train: Annotated[
        bool,
        typer.Option(
            "--drop-from-train", help="Take copies of test and validation volumes out of training."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Find volumes that are there more than once, above all in training and test."""
    from med2e3.data.duplicates import (  # noqa: PLC0415
        drop_from_training,
        find_duplicates,
        leaking,
        write_duplicates,
    )
    from med2e3.data.store import VolumeStore  # noqa: PLC0415

    if not 0 < threshold <= 1:
        raise InputError("The threshold is a number above 0 and up to 1.")
    try:
        with _locked(store):
            opened = VolumeStore(store)
            copies = find_duplicates(opened, threshold)
            write_duplicates(store, copies)
            leaks = leaking(copies)
            dropped = drop_from_training(opened, leaks) if drop_from_train and leaks else (0, 0)
    except KeyboardInterrupt as error:
        raise Cancelled from error
    kinds = Counter(copy.kind for copy in copies)
    groups = len({copy.group for copy in copies})
    if as_json:
        result = {
            "groups": groups,
            "exact": kinds["exact"],
            "near": kinds["near"],
            "leaks": leaks,
            "volumes_dropped": dropped[0],
            "samples_dropped": dropped[1],
        }
        print(json.dumps(result, indent=2))
        return
    out = _out()
    out.print(
        f"{groups} groups of copies: {kinds['exact']} exact and {kinds['near']} near copies; "
        "they are listed in duplicates.csv."
    )
    if not leaks:
        out.print("No volume is learned from that is in another split, too.")
    elif drop_from_train:
        out.print(f"{dropped[0]} volumes and {dropped[1]} samples were taken out of training.")
    else:
        out.print(
            f"{len(leaks)} volumes are learned from that are in another split, too; "
            "--drop-from-train takes them out of training."
        )


@app.command()
def check(store: Store, as_json: Json = False, quiet: Quiet = False) -> None:
    """Read a whole store and tell what is missing or damaged."""
    from med2e3.data.check import check_store  # noqa: PLC0415
    from med2e3.data.store import VolumeStore  # noqa: PLC0415

    opened = VolumeStore(store)
    try:
        with _progress(quiet or as_json, "Reading volumes") as bar:
            task = bar.add_task("", total=None, refused="")
            report = check_store(opened, lambda n, all_: bar.update(task, completed=n, total=all_))
    except KeyboardInterrupt as error:
        raise Cancelled from error
    if as_json:
        result = {
            "volumes": report.volumes,
            "samples": report.samples,
            "problems": [str(row) for row in report.problems],
        }
        print(json.dumps(result, indent=2))
    else:
        _show("problems", "", report.problems, _out())
    if report.problems:
        raise Med2E3Error(
            f"The training data have {len(report.problems)} problems.",
            hint="Delete the damaged volumes and run the same 'med2e3 data prepare' command again.",
        )
    if not as_json:
        _out().print(f"{report.volumes} volumes and {report.samples} samples are as stored.")


def _out() -> Console:
    return Console(highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    """Keep a second command from writing to the same store."""
    lock = FileLock(store / ".lock", timeout=0)
    try:
        store.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"Another program is writing to {store.name!r} right now.",
            hint="Wait until it has finished, then run the command again.",
        ) from error
    except OSError as error:
        raise InputError(
            f"The folder {store.name!r} cannot be written: {error.strerror or error}.",
            hint="Choose a folder that you may write to.",
            detail=repr(error),
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _progress(hidden: bool, title: str) -> Iterator[Progress]:
    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[refused]}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=hidden or not sys.stderr.isatty()) as bar:
        yield bar


def _show(what: str, table: str, rows: Sequence[Refusal], out: Console) -> None:
    """List the first rows."""
    if not rows:
        return
    out.print(f"{len(rows)} {what}{f' (all are in {table})' if table else ''}:")
    for row in rows[:_SHOWN]:
        out.print(f"  {row}")
    if len(rows) > _SHOWN:
        out.print(f"  and {len(rows) - _SHOWN} more")


def _annotation(text: str) -> AnnotationFile:
    from med2e3.data.annotations import recognise  # noqa: PLC0415

    found = _SPLIT_AND_FILE.fullmatch(text)
    if found and not Path(text).exists():
        return recognise(Path(found[2]), found[1])
    return recognise(Path(text))


def _size(text: str) -> tuple[int, int, int]:
    try:
        slices, rows, columns = (int(part) for part in re.split(r"[,x]", text))
    except ValueError:
        raise InputError(
            f"{text!r} is no size.", hint="Give slices, rows and columns, such as 32,256,256."
        ) from None
    return slices, rows, columns


def _one_of(what: str, value: str, allowed: Sequence[Word]) -> Word:
    for word in allowed:
        if word == value:
            return word
    raise InputError(f"There is no {what} {value!r}.", hint=f"Use one of {', '.join(allowed)}.")
