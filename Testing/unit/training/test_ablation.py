"""Ablations: variants are trained and measured, and the table holds what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from fixtures.miniature import stage, write_recipe
from med2e3.data import VolumeStore
from med2e3.errors import InputError
from med2e3.training.ablation import Ablation, load_ablation, run_ablation, table

COLUMNS = {
    "accuracy (%)": ("closed_vqa", "accuracy", "micro", "percent"),
    "mass": ("scores", "mass_over_uniform", "micro", "ratio"),
}


def summary(accuracy: float, mass: float | None) -> dict[str, object]:
    """What an evaluation of one training might have found."""
    rows = [("closed_vqa", "accuracy", accuracy), ("scores", "mass_over_uniform", mass)]
    return {
        "figures": [
            {"task": task, "metric": metric, "group": "micro", "estimate": {"value": value}}
            for task, metric, value in rows
            if value is not None
        ]
    }


def test_the_table_has_means_and_intervals() -> None:
    ablation = Ablation("T", "b", (1, 2, 3), {"one": (), "other": ()}, {}, COLUMNS)
    summaries = {("one", seed): summary(0.5 + seed / 10, 2.0) for seed in (1, 2, 3)}
    summaries |= {("other", seed): summary(1.0, None) for seed in (1, 2, 3)}
    lines = table(ablation, summaries).splitlines()
    # the standard deviation of 0.6, 0.7, 0.8 is 0.1; t of two degrees of freedom is 4.303
    assert "| one | 70.0 ± 24.8 | 2.00 ± 0.00 |" in lines
    assert "| other | 100.0 ± 0.0 | – |" in lines


def test_a_column_that_no_evaluation_has_is_refused() -> None:
    ablation = Ablation(
        "T", "b", (1,), {"one": ()}, {}, {"x": ("closed_vqa", "beauty", "micro", "percent")}
    )
    with pytest.raises(InputError, match="column 'x'"):
        table(ablation, {("one", 1): summary(0.5, 1.0)})


def test_a_variant_that_cannot_be_meant_is_refused_before_anything_runs(tmp_path: Path) -> None:
    values = {
        "title": "T", "base": "embedded", "seeds": [1], "evaluate": {}, "columns": {},
        "variants": {"one": ["stages.instruction.train=[brain]"]},
    }  # fmt: skip
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(InputError, match="'brain' is not a part"):
        load_ablation(str(tmp_path / "a.yaml"))
    del values["variants"]
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(InputError, match="can be read"):
        load_ablation(str(tmp_path / "a.yaml"))


def test_variants_are_trained_and_measured_once(tmp_path: Path, tiny_store: VolumeStore) -> None:
    base = write_recipe(
        tmp_path / "base.yaml",
        stage(
            "instruction", epochs=2, batch=4, rate=3e-3, grounding_weight=0.2,
            data={"augmentation": "none", "questions_per_volume": 3},
        ),
    )  # fmt: skip
    ablation = Ablation(
        title="T",
        base=base,
        seeds=(1,),
        variants={"TG-IS": (), "3D only": ("stages.instruction.model.image_features=3d",)},
        evaluate={"split": "test", "task": ["closed_vqa"], "max_new_tokens": 4},
        columns=COLUMNS,
    )
    said: list[str] = []
    output = tmp_path / "out"
    text = run_ablation(
        ablation, output, data=tiny_store.root, model=None, at_once=2, say=said.append
    )
    assert (output / "ablation.md").read_text(encoding="utf-8") == text
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert rows["3D only"].rstrip().endswith("| – |"), "a model without scores has no mass"
    measured = json.loads((output / "tg-is/seed-1/evaluation/summary.json").read_text("utf-8"))
    value = next(f for f in measured["figures"] if f["metric"] == "mass_over_uniform")
    assert f"{value['estimate']['value']:.2f}" in rows["TG-IS"]
    before = {p: p.stat().st_mtime_ns for p in output.rglob("*.safetensors")}
    again = run_ablation(
        ablation, output, data=tiny_store.root, model=None, at_once=2, say=said.append
    )
    assert again == text
    assert before == {p: p.stat().st_mtime_ns for p in output.rglob("*.safetensors")}
