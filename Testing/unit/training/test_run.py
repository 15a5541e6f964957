"""What a recipe does where the machine or the data lack what it asks for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from fixtures.miniature import stage, write_recipe
from med2e3.data import VolumeStore
from med2e3.model import Med2E3ForConditionalGeneration
from med2e3.training import run, stages
from med2e3.training.recipe import Recipe, load_recipe


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Wants real CT in its data, and measures on it; one stage in bfloat16."""
    path = write_recipe(
        tmp_path / "recipe.yaml",
        stage("alignment", epochs=1, batch=2, rate=1e-3, arguments={"bf16": True}),
    )
    return dataclasses.replace(
        load_recipe(path),
        data={"phantoms": 2, "real": 3, "test_phantoms": 1, "size": [8, 16, 16]},
        evaluate=({"split": "test"}, {"split": "test-real"}),
    )


def test_data_without_real_ct_say_so(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MED2E3_SHARED", str(tmp_path / "nowhere"))
    said: list[str] = []
    data = run._make_data(recipe, tmp_path / "run", said.append)
    assert {entry.split for entry in VolumeStore(data).entries.values()} == {"train", "test"}
    (words,) = [line for line in said if "phantoms only" in line]
    assert "without real" in words


def test_what_there_is_no_data_for_is_not_measured(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MED2E3_SHARED", str(tmp_path / "nowhere"))
    data = run._make_data(recipe, tmp_path / "run", lambda _: None)
    measured: list[str] = []
    monkeypatch.setattr(run, "evaluate_model", lambda *given: measured.append(given[3]["split"]))
    monkeypatch.setattr(run, "write_card", lambda *_: None)
    said: list[str] = []
    finished = tmp_path / "run" / "1-alignment" / run.FINISHED
    finished.parent.mkdir()
    finished.write_text('{"seconds": 1}', encoding="utf-8")
    run._measure(recipe, tmp_path / "run", tmp_path, data, said.append)
    assert measured == ["test"]
    assert said[-1] == "The training data have no volumes in the split test-real: not measured"


@pytest.mark.parametrize("standard", [True, False])
def test_a_dense_stage_leaves_tokens_of_standard_size_where_it_is_asked_to(
    standard: bool, tmp_path: Path, tiny_store: VolumeStore
) -> None:
    path = write_recipe(
        tmp_path / "recipe.yaml",
        stage(
            "dense", epochs=1, batch=4, rate=1e-3, attributes=["level"], standard_tokens=standard,
            train=["vision_2d", "vision_3d", "connector_2d", "connector_3d"],
            data={"augmentation": "none"},
        ),
    )  # fmt: skip
    folder = run.train(load_recipe(path), tmp_path / "run", data=tiny_store.root, say=str)
    model = Med2E3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    keys = [key for key, entry in tiny_store.entries.items() if entry.split == "train"]
    voxels = torch.from_numpy(np.stack([tiny_store.voxels(key) for key in keys])).unsqueeze(1)
    with torch.no_grad():
        seen = model.encode_volume(voxels)
    for tokens in (seen.features_2d, seen.features_3d):
        assert tokens is not None
        variance = tokens.square().mean().item()
        assert (variance == pytest.approx(1, rel=0.05)) is standard


@pytest.mark.skipif(torch.accelerator.is_available(), reason="an accelerator has bfloat16")
@pytest.mark.parametrize("fast", [True, False])
def test_bfloat16_is_for_processors_that_are_fast_at_it(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    monkeypatch.setattr(stages, "multiplies_bfloat16_fast", lambda: fast)
    assert stages._arguments(recipe.stages[0], tmp_path, 0).bf16 is fast
    assert stages.uses_bfloat16(recipe.stages[0]) is fast
