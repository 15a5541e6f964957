"""The paper's tables: which model, data and figure each cell is, and how they are printed.

Knows recipes (YAML) and the layout of a table; asks no model.  Published figures are in the
recipes and are shown beside ours, never mixed with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from med2e3.errors import InputError
from med2e3.evaluation.plan import Selection
from med2e3.evaluation.report import shown
from med2e3.evaluation.summary import Figure

RECIPES = Path(__file__).resolve().parents[1] / "recipes" / "paper"
_NONE = "–"


@dataclass(frozen=True)
class Source:
    """Questions that a table rests on.

    Args:
        data: folder of the prepared data, below the folder of all data.
        selection: which samples of it.
        max_new_tokens: longest answer.
    """

    data: str
    selection: Selection
    max_new_tokens: int = 256


@dataclass(frozen=True)
class Column:
    """One figure of every row.

    Args:
        title: its heading.
        source: name of the questions.
        task, metric, group: which figure, as in :class:`~med2e3.evaluation.summary.Figure`.
    """

    title: str
    source: str
    task: str
    metric: str
    group: str


@dataclass(frozen=True)
class Row:
    """One model.

    Args:
        name: what it is called in the table.
        model: its folder below the folder of all models; None for figures only published.
        published: in percent, one for each column; empty where they are not known.
    """

    name: str
    model: str | None = None
    published: tuple[float, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Args:
        title: above it.
        sources: by name.
        columns, rows: its cells.
        notes: sentences below it.
    """

    title: str
    sources: dict[str, Source]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def shipped_tables() -> list[str]:
    """Names of the tables that ship with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def read_table(name: str) -> Table:
    """Read a recipe.

    Args:
        name: ``table1`` to ``table5``, or a YAML file.

    Raises:
        InputError: when there is no such recipe, or it cannot be meant.
    """
    path = Path(name) if Path(name).is_file() else RECIPES / f"{name}.yaml"
    if not path.is_file():
        raise InputError(
            f"There is no recipe {Path(name).name!r} of a table.",
            hint=f"Give a YAML file, or one of: {', '.join(shipped_tables())}.",
        )
    try:
        return _table(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise InputError(
            f"The recipe {path.name!r} is no recipe of a table.",
            hint="Begin with a copy of one that ships, such as table1.",
            detail=repr(error),
        ) from error


def _table(values: dict[str, Any]) -> Table:
    sources = {
        name: Source(
            data=str(source["data"]),
            selection=Selection(
                str(source.get("split", "test")),
                tuple(source.get("tasks", ())),
                source.get("limit"),
            ),
            max_new_tokens=int(source.get("max_new_tokens", 256)),
        )
        for name, source in values["sources"].items()
    }
    columns = tuple(Column(**column) for column in values["columns"])
    rows = tuple(
        Row(row["name"], row.get("model"), tuple(map(float, row.get("published", ()))))
        for row in values["rows"]
    )
    for column in columns:
        if column.source not in sources:
            raise KeyError(column.source)
    for row in rows:
        if row.published and len(row.published) != len(columns):
            raise ValueError(f"{row.name}: {len(row.published)} figures, {len(columns)} columns")
    return Table(values["title"], sources, columns, rows, tuple(values.get("notes", ())))


def table_text(
    table: Table,
    figures: Mapping[tuple[str, str], Sequence[Figure]],
    notice: str,
    notes: Sequence[str] = (),
) -> str:
    """A table as Markdown, our figures and the published ones in rows of their own.

    Args:
        table: the recipe.
        figures: of each (model, source) that was evaluated.
        notice: the notice.
        notes: sentences besides the recipe's own.
    """
    lines = [
        f"# {table.title}",
        "",
        f"**{notice}**",
        "",
        "Percent, with 95 % intervals of our figures. *published* are the paper's figures.",
        "",
        f"| | {' | '.join(column.title for column in table.columns)} |",
        f"|---|{'---|' * len(table.columns)}",
    ]
    for row in table.rows:
        if row.model is not None:
            cells = [_cell(figures.get((row.model, c.source), ()), c) for c in table.columns]
            lines.append(f"| {row.name}, ours | {' | '.join(cells)} |")
        if row.published:
            cells = [f"{value:.2f}" for value in row.published]
            lines.append(f"| {row.name}, published | {' | '.join(cells)} |")
    lines += ["", *(f"- {note}" for note in (*table.notes, *notes))]
    return "\n".join(lines).rstrip() + "\n"


def _cell(figures: Sequence[Figure], column: Column) -> str:
    wanted = (column.task, column.metric, column.group)
    for figure in figures:
        if (figure.task, figure.metric, figure.group) == wanted:
            return shown(figure.metric, figure.estimate)
    return _NONE
