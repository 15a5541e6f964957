"""LoRA adapters of published checkpoints: merged as PEFT merges them, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from med2e3.checkpoint.lora import merge_adapter
from med2e3.errors import CheckpointError


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


@pytest.mark.parametrize(
    "change",
    [{"peft_type": "IA3"}, {"use_dora": True}, {"bias": "all"}, {"modules_to_save": ["x"]}],
)
def test_other_adapters_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    config = {"peft_type": "LORA", "lora_alpha": 8, "bias": "none"} | change
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="not supported"):
        merge_adapter(tmp_path, {"llm": {}})


@pytest.mark.parametrize(
    ("a", "b"), [((4, 6), (5, 3)), ((4, 7), (5, 4)), ((4,), (5, 4))], ids=["rank", "width", "flat"]
)
def test_an_adapter_that_fits_no_weight_is_refused(
    tmp_path: Path, a: tuple[int, ...], b: tuple[int, ...]
) -> None:
    config = {"peft_type": "LORA", "lora_alpha": 8, "bias": "none"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    matrices = {"llm.x.lora_A.weight": torch.ones(a), "llm.x.lora_B.weight": torch.ones(b)}
    save_file(matrices, tmp_path / "adapter_model.safetensors")
    with pytest.raises(CheckpointError, match=r"llm\.x fits no weight"):
        merge_adapter(tmp_path, {"llm": {"x.weight": torch.ones(5, 6)}})


def test_a_broken_adapter_is_refused(tmp_path: Path) -> None:
    config = {"peft_type": "LORA", "lora_alpha": 8, "bias": "none"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="no adapter_model weights"):
        merge_adapter(tmp_path, {})
    (tmp_path / "adapter_model.safetensors").write_bytes(b"123")
    with pytest.raises(CheckpointError, match="broken"):
        merge_adapter(tmp_path, {})
