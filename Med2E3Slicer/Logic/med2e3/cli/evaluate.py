"""``med2e3 evaluate``: a model's figures on questions whose answers are known.

Knows this command's options and which process does what; how things are measured is in
:mod:`med2e3.evaluation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from med2e3.cli import options
from med2e3.cli.engine import Engine
from med2e3.cli.terminal import Terminal
from med2e3.errors import Cancelled, InputError

if TYPE_CHECKING:
    from med2e3.evaluation.answers import Shard
    from med2e3.evaluation.runner import Evaluation, Settings
    from med2e3.evaluation.summary import Figure
    from med2e3.evaluation.text_metrics import TextMetricOptions

_STOPPED = "Stopped on request; what was answered so far is kept, and the same command goes on."

Data = Annotated[Path, typer.Argument(metavar="DATA", help="A folder that `med2e3 data` made.")]
WordNetFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="WordNet's database, for METEOR's synonyms (Debian: /usr/share/wordnet).",
    ),
]
BertScoreModel = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="A local encoder for BERTScore, such as roberta-large."),
]
BertScoreLayer = Annotated[
    int | None,
    typer.Option(metavar="N", help="Its layer; known by itself for BERT and RoBERTa."),
]
Processes = Annotated[
    int, typer.Option(metavar="N", help="Answer in so many processes at the same time.")
]


@dataclass(frozen=True)
class Part:
    """How the work is shared among processes.

    Args:
        processes: started by this one.
        shard: the one part that this process does, ``I/N``; None for all.
    """

    processes: int = 1
    shard: str | None = None


def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An installed model, or a model's folder.")
    ],
    data: Data,
    *,
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the results; a run can go on in it.")
    ],
    split: Annotated[str, typer.Option(metavar="NAME", help="Which part of the data.")] = "test",
    task: Annotated[
        list[str] | None,
        typer.Option(metavar="report|open_vqa|closed_vqa", help="Only this task; repeat it."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Only the first so many questions.")
    ] = None,
    max_new_tokens: options.MaxNewTokens = 256,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    processes: Processes = 1,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Do only part I of N (for several machines)."),
    ] = None,
    wordnet: WordNetFolder = None,
    bertscore_model: BertScoreModel = None,
    bertscore_layer: BertScoreLayer = None,
    radiology_metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of the package radeval, for reports; repeat it."),
    ] = None,
    faithfulness: Annotated[
        bool, typer.Option("--faithfulness", help="Test the scores by removing slices.")
    ] = False,
    faithfulness_limit: Annotated[
        int, typer.Option(metavar="N", help="On at most so many questions.")
    ] = 200,
    faithfulness_draws: Annotated[
        int, typer.Option(metavar="N", help="Random choices of slices that are averaged.")
    ] = 3,
    retrieval: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also measure retrieval with this contrastive model."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the intervals.")] = 0,
    restart: Annotated[
        bool, typer.Option("--restart", help="Delete an earlier evaluation's answers first.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Ask a model questions whose answers are known, and write its figures with intervals."""
    from med2e3.evaluation.plan import Selection  # noqa: PLC0415
    from med2e3.evaluation.runner import Settings  # noqa: PLC0415
    from med2e3.evaluation.text_metrics import TextMetricOptions  # noqa: PLC0415

    settings = Settings(
        selection=Selection(split, tuple(task or ()), limit),
        max_new_tokens=max_new_tokens,
        faithfulness=faithfulness,
        faithfulness_limit=faithfulness_limit,
        draws=faithfulness_draws,
        seed=seed,
    )
    metrics = TextMetricOptions(
        wordnet, bertscore_model, bertscore_layer, device, tuple(radiology_metric or ())
    )
    with Terminal(quiet=quiet) as terminal:
        figures = evaluate_one(
            Engine(model, device, dtype),
            data,
            output,
            settings,
            metrics,
            Part(processes, shard),
            terminal,
            restart=restart,
            retrieval=retrieval,
        )
        if figures is not None:
            show_figures(figures, terminal)


