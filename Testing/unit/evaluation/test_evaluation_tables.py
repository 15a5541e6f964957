"""The paper's tables from one's own models and data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from unit.cli.cli_harness import RunCli

from med2e3.data.store import VolumeStore
from med2e3.errors import InputError
from med2e3.evaluation.tables import read_table, shipped_tables

QUICK = ("--device", "cpu", "--dtype", "float32", "--quiet")


def test_every_shipped_table_can_be_read() -> None:
    assert shipped_tables() == [f"table{i}" for i in range(1, 6)]
    for name in shipped_tables():
        table = read_table(name)
        assert table.title.startswith(f"Table {name[-1]}")
        assert any(row.model for row in table.rows)


def test_a_table_shows_ours_beside_the_published_figures(
    model_folder: Path, store: VolumeStore, tmp_path: Path, run_cli: RunCli
) -> None:
    shutil.copytree(model_folder, tmp_path / "models" / "med2e3")
    shutil.copytree(store.root, tmp_path / "data" / "m3d-vqa")
    recipe = read_text_of("table2").replace("max_new_tokens: 256", "max_new_tokens: 4")
    (tmp_path / "mine.yaml").write_text(recipe)
    words = ("--models", tmp_path / "models", "--data", tmp_path / "data")
    ended = run_cli(
        *("evaluate-tables", tmp_path / "mine.yaml", "table1", *words),
        *("--output", tmp_path / "out", *QUICK),
    )
    assert ended.code == 0, ended.err
    lines = (tmp_path / "out" / "mine.md").read_text().splitlines()
    (ours,) = [line for line in lines if line.startswith("| Med-2E3, ours")]
    (published,) = [line for line in lines if line.startswith("| Med-2E3, published")]
    assert published.split("|")[2].strip() == "58.55"
    cells = [cell.strip() for cell in ours.split("|")[2:-1]]
    assert len(cells) == 10
    assert "[" in cells[1] and "[" in cells[8]
    assert cells[5] == "–"  # METEOR without synonyms is not shown as METEOR
    assert any("METEOR needs --wordnet" in line for line in lines)
    other = (tmp_path / "out" / "table1.md").read_text()
    assert "There are no data 'm3d-cap'" in other and "| 51.51 |" in other


def read_text_of(name: str) -> str:
    from med2e3.evaluation.tables import RECIPES

    return (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")


def test_a_recipe_that_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no recipe 'table9'"):
        read_table("table9")
    broken = tmp_path / "broken.yaml"
    broken.write_text(read_text_of("table1").replace("87.65, ", "").replace("51.51, ", ""))
    with pytest.raises(InputError, match=r"'broken\.yaml' is no recipe"):
        read_table(str(broken))
