"""Options that ``report`` and ``ask`` share, and the settings made of them.

Knows how options are written and which values they take; does not run anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from med2e3.asking import GenerationOptions
from med2e3.cli.engine import DEVICES, PRECISIONS
from med2e3.cli.run import Settings
from med2e3.errors import InputError
from med2e3.volume import PLANES, SLICE_ORDERS, WINDOW_NAMES, parse_window

Volume = Annotated[
    Path,
    typer.Argument(
        metavar="VOLUME",
        help="NIfTI, NRRD, MetaImage or M3D .npy file, DICOM folder, or a folder of volumes.",
        show_default=False,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        metavar="NAME|DIR",
        help="An installed model (see `med2e3 models list`) or a converted model's folder.",
    ),
]
Device = Annotated[str, typer.Option(metavar="|".join(DEVICES), help="Where it runs.")]
Dtype = Annotated[
    str,
    typer.Option(
        "--precision",
        "--dtype",
        metavar="|".join(PRECISIONS),
        help="Number format, or bits of the language model's weights; auto takes what fits.",
    ),
]
EngineAddress = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="URL",
        help="Ask a running `med2e3 serve` there instead; MED2E3_TOKEN holds its token.",
    ),
]
Window = Annotated[
    str,
    typer.Option(
        metavar="|".join((*WINDOW_NAMES, "CENTER,WIDTH")),
        help="Grey-value window, in HU; `display` is the file's own.",
    ),
]
Plane = Annotated[
    str,
    typer.Option(
        metavar="|".join(PLANES),
        help="Which slices the model gets; `native` are those of the file.",
    ),
]
SliceOrder = Annotated[
    str,
    typer.Option(
        metavar="|".join(SLICE_ORDERS),
        help="`standard` is head to feet, front to back, right to left.",
    ),
]
TrustSpacing = Annotated[
    bool,
    typer.Option(
        "--trust-spacing",
        help="Take the file's voxel size as right although the body would be of unusual size.",
    ),
]
MaxNewTokens = Annotated[
    int,
    typer.Option(metavar="N", help="Longest answer, in tokens."),
]
Temperature = Annotated[
    float,
    typer.Option(help="0 takes the most probable token; above 0 draws."),
]
TopP = Annotated[
    float,
    typer.Option("--top-p", help="Draw from the most probable share of tokens."),
]
Seed = Annotated[
    int | None,
    typer.Option(metavar="N", help="Makes drawing repeatable."),
]
Stop = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help="End the answer before this text; may be repeated.",
    ),
]
QuestionsFile = Annotated[
    Path | None,
    typer.Option(
        "--questions",
        metavar="FILE",
        help="More questions: one on each line, or .json/.jsonl with choices.",
    ),
]
Conversation = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help='Earlier turns: [{"from": "human", "value": ...}, {"from": "gpt", "value": ...}].',
    ),
]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the records."),
]
FigureFile = Annotated[
    Path | None,
    typer.Option(
        "--figure",
        metavar="FILE.png|svg|pdf",
        help="Draw scores and slices; a PDF has one page for each question.",
    ),
]
CsvFile = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar="FILE",
        help="Write a table: one row for each question and slice.",
    ),
]
ResultsFolder = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="RESULTS",
        help="Folder for the results of many volumes; finished ones are not done again.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print answers and notices only.")]


def make_settings(
    *,
    window: str,
    plane: str,
    slice_order: str,
    trust_spacing: bool,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    seed: int | None,
    stop: list[str] | None,
) -> Settings:
    """Check the options and put them together.

    Raises:
        InputError: for a value that does not exist or is out of range.
    """
    _one_of("plane", plane, PLANES)
    _one_of("slice order", slice_order, SLICE_ORDERS)
    options = GenerationOptions(
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        stop=tuple(stop or ()),
    )
    return Settings(options, parse_window(window), plane, slice_order, trust_spacing)


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"There is no {what} {value!r}.", hint=f"Use one of {', '.join(allowed)}.")
