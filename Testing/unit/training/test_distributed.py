"""Several processes learn what one learns; adapters; a kill; and the settings for many GPUs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType
from accelerate.utils.deepspeed import HfDeepSpeedConfig
from safetensors.torch import load_file
from transformers import TrainingArguments

from fixtures.miniature import stage, write_recipe
from fixtures.processes import program_environment
from med2e3.asking import Done, Question
from med2e3.data import VolumeStore
from med2e3.model import Med2E3ForConditionalGeneration
from med2e3.session import Session
from med2e3.training.ablation import load_ablation
from med2e3.training.parts import with_variant
from med2e3.training.recipe import RECIPES, Stage, load_recipe, shipped_recipes
from med2e3.training.stages import _last_checkpoint, _wrap_layers

DISTRIBUTED = RECIPES / "distributed"
PLAIN = {"augmentation": "published", "questions_per_volume": 2}
#: BERT's own dropout would draw differently in each process
NO_DROPOUT = [
    "start.scratch.config.question_config.hidden_dropout_prob=0",
    "start.scratch.config.question_config.attention_probs_dropout_prob=0",
]


def command(recipe: str, data: Path, output: Path, *options: str) -> list[str]:
    line = [sys.executable, "-m", "med2e3.cli.main", "--debug", "train", recipe]
    return [*line, "--data", str(data), "--output", str(output), *options]


def run(line: list[str]) -> None:
    done = subprocess.run(
        line, env=program_environment(), capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def losses(folder: Path, name: str = "loss") -> list[float]:
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    return [entry[name] for entry in history if name in entry]


def test_two_processes_learn_what_one_learns(tmp_path: Path, tiny_store: VolumeStore) -> None:
    """The same eight or four examples for each step, halved between two processes (gloo)."""
    exact = {"logging_steps": 1, "optim": "sgd", "save_strategy": "no"}
    changes = [word for change in NO_DROPOUT for word in ("--set", change)]
    results = []
    for processes in (1, 2):
        recipe = write_recipe(
            tmp_path / f"{processes}.yaml",
            stage(
                "contrastive", epochs=4, batch=8 // processes, rate=0.5,
                data={"augmentation": "none", "tasks": ["report"]}, arguments=exact,
            ),
            stage(
                "instruction", epochs=2, batch=4 // processes, rate=0.1, grounding_weight=0.2,
                data=PLAIN, arguments=exact,
            ),
        )  # fmt: skip
        folder = tmp_path / f"run-{processes}"
        options = ["--processes", str(processes), *changes]
        run(command(recipe, tiny_store.root, folder, *options))
        results.append(folder)
    one, two = results
    start = weights(one / "0-start")
    for name in ("1-contrastive", "2-instruction"):
        expected, got = losses(one / name), losses(two / name)
        assert len(expected) == 9
        assert got == pytest.approx(expected, rel=1e-3), name
        before, after = weights(one / name / "model"), weights(two / name / "model")
        for key, value in before.items():
            torch.testing.assert_close(after[key], value, rtol=1e-3, atol=2e-5, msg=key)
        moved = max(float((before[key] - start[key]).abs().max()) for key in before)
        assert moved > 0.01, "they learned something that could differ"
        start = before


def test_a_checkpoint_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    """As after a kill in the middle of writing it."""
    for step, state in ((9, "{}"), (80, "{}"), (100, '{"epoch": 0.'), (120, None)):
        folder = tmp_path / "checkpoints" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    assert Path(str(_last_checkpoint(tmp_path))).name == "checkpoint-80"
    assert _last_checkpoint(tmp_path / "nothing") is None


def kill_and_continue(line: list[str], checkpoints: Path, step: int) -> None:
    """Start a run, kill all of its processes once it has saved ``step``, and run it to its end."""
    running = subprocess.Popen(
        line,
        env=program_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 200
    saved = checkpoints / f"checkpoint-{step}" / "trainer_state.json"
    try:
        while not saved.exists():
            assert running.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert not (checkpoints.parent / "model").exists()
    run(line)


@pytest.mark.skipif(os.name == "nt", reason="several processes are not started on Windows")
def test_two_killed_processes_resume_to_the_same_weights(
    tmp_path: Path, tiny_store: VolumeStore
) -> None:
    recipe = write_recipe(
        tmp_path / "r.yaml",
        stage(
            "instruction", epochs=14, batch=2, rate=3e-3, grounding_weight=0.2, data=PLAIN,
            train=["language_model", "vision_2d", "tgis", "question_encoder"],
            arguments={"save_steps": 20, "save_total_limit": None},
        ),
    )  # fmt: skip
    whole, killed = (
        command(recipe, tiny_store.root, tmp_path / name, "--processes", "2")
        for name in ("whole", "killed")
    )
    run(whole)
    kill_and_continue(killed, tmp_path / "killed" / "1-instruction" / "checkpoints", 40)
    expected, got = (
        weights(tmp_path / name / "1-instruction" / "model") for name in ("whole", "killed")
    )
    for key, value in expected.items():
        torch.testing.assert_close(got[key], value, rtol=0, atol=0, msg=key)


@pytest.fixture(scope="module")
def lora_recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Adapters on language model and slice encoder; connectors and TG-IS learn fully."""
    return write_recipe(
        tmp_path_factory.mktemp("lora") / "r.yaml",
        stage(
            "instruction", epochs=20, batch=4, rate=3e-3, grounding_weight=0.2,
            data={"augmentation": "none", "questions_per_volume": 2},
            lora={"r": 4, "alpha": 8, "dropout": 0.05, "parts": ["language_model", "vision_2d"]},
            arguments={"save_steps": 20, "save_total_limit": None},
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def with_adapters(
    lora_recipe: str, tiny_store: VolumeStore, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("lora-run") / "run"
    run(command(lora_recipe, tiny_store.root, folder))
    return folder


def test_adapters_are_merged_into_a_plain_model(with_adapters: Path) -> None:
    first = weights(with_adapters / "0-start")
    last = weights(with_adapters / "1-instruction" / "model")
    assert set(first) == set(last), "no weight of an adapter is left"
    moved = {name for name in last if not torch.equal(first[name], last[name])}
    by_adapter = {n for n in moved if n.split(".")[0] in ("language_model", "vision_2d")}
    assert moved - by_adapter == {
        n for n in last if n.split(".")[0] in ("connector_2d", "connector_3d", "tgis")
    }
    assert all(last[name].ndim == 2 and name.endswith(".weight") for name in by_adapter)
    assert {"language_model.lm_head.weight", "language_model.model.embed_tokens.weight"}.isdisjoint(
        moved
    )
    assert any("qkv_proj" in name for name in by_adapter)
    for name in by_adapter:
        change = (last[name] - first[name]).double()
        assert torch.linalg.matrix_rank(change, rtol=1e-4) <= 4, name


def test_two_processes_train_adapters_and_save_on_the_way(
    tmp_path: Path, lora_recipe: str, tiny_store: VolumeStore
) -> None:
    settings = "stages.instruction.arguments"
    changes = (f"{settings}.max_steps=6", f"{settings}.save_steps=1", "threads=1")
    options = [word for change in changes for word in ("--set", change)]
    run(command(lora_recipe, tiny_store.root, tmp_path / "run", "--processes", "2", *options))
    assert (tmp_path / "run" / "1-instruction" / "model" / "model.safetensors").is_file()


def test_a_session_loads_the_merged_model(with_adapters: Path, tiny_store: VolumeStore) -> None:
    folder = with_adapters / "1-instruction"
    values = losses(folder, "answer_loss")
    assert values[-1] < 0.96 * values[0], "a random language model learns little through adapters"
    session = Session.load(folder / "model", device="cpu", dtype="float32")
    key = next(iter(tiny_store.entries))

    class Asked:
        voxels = tiny_store.voxels(key)
        sha256 = key

    *_, done = session.ask(Asked(), Question("Is there a square?", ("yes", "no"), "closed_vqa"))
    assert isinstance(done, Done)
    assert not session.config.untrained


def test_a_killed_run_with_adapters_resumes_to_the_same_weights(
    tmp_path: Path, lora_recipe: str, tiny_store: VolumeStore, with_adapters: Path
) -> None:
    """Also the parts that learn fully beside the adapters go on where they were."""
    line = command(lora_recipe, tiny_store.root, tmp_path / "run")
    kill_and_continue(line, tmp_path / "run" / "1-instruction" / "checkpoints", 40)
    expected = weights(with_adapters / "1-instruction" / "model")
    got = weights(tmp_path / "run" / "1-instruction" / "model")
    for key, value in expected.items():
        torch.testing.assert_close(got[key], value, rtol=0, atol=0, msg=key)


def test_a_stage_does_not_depend_on_who_trained_the_one_before(
    tmp_path: Path, tiny_store: VolumeStore
) -> None:
    """A run that was stopped between two stages goes on as if it had not been."""
    plain = {"augmentation": "none", "tasks": ["report"]}
    recipe = write_recipe(
        tmp_path / "r.yaml",
        stage("contrastive", epochs=1, batch=8, rate=1e-2, data=plain),
        stage("instruction", epochs=1, batch=8, rate=1e-2, data=plain, lora={"r": 2}),
    )
    line = command(recipe, tiny_store.root, tmp_path / "run")
    run(line)
    last = tmp_path / "run" / "2-instruction"
    expected = weights(last / "model")
    shutil.rmtree(last)
    run(line)
    for key, value in expected.items():
        torch.testing.assert_close(weights(last / "model")[key], value, rtol=0, atol=0, msg=key)


# ---- what ships for many GPUs --------------------------------------------------------------


def published(name: str) -> Stage:
    (only,) = load_recipe(f"published/{name}").stages
    return only


def arguments(stage: Stage, folder: Path, **more: Any) -> TrainingArguments:
    given = dict(stage.arguments) | {"use_cpu": True, "output_dir": str(folder)} | more
    return TrainingArguments(**given)


@pytest.mark.parametrize(
    ("name", "rate", "epochs", "batch_of_two_gpus", "train"),
    [
        ("alignment", 1e-4, 3, 64, {"connector_2d", "connector_3d", "tgis"}),
        (
            "instruction", 5e-5, 4, 128,
            {"language_model", "vision_2d", "connector_2d", "connector_3d", "tgis"},
        ),
        (
            "instruction-lora", 5e-5, 4, 128,
            {"language_model", "vision_2d", "connector_2d", "connector_3d", "tgis"},
        ),
    ],
)  # fmt: skip
def test_the_recipes_are_as_published(
    tmp_path: Path, name: str, rate: float, epochs: int, batch_of_two_gpus: int, train: set[str]
) -> None:
    stage = published(name)
    given = arguments(stage, tmp_path)
    assert given.learning_rate == rate
    assert given.num_train_epochs == epochs
    per_step = given.per_device_train_batch_size * given.gradient_accumulation_steps * 2
    assert per_step == batch_of_two_gpus
    assert given.lr_scheduler_type == "cosine"
    assert given.get_warmup_steps(1000) == 30
    assert given.weight_decay == 0
    assert given.bf16 and given.gradient_checkpointing
    assert set(stage.train) == train
    assert stage.data.augmentation == "published"
    assert stage.data.image_alone == (name == "alignment")
    assert stage.grounding_weight == 0, "published models learned from answers alone"
    if name == "instruction-lora":
        assert stage.lora is not None
        assert (stage.lora.r, stage.lora.alpha, stage.lora.dropout) == (64, 16, 0.05)
    else:
        assert stage.lora is None


def test_m3d_clip_is_trained_as_published(tmp_path: Path) -> None:
    stage = published("contrastive")
    given = arguments(stage, tmp_path)
    assert (given.learning_rate, given.weight_decay, given.num_train_epochs) == (1e-4, 0.1, 100)
    assert stage.contrast == {
        "exponential_scale": False,
        "identical_captions": "negatives",
        "max_text_length": 512,
    }
    assert stage.data.tasks == ("report",)


def test_every_shipped_recipe_has_arguments_that_the_library_takes(tmp_path: Path) -> None:
    names = shipped_recipes()
    assert {"published/contrastive", "published/alignment", "published/both"} <= set(names)
    for name in names:
        for each in load_recipe(name).stages:
            arguments(each, tmp_path)


def test_the_papers_ablations_are_variants_of_the_model(trained: Any) -> None:
    ablation = load_ablation("ablation/published")
    session = Session.load(trained.model, device="cpu", dtype="float32")
    kinds = set()
    for name, changes in ablation.variants.items():
        first, second = load_recipe(ablation.base, changes).stages
        assert not second.model, "what the first stage chose stays"
        model, _ = with_variant(session.model, session.processor, first.model)
        config = model.config
        kinds.add(
            (config.image_features, config.aggregation, config.text_feature, config.local_features)
        )
        assert (name == "ablation-tgis") == (not first.model)
    assert len(kinds) == len(ablation.variants)


@pytest.mark.parametrize("level", [2, 3])
def test_deepspeed_settings_are_read_by_the_library(level: int) -> None:
    values = json.loads((DISTRIBUTED / f"zero{level}.json").read_text(encoding="utf-8"))
    config = HfDeepSpeedConfig(values)
    assert config.is_zero2() == (level == 2)
    assert config.is_zero3() == (level == 3)
    assert not config.is_offload()
    for name in ("train_batch_size", "gradient_accumulation_steps", "gradient_clipping"):
        assert config.get_value(name) == "auto", "the recipe's arguments decide"
    if level == 3:
        assert config.get_value("zero_optimization.stage3_gather_16bit_weights_on_model_save")


def test_fsdp_settings_are_read_by_the_library(tmp_path: Path) -> None:
    given = arguments(
        published("instruction"), tmp_path, fsdp=True, fsdp_config=str(DISTRIBUTED / "fsdp.json")
    )
    assert given.fsdp_plugin_args["state_dict_type"] == "FULL_STATE_DICT"
    launcher: Any = load_config_from_file(str(DISTRIBUTED / "fsdp.yaml"))
    assert launcher.distributed_type == DistributedType.FSDP
    wrapped = launcher.fsdp_config["fsdp_transformer_layer_cls_to_wrap"]
    assert set(wrapped.split(",")) <= set(Med2E3ForConditionalGeneration._no_split_modules)


def test_fsdp_is_told_the_layers_that_the_model_has(tmp_path: Path, trained: Any) -> None:
    given = arguments(published("instruction"), tmp_path, fsdp=True)
    model = Med2E3ForConditionalGeneration.from_pretrained(trained.model)
    _wrap_layers(given, model)
    names = set(given.fsdp_plugin_args["transformer_cls_names_to_wrap"].split(","))
    assert names == {"Block", "BertLayer", "SiglipEncoderLayer", "Phi3DecoderLayer"}
