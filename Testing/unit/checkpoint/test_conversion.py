"""Converting published checkpoints: complete, checked, merged, and refused with a reason."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from med2e3.checkpoint import convert_checkpoint
from med2e3.checkpoint.keys import RULES, VISION_2D_RULES, published_name, rename, rules_of
from med2e3.errors import CheckpointError, InputError
from med2e3.model import Med2E3ForConditionalGeneration

Edit = Callable[[dict[str, Tensor]], None]


@pytest.fixture
def published(shared_dir: Path, tmp_path: Path) -> Path:
    """A writable copy of an oracle set."""
    folder = tmp_path / "A"
    shutil.copytree(shared_dir / "oracle" / "A", folder, copy_function=shutil.copyfile)
    return folder


def convert(published: Path) -> Path:
    target = published.parent / "converted"
    convert_checkpoint(
        published / "checkpoint", target, question_tokenizer=published / "m3d_clip_tokenizer"
    )
    return target


def edit(published: Path, part: str, change: Edit) -> None:
    path = published / "checkpoint" / part / "pytorch_model.bin"
    weights = torch.load(path, weights_only=True)
    change(weights)
    torch.save(weights, path)


def test_every_published_weight_is_used_or_known(published: Path) -> None:
    report = convert_checkpoint(
        published / "checkpoint",
        published / "out",
        question_tokenizer=published / "m3d_clip_tokenizer",
    )
    stored = {
        f"{part.parent.name}/{key}"
        for part in (published / "checkpoint").glob("*/pytorch_model.bin")
        for key in torch.load(part, weights_only=True)
    }
    assert report.tensors + len(report.unused) == len(stored)
    unused_parts = {name.split(".")[0] for name in report.unused}
    assert unused_parts == {
        "vision2d_model/vision_model",
        "vision3d_model/logit_scale",
        "vision3d_model/vision_encoder",
        "vision3d_model/mm_vision_proj",
        "vision3d_model/mm_language_proj",
    }
    model, info = Med2E3ForConditionalGeneration.from_pretrained(
        published / "out", output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert sum(p.numel() for p in model.parameters()) == report.parameters


def test_the_trained_text_projection_is_taken(published: Path) -> None:
    path = published / "checkpoint" / "vision3d_connector" / "pytorch_model.bin"
    trained = torch.load(path, weights_only=True)["text_mlp.weight"]
    model = Med2E3ForConditionalGeneration.from_pretrained(convert(published))
    assert torch.equal(model.tgis.question_projection.weight.float(), trained.float())


@pytest.mark.parametrize(
    ("part", "change", "says"),
    [
        ("llm", lambda w: w.update({"model.extra.weight": torch.ones(2)}), "model.extra.weight"),
        ("vision2d_model", lambda w: w.update(x=torch.ones(2)), "vision2d_model/x"),
        (
            "vision3d_connector",
            lambda w: w.pop("text_mlp.weight"),
            "vision3d_connector/text_mlp.weight",
        ),
        (
            "vision3d_connector",
            lambda w: w.pop("text_mlp.bias"),
            "vision3d_connector/text_mlp.bias",
        ),
        ("llm", lambda w: w.pop("model.norm.weight"), "llm/model.norm.weight"),
        (
            "vision2d_connector",
            lambda w: w.update({"_connector.0.bias": torch.ones(3)}),
            "vision2d_connector/_connector.0.bias has the shape",
        ),
        (
            "vision2d_connector",
            lambda w: w.update({"_connector.0.bias": w["_connector.0.bias"].long()}),
            "stored as int64",
        ),
        (
            "llm",
            lambda w: w.update({"model.norm.weight": w["model.norm.weight"] * float("nan")}),
            "not finite",
        ),
        (
            "llm",
            lambda w: w.update({"_orig_mod.model.norm.weight": w["model.norm.weight"]}),
            "llm/_orig_mod.model.norm.weight and llm/model.norm.weight",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    published: Path, part: str, change: Edit, says: str
) -> None:
    edit(published, part, change)
    before = sorted(p.name for p in published.parent.iterdir())
    with pytest.raises(CheckpointError, match=says):
        convert(published)
    assert sorted(p.name for p in published.parent.iterdir()) == before, "nothing is left behind"


def test_names_of_compiled_models_and_of_newer_monai_are_understood(published: Path) -> None:
    def compiled(weights: dict[str, Tensor]) -> None:
        for key in list(weights):
            weights[f"_orig_mod.{key}"] = weights.pop(key)

    def newer_monai(weights: dict[str, Tensor]) -> None:
        weights["vision_encoder.blocks.0.norm_cross_attn.weight"] = torch.ones(96)
        weights["vision_encoder.blocks.0.cross_attn.to_q.weight"] = torch.ones(96, 96)

    edit(published, "llm", compiled)
    edit(published, "vision3d_model", newer_monai)
    assert (convert(published) / "model.safetensors").is_file()


def test_a_file_in_the_old_format_is_read(published: Path) -> None:
    path = published / "checkpoint" / "llm" / "pytorch_model.bin"
    torch.save(torch.load(path, weights_only=True), path, _use_new_zipfile_serialization=False)
    assert (convert(published) / "model.safetensors").is_file()


class _Attack:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.trace,)


def test_code_in_a_weight_file_is_never_run(published: Path) -> None:
    trace = published / "was-run"
    path = published / "checkpoint" / "vision2d_connector" / "pytorch_model.bin"
    torch.save({"_connector.0.weight": _Attack(trace)}, path)
    with pytest.raises(CheckpointError, match="could run code"):
        convert(published)
    path.write_bytes(pickle.dumps(_Attack(trace)))
    with pytest.raises(CheckpointError):
        convert(published)
    assert not trace.exists()


def test_a_truncated_file_is_refused(published: Path) -> None:
    path = published / "checkpoint" / "llm" / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(CheckpointError, match=r"llm/pytorch_model\.bin"):
        convert(published)


def test_a_damaged_file_is_refused_although_torch_would_read_it(published: Path) -> None:
    path = published / "checkpoint" / "llm" / "pytorch_model.bin"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 1
    path.write_bytes(content)
    torch.load(path, weights_only=True)
    with pytest.raises(CheckpointError, match="broken"):
        convert(published)


@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1\n", b"<html>"])
def test_what_is_no_weight_file_is_called_so(published: Path, content: bytes) -> None:
    (published / "checkpoint" / "llm" / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(CheckpointError, match="no file of weights"):
        convert(published)


def test_a_broken_tokenizer_is_refused(published: Path) -> None:
    (published / "checkpoint" / "tokenizer.model").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match=r"tokenizer\.model"):
        convert(published)


@pytest.mark.parametrize(
    ("part", "change", "says"),
    [
        ("llm", {"rope_scaling": {"type": "linear", "factor": 2}}, "cannot be built"),
        ("vision3d_model", {"num_heads": 7}, "do not fit together"),
        ("vision2d_model", {"num_attention_heads": 5}, "do not fit together"),
        ("vision2d_model", {"patch_size": 0}, "do not fit together"),
        ("args", {"vision2d_model_select_layer": -9}, "vision2d_model_select_layer"),
        ("args", {"vision3d_model_select_layer": 4}, "vision3d_model_select_layer"),
        ("args", {"llm_max_length": None}, "llm_max_length"),
        ("args", {"llm_max_length": 512}, "llm_max_length"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(
    published: Path, part: str, change: dict[str, object], says: str
) -> None:
    path = published / "checkpoint" / part / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=says):
        convert(published)


def test_layers_of_the_3d_encoder_count_from_its_first_block(published: Path) -> None:
    path = published / "checkpoint" / "args" / "config.json"
    change = {"vision3d_model_select_layer": 0}
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert (
        json.loads((convert(published) / "config.json").read_text())["vision_3d_select_layer"] == 1
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exp_id", 3),
        ("llm_type", "gpt2"),
        ("vision2d_model_type", "biomedclip"),
        ("vision3d_connector_type", "spatial_pooling_score5_mlp2x_gelu"),
    ],
)
def test_variants_that_are_not_the_papers_are_refused(
    published: Path, name: str, value: object
) -> None:
    path = published / "checkpoint" / "args" / "config.json"
    arguments = json.loads(path.read_text())
    path.write_text(json.dumps(arguments | {name: value}))
    with pytest.raises(CheckpointError, match=name):
        convert(published)


def test_the_remote_code_that_a_config_names_is_not_used(published: Path) -> None:
    path = published / "checkpoint" / "llm" / "config.json"
    values = json.loads(path.read_text())
    values["auto_map"] = {"AutoConfig": "configuration_phi3.Phi3Config"}
    path.write_text(json.dumps(values))
    config = json.loads((convert(published) / "config.json").read_text())
    assert "auto_map" not in json.dumps(config)


def test_wrong_folders_are_refused(published: Path, tmp_path: Path) -> None:
    tokenizer = published / "m3d_clip_tokenizer"
    with pytest.raises(InputError, match="no published Med-2E3 checkpoint"):
        convert_checkpoint(tmp_path, tmp_path / "out", question_tokenizer=tokenizer)
    with pytest.raises(InputError, match="exists already"):
        convert_checkpoint(published / "checkpoint", tmp_path, question_tokenizer=tokenizer)
    with pytest.raises(CheckpointError, match="holds no tokenizer"):
        convert_checkpoint(
            published / "checkpoint", tmp_path / "out", question_tokenizer=published / "expected"
        )
    with pytest.raises(CheckpointError, match="does not belong to this model"):
        convert_checkpoint(
            published / "checkpoint",
            tmp_path / "out",
            question_tokenizer=published / "checkpoint",
        )
    shutil.rmtree(published / "checkpoint" / "vision2d_model")
    with pytest.raises(CheckpointError, match="vision2d_model"):
        convert(published)


def test_the_first_name_of_longrope_is_understood(shared_dir: Path, tmp_path: Path) -> None:
    published = tmp_path / "A_longrope"
    shutil.copytree(shared_dir / "oracle" / "A_longrope", published, copy_function=shutil.copyfile)
    expected = (convert(published) / "config.json").read_text()
    shutil.rmtree(published.parent / "converted")
    path = published / "checkpoint" / "llm" / "config.json"
    config = json.loads(path.read_text())
    config["rope_scaling"]["type"] = "su"
    path.write_text(json.dumps(config))
    assert (convert(published) / "config.json").read_text() == expected


def test_names_lead_back_to_the_published_ones(published: Path) -> None:
    for part in RULES | {"vision2d_model": ()}:
        path = published / "checkpoint" / part / "pytorch_model.bin"
        for key in torch.load(path, weights_only=True):
            _, name = rename(key, rules_of(part, "siglip"))
            assert name is None or published_name(name, "siglip") == f"{part}/{key}"
    for key in (
        "encoder.layer.3.attention.attention.value.bias",
        "encoder.layer.3.attention.output.dense.weight",
        "embeddings.cls_token",
    ):
        _, name = rename(key, VISION_2D_RULES["dinov2"])
        assert name is not None and published_name(name, "dinov2") == f"vision2d_model/{key}"


def test_rules_rename_or_drop_or_do_not_know() -> None:
    dinov2 = VISION_2D_RULES["dinov2"]
    assert rename("encoder.layer.3.attention.attention.query.weight", dinov2) == (
        True,
        "vision_2d.encoder.layer.3.attention.q_proj.weight",
    )
    assert rename("vision_model.head.probe", VISION_2D_RULES["siglip"]) == (True, None)
    assert rename("vision_model.pre_layrnorm.bias", VISION_2D_RULES["clip"]) == (
        True,
        "vision_2d.pre_layrnorm.bias",
    )
    assert rename("surprise", RULES["vision3d_connector"]) == (False, None)
