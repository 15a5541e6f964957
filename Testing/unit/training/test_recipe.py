"""Recipes: what can be written, what is refused, and that those that ship can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.miniature import stage, write_recipe
from med2e3.errors import InputError
from med2e3.training.recipe import KINDS, load_recipe, shipped_recipes


def test_every_recipe_that_ships_can_be_read() -> None:
    names = shipped_recipes()
    assert "embedded" in names
    for name in names:
        assert load_recipe(name).stages


def test_the_published_stages_learn_without_grounding() -> None:
    for name in shipped_recipes():
        if name.startswith("published/"):
            assert all(stage.grounding_weight == 0 for stage in load_recipe(name).stages)


def test_a_stage_trains_what_its_kind_does_by_default(tmp_path: Path) -> None:
    stages = [stage(kind, epochs=1, batch=1, rate=1e-3) for kind in KINDS]
    recipe = load_recipe(write_recipe(tmp_path / "r.yaml", *stages))
    assert {stage.kind: stage.train for stage in recipe.stages} == KINDS


def test_fields_are_changed_by_place_or_by_name(tmp_path: Path) -> None:
    path = write_recipe(tmp_path / "r.yaml")
    changes = [
        "seed=7",
        "stages.instruction.grounding_weight=0.5",
        "stages.0.train=[vision_2d]",
        "stages.3.model.aggregation=average",
        "stages.3.arguments.learning_rate=1.0e-5",
    ]
    recipe = load_recipe(path, changes)
    assert recipe.seed == 7
    assert recipe.stages[3].grounding_weight == 0.5
    assert recipe.stages[0].train == ("vision_2d",)
    assert recipe.stages[3].model == {"aggregation": "average"}
    assert recipe.stages[3].arguments["learning_rate"] == 1e-5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("seed", "changes nothing"),
        ("seed=[", "not YAML"),
        ("stages.9.kind=dense", "no place"),
        ("colour=red", "no field 'colour'"),
        ("stages.0.kind=magic", "kind of each stage"),
        ("stages.0.speed=1", "no field 'speed'"),
        ("stages.0.train=[brain]", "'brain' is not a part"),
        ("stages.3.data.tasks=[poem]", "'poem' is not a task"),
        ("stages.3.data.augmentation=wild", "'wild' is not an augmentation"),
        ("stages.3.grounding_weight=-1", "below 0"),
        ("stages.3.letter_weight=-1", "below 0"),
        ("stages.3.muon=-1", "below 0"),
        ("stages.0.standard_tokens=true", "no connector"),
        ("stages.0.label_tokens=true", "no connector"),
        ("stages.3.label_tokens=true", "of kind 'instruction'"),
        ("stages.0.reads=labels", "of kind 'dense'"),
        ("stages.0.reads=poems", "'poems' is not what"),
        ("stages.3.data.task_weights={report: -1}", "below 0"),
        ("stages.3.data.topic_weights={plane: -1}", "below 0"),
        ("stages.3.data.task_weights={poem: 1}", "'poem' is not a task"),
        ("stages.0.train=[vision_2d, connector_3d]", "would not train 'connector_3d'"),
        ("stages.0.train=[vision_2d, tgis]", "would not train 'tgis'"),
        ("stages.3.lora={parts: [vision_3d]}", "'vision_3d' is not a part that"),
        ("stages.1.name=dense", "same name"),
        ("start={}", None),
        ("start={model: a, scratch: {}}", "one field"),
        ("stages=[]", "no stages"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, change: str, words: str | None) -> None:
    path = write_recipe(tmp_path / "r.yaml")
    if words is None:
        assert load_recipe(path, [change]).start == {}
        return
    with pytest.raises(InputError, match=words):
        load_recipe(path, [change])


def test_an_unknown_recipe_names_those_that_exist() -> None:
    with pytest.raises(InputError, match="no recipe") as caught:
        load_recipe("no-such-recipe")
    assert "embedded" in caught.value.hint


def test_a_file_that_is_no_yaml_is_said(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(InputError, match="not YAML"):
        load_recipe(str(tmp_path / "r.yaml"))
