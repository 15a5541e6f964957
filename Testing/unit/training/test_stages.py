"""All stages on a miniature model: it learns, and saving, loading and resuming agree."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fixtures.miniature import stage, write_recipe
from med2e3.asking import Done, Question
from med2e3.data import VolumeStore
from med2e3.errors import InputError
from med2e3.model import Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.model.clip3d import M3DClipModel
from med2e3.session import Session
from med2e3.training.collate import Collator
from med2e3.training.examples import Examples
from med2e3.training.parts import begin_anew, train_only, with_variant
from med2e3.training.recipe import StageData, load_recipe
from med2e3.training.run import train
from med2e3.training.scoring import Scoring

MAIN = [sys.executable, "-m", "med2e3.cli.main"]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


class Asked:
    """A stored volume as a session takes it."""

    def __init__(self, store: VolumeStore, key: str) -> None:
        self.voxels = store.voxels(key)
        self.sha256 = key


def test_the_trained_model_answers_and_looks_at_the_right_slices(
    trained: Any, tiny_store: VolumeStore
) -> None:
    """On volumes that it never saw."""
    session = Session.load(trained.model, device="cpu", dtype="float32")
    right = found = with_square = 0
    samples = [s for s in tiny_store.samples("test") if s.task == "closed_vqa"]
    for sample in samples:
        *_, done = session.ask(Asked(tiny_store, sample.volume), sample.as_question())
        assert isinstance(done, Done)
        right += done.answer == sample.target
        if sample.slices is not None:
            with_square += 1
            found += done.scores.index(max(done.scores)) in sample.slices
    assert len(samples) == 6
    assert with_square == 3
    assert right >= 5
    assert found >= 2


def test_each_stage_moves_what_it_trains_and_nothing_else(trained: Any) -> None:
    folders = ["0-start", *(f"{i}-{n}/model" for i, n in enumerate(
        ("dense", "contrastive", "alignment", "instruction"), 1))]  # fmt: skip
    expected = [
        {"vision_2d", "vision_3d"},
        {"vision_3d", "question_encoder"},
        {"connector_2d", "connector_3d", "tgis"},
        {"language_model", "vision_2d", "connector_2d", "connector_3d", "tgis"},
    ]
    for before, after, parts in zip(folders, folders[1:], expected, strict=False):
        old, new = weights(trained.output / before), weights(trained.output / after)
        moved = {n.partition(".")[0] for n in new if not torch.equal(old[n], new[n])}
        assert moved == parts, after


def test_the_model_says_how_it_was_trained(trained: Any) -> None:
    config = Med2E3ForConditionalGeneration.from_pretrained(trained.model).config
    assert not config.untrained
    assert config.score_grounding == 0.2
    first = Med2E3ForConditionalGeneration.from_pretrained(trained.output / "0-start").config
    assert first.untrained and first.score_grounding == 0


def test_the_contrastive_stage_leaves_an_m3d_clip(trained: Any) -> None:
    folder = trained.output / "2-contrastive"
    clip = M3DClipModel.from_pretrained(folder / "clip")
    whole = weights(folder / "model")
    for name, value in clip.vision_3d.state_dict().items():
        torch.testing.assert_close(value, whole[f"vision_3d.{name}"])


def test_a_finished_recipe_does_nothing_again(trained: Any, tiny_store: VolumeStore) -> None:
    before = {p: p.stat().st_mtime_ns for p in trained.output.rglob("*.safetensors")}
    recipe = load_recipe(str(trained.output.parent / "recipe.yaml"))
    said: list[str] = []
    assert train(recipe, trained.output, data=tiny_store.root, say=said.append) == trained.model
    assert before == {p: p.stat().st_mtime_ns for p in trained.output.rglob("*.safetensors")}
    assert sum("finished before" in line for line in said) == 4
    assert not list(trained.output.rglob("checkpoint-*"))


def test_another_recipe_does_not_mix_with_it(trained: Any, tiny_store: VolumeStore) -> None:
    recipe = load_recipe(str(trained.output.parent / "recipe.yaml"), ["seed=99"])
    with pytest.raises(InputError, match="another recipe"):
        train(recipe, trained.output, data=tiny_store.root, say=lambda _: None)


def _slow_recipe(path: Path) -> str:
    return write_recipe(
        path,
        stage(
            "instruction", epochs=22, batch=4, rate=3e-3, grounding_weight=0.2, muon=2,
            train=["language_model", "vision_2d", "connector_2d", "tgis", "question_encoder"],
            data={"augmentation": "published", "questions_per_volume": 2},
            arguments={"save_steps": 20},
        ),
    )  # fmt: skip


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, tiny_store: VolumeStore) -> None:
    """SIGKILL in the middle, twice; dropout, order and augmentation go on where they were."""
    recipe = _slow_recipe(tmp_path / "recipe.yaml")
    changes = ["--set", "start.scratch.config.score_dropout=0.1"]
    line = [*MAIN, "train", recipe, "--data", str(tiny_store.root), *changes, "--output"]
    settings = os.environ | {"OMP_NUM_THREADS": "1"}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*line, str(whole)], check=True, capture_output=True, env=settings)
    for step in (20, 60):
        run = subprocess.Popen(
            [*line, str(killed)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=settings
        )
        checkpoints = killed / "1-instruction" / "checkpoints"
        until = time.monotonic() + 120
        wanted = checkpoints / f"checkpoint-{step}" / "trainer_state.json"
        later = checkpoints / f"checkpoint-{step + 20}" / "trainer_state.json"
        while not (wanted.exists() or later.exists()):
            assert run.poll() is None, run.communicate()[0]
            assert time.monotonic() < until
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert not (killed / "1-instruction" / "model").exists()
    subprocess.run([*line, str(killed)], check=True, capture_output=True, env=settings)
    expected, got = (weights(f / "1-instruction" / "model") for f in (whole, killed))
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=0, atol=0, msg=name)


def test_data_of_another_size_are_refused(tmp_path: Path, tiny_store: VolumeStore) -> None:
    changes = ["start.scratch.config.vision_3d_config.image_size=[16, 32, 32]"]
    recipe = load_recipe(write_recipe(tmp_path / "r.yaml"), changes)
    with pytest.raises(InputError, match="volumes of"):
        train(recipe, tmp_path / "run", data=tiny_store.root, say=lambda _: None)


def test_arguments_that_the_trainer_lacks_are_refused(
    tmp_path: Path, tiny_store: VolumeStore
) -> None:
    recipe = load_recipe(write_recipe(tmp_path / "r.yaml"), ["stages.0.arguments.velocity=3"])
    with pytest.raises(InputError, match="arguments of stage 'dense'"):
        train(recipe, tmp_path / "run", data=tiny_store.root, say=lambda _: None)


def test_a_dense_stage_needs_labels(tmp_path: Path, tiny_store: VolumeStore) -> None:
    folder = tmp_path / "data"
    shutil.copytree(tiny_store.root, folder)
    description = (folder / "dataset.json").read_text(encoding="utf-8")
    kept = description.replace('"background",', "").replace('"square"', "")
    (folder / "dataset.json").write_text(kept, encoding="utf-8")
    recipe = load_recipe(write_recipe(tmp_path / "r.yaml"))
    with pytest.raises(InputError, match="label maps"):
        train(recipe, tmp_path / "run", data=folder, say=lambda _: None)


def test_a_variant_keeps_the_weights_that_it_shares(trained: Any) -> None:
    model = Med2E3ForConditionalGeneration.from_pretrained(trained.model)
    session = Session.load(trained.model, device="cpu", dtype="float32")
    changed, processor = with_variant(model, session.processor, {"image_features": "3d"})
    assert not hasattr(changed, "vision_2d")
    assert processor.num_image_tokens == changed.config.num_3d_tokens
    for name, value in changed.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name])
    with pytest.raises(InputError, match="no field 'colour'"):
        with_variant(model, session.processor, {"colour": "red"})
    with pytest.raises(InputError, match="Nothing of this model learns"):
        train_only(changed, ["vision_2d"])


def test_fresh_parts_begin_anew_by_the_seed(trained: Any) -> None:
    models = [Med2E3ForConditionalGeneration.from_pretrained(trained.model) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        begin_anew(model, ["connector_2d", "language_model"], seed)
    one, same, other = (model.connector_2d.linear_1.weight for model in models)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    kept = weights(trained.model)["connector_3d.linear_1.weight"]
    assert torch.equal(models[0].connector_3d.linear_1.weight, kept)
    assert not torch.equal(one, weights(trained.model)["connector_2d.linear_1.weight"])


def test_the_losses_fall(trained: Any) -> None:
    for folder, name, share in (
        ("1-dense", "loss", 0.5),
        ("4-instruction", "answer_loss", 0.5),
        ("4-instruction", "grounding_loss", 0.7),  # few samples of a batch have a finding
    ):
        history = json.loads((trained.output / folder / "history.json").read_text("utf-8"))
        values = [entry[name] for entry in history if name in entry]
        assert mean(values[-5:]) < share * values[0], (folder, name, values)


def test_a_question_about_the_trained_model_is_not_needed_to_be_known(
    trained: Any, tiny_store: VolumeStore
) -> None:
    """Words that it never read are spelled, and an answer comes."""
    session = Session.load(trained.model, device="cpu", dtype="float32")
    key = next(iter(tiny_store.entries))
    *_, done = session.ask(Asked(tiny_store, key), Question("Größe? xyzzy 42%"))
    assert isinstance(done, Done)


def test_a_new_language_model_learns_to_read(
    tmp_path: Path, trained: Any, tiny_store: VolumeStore
) -> None:
    reading = stage(
        "language", epochs=4, batch=4, rate=3e-3,
        data={"augmentation": "none", "questions_per_volume": 4},
    )  # fmt: skip
    path = write_recipe(tmp_path / "recipe.yaml", reading)
    start = trained.output / "0-start"
    train(
        load_recipe(path), tmp_path / "run", data=tiny_store.root, model=start, say=lambda _: None
    )
    folder = tmp_path / "run" / "1-language"
    old, new = weights(start), weights(folder / "model")
    assert {n.partition(".")[0] for n in new if not torch.equal(old[n], new[n])} == {
        "language_model"
    }
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    losses = [entry["loss"] for entry in history if "loss" in entry]
    assert losses[-1] < losses[0]
    assert Med2E3ForConditionalGeneration.from_pretrained(folder / "model").config.untrained


def test_where_answers_count_nothing_scores_are_learned_alone(
    tmp_path: Path, trained: Any, tiny_store: VolumeStore
) -> None:
    """The language model is not run, and its weights stay."""
    scoring = stage(
        "alignment", epochs=12, batch=4, rate=3e-3, answer_weight=0, grounding_weight=1,
        train=["tgis", "question_encoder"],
        data={"augmentation": "none", "questions_per_volume": 3},
    )  # fmt: skip
    path = write_recipe(tmp_path / "recipe.yaml", scoring)
    start = trained.output / "1-dense" / "model"
    train(load_recipe(path), tmp_path / "run", data=tiny_store.root, model=start, say=str)
    folder = tmp_path / "run" / "1-alignment"
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    values = [entry["grounding_loss"] for entry in history if "grounding_loss" in entry]
    assert values[-1] < 0.8 * values[0]
    assert not any("answer_loss" in entry for entry in history)
    old, new = weights(start), weights(folder / "model")
    moved = {n.partition(".")[0] for n in new if not torch.equal(old[n], new[n])}
    assert moved == {"tgis", "question_encoder"}


def test_a_model_without_scores_has_none_to_learn(
    tmp_path: Path, trained: Any, tiny_store: VolumeStore
) -> None:
    scoring = stage(
        "alignment", epochs=1, batch=4, rate=3e-3, answer_weight=0, model={"aggregation": "average"}
    )
    path = write_recipe(tmp_path / "recipe.yaml", scoring)
    with pytest.raises(InputError, match="Nothing would be learned"):
        train(load_recipe(path), tmp_path / "run", data=tiny_store.root, model=trained.model)


def test_scores_alone_are_the_models(trained: Any, tiny_store: VolumeStore) -> None:
    model = Med2E3ForConditionalGeneration.from_pretrained(trained.model).eval()
    collator = Collator(Med2E3Processor.from_pretrained(trained.model), model.config)
    plain = StageData(augmentation="none", questions_per_volume=2)
    examples = Examples(tiny_store, plain, epochs=1, seed=1)
    batch = collator([examples[0], examples[1]])
    batch.pop("slice_targets")
    with torch.no_grad():
        alone, whole = Scoring(model)(**batch), model(**batch)
    torch.testing.assert_close(alone.slice_scores, whole.slice_scores)
