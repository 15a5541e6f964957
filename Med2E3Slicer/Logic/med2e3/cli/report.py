"""``med2e3 report``: a report of a volume, and further questions about it in the same run.

Knows this command's options; what is done with them is in :mod:`med2e3.cli.job`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from med2e3.asking import Question
from med2e3.cli import options
from med2e3.cli.batch_processes import Workers
from med2e3.cli.engine_elsewhere import choose_engine
from med2e3.cli.job import do_job
from med2e3.cli.outputs import Outputs
from med2e3.cli.questions import collect_questions


def report(
    volume: options.Volume,
    *,
    ask: Annotated[
        list[str] | None,
        typer.Option(
            "--ask", metavar="QUESTION", help="Ask this as well, after the report; may be repeated."
        ),
    ] = None,
    questions_file: options.QuestionsFile = None,
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
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            metavar="N",
            min=1,
            max=256,
            help="Share a folder's volumes out among N processes, each with its own model.",
        ),
    ] = 1,
    quiet: options.Quiet = False,
) -> None:
    """Write a report of a CT volume and show which slices the model attended to."""
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
    questions = collect_questions(ask or (), file=questions_file, first=(Question.report(),))
    code = do_job(
        volume,
        questions,
        choose_engine(engine, model, device, dtype),
        settings,
        outputs=Outputs(json_file, csv, figure),
        results=output,
        quiet=quiet,
        workers=Workers(processes, engine, model, device, dtype) if processes > 1 else None,
    )
    raise typer.Exit(code)
