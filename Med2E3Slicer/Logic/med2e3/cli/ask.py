"""``med2e3 ask``: one or many questions about a volume.

Knows this command's options; what is done with them is in :mod:`med2e3.cli.job`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from med2e3.cli import options
from med2e3.cli.engine_elsewhere import choose_engine
from med2e3.cli.job import do_job
from med2e3.cli.outputs import Outputs
from med2e3.cli.questions import collect_questions


def ask(
    volume: options.Volume,
    question: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUESTION...", help="Each in quotes; the volume is encoded once for all."
        ),
    ] = None,
    *,
    choice: Annotated[
        list[str] | None,
        typer.Option(
            "--choice", metavar="TEXT", help="An option of a multiple-choice question; repeat it."
        ),
    ] = None,
    questions_file: options.QuestionsFile = None,
    conversation: options.Conversation = None,
    model: options.Model = "embedded",
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    engine: options.EngineAddress = None,
    window: options.Window = "display",
    plane: options.Plane = "axial",
    slice_order: options.SliceOrder = "standard",
    trust_spacing: options.TrustSpacing = False,
    max_new_tokens: options.MaxNewTokens = 256,
    temperature: options.Temperature = 0.0,
    top_p: options.TopP = 1.0,
    seed: options.Seed = None,
    stop: options.Stop = None,
    json_file: options.JsonFile = None,
    figure: options.FigureFile = None,
    csv: options.CsvFile = None,
    output: options.ResultsFolder = None,
    quiet: options.Quiet = False,
) -> None:
    """Ask questions about a CT volume and show which slices the model attended to."""
    settings = options.make_settings(
        window=window,
        plane=plane,
        slice_order=slice_order,
        trust_spacing=trust_spacing,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        stop=stop,
    )
    questions = collect_questions(
        question or (), choices=choice or (), file=questions_file, conversation=conversation
    )
    code = do_job(
        volume,
        questions,
        choose_engine(engine, model, device, dtype),
        settings,
        outputs=Outputs(json_file, csv, figure),
        results=output,
        quiet=quiet,
    )
    raise typer.Exit(code)
