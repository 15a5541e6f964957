"""Converting published checkpoints: complete, checked, merged, and refused with a reason."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from med2e3.checkpoint import convert_checkpoint
from med2e3.checkpoint.keys import RULES, VISION_2D_RULES, rename
from med2e3.checkpoint.lora import merge_adapter
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
        ("vision3d_connector", lambda w: w.pop("text_mlp.weight"), "question_projection.weight"),
        ("vision3d_connector", lambda w: w.pop("text_mlp.bias"), "question_projection.bias"),
        ("llm", lambda w: w.pop("model.norm.weight"), "language_model.model.norm.weight"),
        (
            "vision2d_connector",
            lambda w: w.update({"_connector.0.bias": torch.ones(3)}),
            "connector_2d.linear_1.bias has the shape",
        ),
        (
            "vision2d_connector",
            lambda w: w.update({"_connector.0.bias": w["_connector.0.bias"].long()}),
            "not real numbers",
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


@pytest.mark.parametrize("rank_stabilised", [False, True])
def test_merged_adapters_are_what_peft_merges(tmp_path: Path, rank_stabilised: bool) -> None:
    from peft import LoraConfig, get_peft_model

    class Inner(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv_proj = torch.nn.Linear(12, 20, bias=False)
            self.down_proj = torch.nn.Linear(20, 12, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.down_proj(self.qkv_proj(x))
            return out

    class Whole(torch.nn.Module):
        """The published model's names: the language model is ``llm``."""

        def __init__(self) -> None:
            super().__init__()
            self.llm = Inner()
            self.vision2d_connector = torch.nn.ModuleDict({"_connector": torch.nn.Linear(4, 6)})

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.llm(x)
            return out

    torch.manual_seed(0)
    config = LoraConfig(
        r=3,
        lora_alpha=8,
        target_modules=["qkv_proj", "down_proj", "_connector"],
        alpha_pattern={"down_proj": 5},
        use_rslora=rank_stabilised,
    )
    wrapped = get_peft_model(Whole(), config)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    wrapped.save_pretrained(tmp_path)
    inner = wrapped.base_model.model
    weights = {
        "llm": {k: v.detach().clone() for k, v in inner.llm.named_parameters() if "lora_" not in k},
        "vision2d_connector": {
            k: v.detach().clone()
            for k, v in inner.vision2d_connector.named_parameters()
            if "lora_" not in k
        },
    }
    assert "qkv_proj.base_layer.weight" in weights["llm"]
    assert merge_adapter(tmp_path, weights) == 3
    merged = wrapped.merge_and_unload()
    for part, module in (("llm", merged.llm), ("vision2d_connector", merged.vision2d_connector)):
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(weights[part][name], parameter.detach())


def test_a_merged_adapter_is_not_rounded_to_the_format_of_the_base(tmp_path: Path) -> None:
    config = {"peft_type": "LORA", "lora_alpha": 8, "bias": "none"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    a, b = torch.randn(4, 6), torch.randn(5, 4)
    names = ("base_model.model.llm.x.lora_A.weight", "base_model.model.llm.x.lora_B.weight")
    save_file(dict(zip(names, (a, b), strict=True)), tmp_path / "adapter_model.safetensors")
    base = torch.randn(5, 6, dtype=torch.bfloat16)
    weights = {"llm": {"x.base_layer.weight": base}}
    merge_adapter(tmp_path, weights)
    torch.testing.assert_close(weights["llm"]["x.weight"], base.float() + 2 * b @ a)


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


@pytest.mark.parametrize(
    "change",
    [{"peft_type": "IA3"}, {"use_dora": True}, {"bias": "all"}, {"modules_to_save": ["x"]}],
)
def test_other_adapters_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    config = {"peft_type": "LORA", "lora_alpha": 8, "bias": "none"} | change
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="not supported"):
        merge_adapter(tmp_path, {"llm": {}})


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