def evaluate_one(
    engine: Engine,
    data: Path,
    output: Path,
    settings: Settings,
    metrics: TextMetricOptions,
    part: Part,
    terminal: Terminal,
    *,
    restart: bool = False,
    retrieval: Path | None = None,
) -> list[Figure] | None:
    """Do what is missing of one evaluation, and write its results unless this is only a part.

    Returns:
        The figures; None for one part of several.

    Raises:
        InputError: when something given cannot be used.
        Cancelled: on Ctrl-C.
    """
    from med2e3.data.store import VolumeStore  # noqa: PLC0415
    from med2e3.evaluation.answers import Shard  # noqa: PLC0415
    from med2e3.evaluation.runner import EvaluatedModel, Evaluation  # noqa: PLC0415

    if part.processes < 1:
        raise InputError("The number of processes must be at least 1.")
    shard = Shard.parse(part.shard) if part.shard else Shard()
    metrics.check()
    if retrieval is not None and not (retrieval / "config.json").is_file():
        raise InputError(
            f"The folder {retrieval.name!r} holds no contrastive model.",
            hint="Give the folder that the contrastive stage of 'med2e3 train' wrote.",
        )
    record = engine.record()
    evaluation = Evaluation(
        EvaluatedModel(
            record.name,
            record.sha256,
            engine.info.input_size,
            engine.device,
            engine.dtype,
            engine.notice(),
        ),
        VolumeStore(data),
        settings,
        output,
        restart=restart,
    )
    try:
        if part.processes > 1 and not part.shard and evaluation.remaining(shard) > 1:
            _in_processes(engine, data, output, settings, part.processes, evaluation, terminal)
        else:
            _here(engine, evaluation, shard, terminal)
        if part.shard:
            done, total = evaluation.counts()
            terminal.line(f"Part {shard} is done; {done} of {total} answers are there.")
            terminal.show_notice(engine.notice())
            return None
        sections: tuple[str, ...] = ()
        if retrieval is not None:
            sections = (retrieval_section(retrieval, evaluation, engine.device, terminal),)
        terminal.stage("Computing the figures")
        figures = evaluation.finish(metrics, sections)
    except KeyboardInterrupt:
        raise Cancelled(_STOPPED) from None
    terminal.end_stage()
    terminal.line(f"Results: {', '.join(_written(evaluation))} in {output.name!r}.")
    terminal.show_notice(engine.notice())
    return figures


def _here(engine: Engine, evaluation: Evaluation, shard: Shard, terminal: Terminal) -> None:
    terminal.stage("Answering")
    evaluation.work(shard, engine.load, terminal.progress)
    terminal.end_stage()


def _in_processes(
    engine: Engine,
    data: Path,
    output: Path,
    settings: Settings,
    count: int,
    evaluation: Evaluation,
    terminal: Terminal,
) -> None:
    from med2e3.evaluation.processes import run_parts  # noqa: PLC0415

    shared = ["evaluate", "--quiet", "--output", str(output), *_as_arguments(settings)]
    shared += ["--device", engine.device, "--dtype", engine.dtype]
    parts = [
        [*shared, "--shard", f"{number}/{count}", "--", str(engine.folder), str(data)]
        for number in range(1, count + 1)
    ]
    terminal.stage(f"Answering in {count} processes")
    run_parts(parts, lambda: terminal.progress(*evaluation.counts()))
    terminal.end_stage()


def _as_arguments(settings: Settings) -> list[str]:
    """The options that give these settings to another process."""
    selection = settings.selection
    words = ["--split", selection.split]
    for task in selection.tasks:
        words += ["--task", task]
    if selection.limit is not None:
        words += ["--limit", str(selection.limit)]
    if settings.faithfulness:
        words.append("--faithfulness")
    return [
        *words,
        *("--max-new-tokens", str(settings.max_new_tokens)),
        *("--faithfulness-limit", str(settings.faithfulness_limit)),
        *("--faithfulness-draws", str(settings.draws)),
        *("--seed", str(settings.seed)),
    ]


def retrieval_section(folder: Path, evaluation: Evaluation, device: str, terminal: Terminal) -> str:
    """Measure retrieval on the evaluation's reports; the report's part about it."""
    from med2e3.evaluation.embeddings import ClipEmbedder, pairs_of  # noqa: PLC0415
    from med2e3.evaluation.report import retrieval_section as section  # noqa: PLC0415
    from med2e3.evaluation.retrieval import retrieval  # noqa: PLC0415

    pairs = pairs_of(evaluation.samples)
    terminal.stage("Embedding volumes and reports")
    images, texts = ClipEmbedder(folder, device).embed(
        evaluation.store, pairs, progress=terminal.progress
    )
    terminal.end_stage()
    wording = [text for _, text in pairs]
    return section(retrieval(images, texts, wording=wording, seed=evaluation.settings.seed))


def show_figures(figures: list[Figure], terminal: Terminal) -> None:
    """The figures over all samples, one line each."""
    from med2e3.evaluation.report import shown, title  # noqa: PLC0415

    for figure in figures:
        if figure.group == "micro":
            text = f"{figure.task}: {title(figure.metric)} "
            terminal.line(text + shown(figure.metric, figure.estimate))


def _written(evaluation: Evaluation) -> list[str]:
    """Names of the files of results."""
    from med2e3.evaluation.report import (  # noqa: PLC0415
        REPORT_FILE,
        SAMPLES_FILE,
        SUMMARY_FILE,
    )

    names = (REPORT_FILE, SAMPLES_FILE, SUMMARY_FILE)
    return [name for name in names if (evaluation.output / name).is_file()]
