"""What ``report`` and ``ask`` do once their options are read: one volume, or many.

Knows the order in which input is checked (all of it before any model is loaded) and which exit
code results; does not know the options' names on the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from med2e3.asking import Question
from med2e3.cli.batch import run_batch
from med2e3.cli.batch_processes import Workers, run_batch_in_processes
from med2e3.cli.engine import AnyEngine
from med2e3.cli.folders import Source, as_one_volume, find_volumes
from med2e3.cli.outputs import Outputs
from med2e3.cli.run import Settings, ask_all, prepare_volume
from med2e3.cli.terminal import Terminal
from med2e3.errors import Cancelled, InputError


def do_job(
    volume: Path,
    questions: Sequence[Question],
    engine: AnyEngine,
    settings: Settings,
    *,
    outputs: Outputs,
    results: Path | None,
    quiet: bool,
    workers: Workers | None = None,
) -> int:
    """Answer the questions for a volume or for a folder of volumes.

    Args:
        volume: a file, a DICOM folder, or a folder of volumes.
        questions: at least one.
        engine: not loaded yet.
        settings: of preparation and answers.
        outputs: files for one volume.
        results: folder of results; with it every volume gets its own folder.
        quiet: show answers and notices only.
        workers: share the volumes out among processes; needs ``results``.

    Returns:
        The exit code.

    Raises:
        Med2E3Error: when one volume or the model cannot be used.
    """
    sources = _sources(volume)
    with Terminal(quiet=quiet) as terminal:
        if results is not None:
            if any(True for _ in outputs.paths()):
                raise InputError(
                    "--output writes the results of every volume to its own folder, so --json, "
                    "--csv and --figure have no meaning with it.",
                    hint="Leave them out; the same files are written to each folder.",
                )
            if workers is not None:
                return run_batch_in_processes(
                    sources, results, questions, engine, settings, terminal, workers
                )
            return run_batch(sources, results, questions, engine, settings, terminal)
        if workers is not None:
            raise InputError(
                "--processes shares out the volumes of a folder.",
                hint="Say with --output RESULTS where their results are to go.",
            )
        if len(sources) > 1:
            one = as_one_volume(volume, sources)
            sources = [one] if one else sources
        if len(sources) > 1:
            raise InputError(
                f"The folder holds {len(sources)} volumes.",
                hint="Say with --output RESULTS where their results are to go, or give one volume.",
            )
        outputs.check(sources[0].path)
        return _one_volume(sources[0].path, questions, engine, settings, outputs, terminal)


def _sources(volume: Path) -> list[Source]:
    """The volumes; a folder in which none is recognised is left to the reader to judge."""
    try:
        found = find_volumes(volume) if volume.is_dir() else []
        return found or [Source(volume, volume.resolve().name)]
    except OSError as error:  # not a possible name, or not on a readable disk
        raise InputError(
            f"The volume cannot be opened: {error.strerror or error}.",
            hint="Check the path.",
            detail=repr(error),
        ) from error


def _one_volume(
    path: Path,
    questions: Sequence[Question],
    engine: AnyEngine,
    settings: Settings,
    outputs: Outputs,
    terminal: Terminal,
) -> int:
    try:
        prepared = prepare_volume(path, engine, settings, terminal)
        answers = ask_all(prepared, questions, engine, settings, terminal)
    except KeyboardInterrupt:
        raise Cancelled from None
    try:
        if answers.exchanges:
            terminal.stage("Writing the results", brief=True)
            written = outputs.write(answers.exchanges, prepared.model_input.voxels)
            terminal.end_stage()
            if written and not terminal.quiet:
                terminal.line()
                terminal.line(f"Written: {', '.join(path.name for path in written)}")
    finally:
        terminal.show_warnings(prepared.model_input.warnings)
        terminal.show_notice(engine.notice())
    if answers.stopped_by is not None:
        raise answers.stopped_by
    return 0
