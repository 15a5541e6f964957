"""A recipe that measures its model writes a card with what was measured."""

from __future__ import annotations

from pathlib import Path

import yaml

from fixtures.miniature import recipe_values, stage
from med2e3.data import VolumeStore
from med2e3.model_info import read_model_info
from med2e3.notice import NOTICE
from med2e3.training.recipe import load_recipe
from med2e3.training.run import train


def test_the_card_says_what_was_measured_and_that_scores_were_taught(
    tmp_path: Path, tiny_store: VolumeStore
) -> None:
    plain = {"augmentation": "none", "questions_per_volume": 3}
    values = recipe_values(
        stage("instruction", epochs=1, batch=4, rate=3e-3, grounding_weight=0.3, data=plain)
    )
    values |= {
        "card": "It knows squares.",
        "remark": "TRIAL MODEL.",
        "evaluate": [{"split": "test", "max_new_tokens": 4}],
    }
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    recipe = load_recipe(str(tmp_path / "r.yaml"))
    model = train(recipe, tmp_path / "run", data=tiny_store.root, say=lambda _: None)
    card = (model / "README.md").read_text(encoding="utf-8")
    report = (tmp_path / "run" / "evaluation" / "test" / "report.md").read_text(encoding="utf-8")
    assert NOTICE in card and "It knows squares." in card
    assert "scores were grounded" in card and "| instruction | instruction |" in card
    figures = [line for line in report.splitlines() if line.startswith("| accuracy (strict)")]
    assert figures and all(line in card for line in figures)
    info = read_model_info(model)
    assert info.remark == "TRIAL MODEL." and not info.untrained
