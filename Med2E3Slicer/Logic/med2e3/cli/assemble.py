"""``med2e3 models assemble``: a Med-2E3 to be trained, made from public models.

Knows options and what is printed; how parts are put together is in
:mod:`med2e3.checkpoint.assemble`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

_PART = "a folder, a name that 'hf download' fetched before, or a JSON file of sizes"
_PARTS = "What it is made of"
_VARIANT = "Variant (the paper's Tables 3 to 5)"


def assemble(
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="New folder for the model to be trained.")
    ],
    *,
    llm: Annotated[
        str,
        typer.Option(help=f"The language model: {_PART}.", rich_help_panel=_PARTS),
    ],
    vision_2d: Annotated[
        str | None,
        typer.Option(
            "--vision-2d",
            help="The slice encoder: SigLIP, CLIP or DINOv2; given as the language model.",
            rich_help_panel=_PARTS,
        ),
    ] = None,
    vision_3d: Annotated[
        str | None,
        typer.Option(
            "--vision-3d",
            help="M3D-CLIP, as published or trained here; given as the language model.",
            rich_help_panel=_PARTS,
        ),
    ] = None,
    question_encoder: Annotated[
        str | None,
        typer.Option(
            help="A BERT that reads the question, if not M3D-CLIP's own; for training M3D-CLIP.",
            rich_help_panel=_PARTS,
        ),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="The language model's tokenizer, if it is not in its folder.",
            rich_help_panel=_PARTS,
        ),
    ] = None,
    question_tokenizer: Annotated[
        str | None,
        typer.Option(
            help="The question encoder's tokenizer (vocab.txt), if it is not in that one's folder.",
            rich_help_panel=_PARTS,
        ),
    ] = None,
    text_feature: Annotated[
        str | None,
        typer.Option(help="m3d_clip, llm_embedding or none.", rich_help_panel=_VARIANT),
    ] = None,
    local_features: Annotated[
        str | None, typer.Option(help="both, 3d or 2d.", rich_help_panel=_VARIANT)
    ] = None,
    aggregation: Annotated[
        str | None, typer.Option(help="tgis, average, max or random.", rich_help_panel=_VARIANT)
    ] = None,
    image_features: Annotated[
        str | None, typer.Option(help="both, 3d or 2d.", rich_help_panel=_VARIANT)
    ] = None,
    score_temperature: Annotated[
        float | None,
        typer.Option(
            help="Divides the scores before the softmax: 5 with m3d_clip, else 1.",
            rich_help_panel=_VARIANT,
        ),
    ] = None,
    context_length: Annotated[
        int | None,
        typer.Option(help="Tokens of volume, question and answer together: 768."),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="Wording: phi, llama, llama3 or qwen2; by default the family's."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="The model's name for people.")] = None,
    seed: Annotated[int, typer.Option(help="Of the weights that begin at random.")] = 2026,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no progress.")] = False,
) -> None:
    """Put a Med-2E3 together from public models on this computer, ready to be trained."""
    from med2e3.checkpoint import assemble as building  # noqa: PLC0415

    given: dict[str, Any] = {
        "text_feature": text_feature,
        "local_features": local_features,
        "aggregation": aggregation,
        "image_features": image_features,
        "score_temperature": score_temperature,
        "context_length": context_length,
        "title": title,
    }
    err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    report = building.assemble(
        target,
        building.Parts(llm, vision_2d, vision_3d, question_encoder, tokenizer, question_tokenizer),
        variant={name: value for name, value in given.items() if value is not None},
        prompt=prompt,
        seed=seed,
        progress=None if quiet or as_json else err.print,
    )
    if as_json:
        print(json.dumps(asdict(report), indent=2))
        return
    print(
        f"Put {report.tensors} tensors together ({report.parameters:,} parameters). "
        f"{report.fresh_parameters:,} of them are new and untrained ({', '.join(report.fresh)}); "
        f"{len(report.unused)} tensors of the public models are not needed."
    )
    print(
        f"Train it next: med2e3 train published/alignment --model {target.name} --data FOLDER "
        "--output FOLDER"
    )
