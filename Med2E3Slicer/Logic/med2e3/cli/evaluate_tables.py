"""``med2e3 evaluate-tables``: the paper's tables from one's own models and data.

Knows this command's options and where models and data of a recipe lie; one evaluation is
:mod:`med2e3.cli.evaluate`'s work.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from med2e3.cli import options
from med2e3.cli.engine import Engine
from med2e3.cli.evaluate import (
    BertScoreLayer,
    BertScoreModel,
    Part,
    Processes,
    WordNetFolder,
    evaluate_one,
)
from med2e3.cli.terminal import Terminal
from med2e3.notice import NOTICE, whole_notice

if TYPE_CHECKING:
    from med2e3.evaluation.summary import Figure
    from med2e3.evaluation.tables import Table
    from med2e3.evaluation.text_metrics import TextMetricOptions


def evaluate_tables(
    recipe: Annotated[
        list[str], typer.Argument(metavar="RECIPE...", help="table1 to table5, or a YAML file.")
    ],
    *,
    models: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder that holds the models' folders.")
    ],
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder that holds the data's folders.")
    ],
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the results; a run can go on in it.")
    ],
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    processes: Processes = 1,
    wordnet: WordNetFolder = None,
    bertscore_model: BertScoreModel = None,
    bertscore_layer: BertScoreLayer = None,
    quiet: options.Quiet = False,
) -> None:
    """Evaluate every model of the paper's tables that is there, and print the tables."""
    from med2e3.atomic import write_text  # noqa: PLC0415
    from med2e3.evaluation.tables import read_table, table_text  # noqa: PLC0415
    from med2e3.evaluation.text_metrics import TextMetricOptions  # noqa: PLC0415

    tables = {Path(name).stem: read_table(name) for name in recipe}
    metrics = TextMetricOptions(wordnet, bertscore_model, bertscore_layer, device)
    with Terminal(quiet=quiet) as terminal:
        for name, table in tables.items():
            rows = _Rows(models, data, output, (device, dtype), metrics, processes, terminal)
            figures = rows.evaluate(table)
            text = table_text(table, figures, rows.notice, rows.notes)
            write_text(output / f"{name}.md", text)
            terminal.line(text)


class _Rows:
    """Evaluates the rows of tables, each model on each of its sources.

    Attributes:
        notes: what was not there.
        notice: what must accompany the figures.
    """

    def __init__(
        self,
        models: Path,
        data: Path,
        output: Path,
        runs_on: tuple[str, str],
        metrics: TextMetricOptions,
        processes: int,
        terminal: Terminal,
    ) -> None:
        self.models = models
        self.data = data
        self.output = output
        self.runs_on = runs_on
        self.metrics = metrics
        self.processes = processes
        self.terminal = terminal
        self.notes: list[str] = []
        if metrics.wordnet is None:
            self.notes.append("METEOR needs --wordnet; without synonyms it is not the paper's.")
        if metrics.bertscore is None:
            self.notes.append("BERTScore needs --bertscore-model.")
        self.notice = whole_notice(None)

    def evaluate(self, table: Table) -> dict[tuple[str, str], list[Figure]]:
        """The figures of every model and source that are there."""
        from med2e3.evaluation.runner import Settings  # noqa: PLC0415

        self.output.mkdir(parents=True, exist_ok=True)
        found: dict[tuple[str, str], list[Figure]] = {}
        for row in table.rows:
            if row.model is None:
                continue
            folder = self.models / row.model
            if not (folder / "config.json").is_file():
                self._note(f"There is no model {row.model!r}, so its figures are missing.")
                continue
            engine = Engine(str(folder), *self.runs_on)
            if engine.notice() != NOTICE:
                self.notice = engine.notice()
            for name, source in table.sources.items():
                data = self.data / source.data
                if not (data / "dataset.json").is_file():
                    self._note(f"There are no data {source.data!r}, so figures are missing.")
                    continue
                tasks = "-".join(source.selection.tasks) or "all"
                place = f"{source.data}-{source.selection.split}-{tasks}"
                figures = evaluate_one(
                    engine,
                    data,
                    self.output / row.model / place,
                    Settings(selection=source.selection, max_new_tokens=source.max_new_tokens),
                    self.metrics,
                    Part(self.processes),
                    self.terminal,
                )
                found[row.model, name] = figures or []
        return found

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
