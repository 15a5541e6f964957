"""Which precision fits into which memory, and what is mapped from the file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from med2e3.errors import CheckpointError, InputError, ResourceError
from med2e3.model import Med2E3Config, Med2E3ForConditionalGeneration
from med2e3.session import Session
from med2e3.session.loading import linear_names, load_model
from med2e3.session.precision import (
    PUBLISHED_NEEDS,
    Needs,
    choose_precision,
    needs_of,
    slices_that_fit,
    working_numbers,
)

#: the published model's sizes
PUBLISHED = {
    "text_config": {"model_type": "phi3", "vocab_size": 32064, "eos_token_id": 0},
    "vision_2d_config": {
        "model_type": "siglip_vision_model",
        "image_size": 256,
        "patch_size": 16,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "vision_use_head": False,
    },
}
SMALL = Needs(1_000_000, 500_000, 1_000_000)


@pytest.mark.parametrize(
    ("free_gib", "fast", "expected", "dtype"),
    [
        (60, True, "float32", "float32"),
        (22, True, "bfloat16", "bfloat16"),
        (22, False, "float32", "float32"),
        (16, False, "bfloat16", "bfloat16"),
        (8, True, "int8", "bfloat16"),
        (9, False, "int8", "float32"),
        (5, True, "int4", "bfloat16"),
        (7, False, "int8", "bfloat16"),
    ],
)
def test_auto_takes_the_most_exact_that_fits(
    free_gib: int, fast: bool, expected: str, dtype: str
) -> None:
    choice = choose_precision(
        "auto", "cpu", PUBLISHED_NEEDS, free=free_gib << 30, fast_bfloat16=fast
    )
    assert (choice.name, choice.dtype) == (expected, dtype)


def test_a_small_model_is_exact() -> None:
    for fast in (True, False):
        assert choose_precision("auto", "cpu", SMALL, free=8 << 30, fast_bfloat16=fast) == (
            choose_precision("float32", "cpu", SMALL, free=8 << 30)
        )


def test_when_nothing_fits_it_is_said_with_numbers() -> None:
    with pytest.raises(ResourceError, match=r"about \d\.\d GB of memory as int4.* 2\.1 GB are"):
        choose_precision("auto", "cpu", PUBLISHED_NEEDS, free=2 << 30)
    with pytest.raises(ResourceError) as caught:
        choose_precision("bfloat16", "cpu", PUBLISHED_NEEDS, free=7 << 30)
    assert "as bfloat16" in caught.value.sentence and "--precision int8" in caught.value.hint
    with pytest.raises(ResourceError) as caught:
        choose_precision("int8", "cpu", PUBLISHED_NEEDS, free=2 << 30)
    assert "Close other programs" in caught.value.hint


def test_unknown_precisions_are_refused() -> None:
    with pytest.raises(InputError, match="int3"):
        choose_precision("int3", "cpu", SMALL)
    with pytest.raises(InputError, match="mps"):
        choose_precision("int8", "mps", SMALL, free=8 << 30)
    assert choose_precision("auto", "mps", SMALL, free=8 << 30).name == "float16"


def test_the_published_models_needs_are_counted() -> None:
    with torch.device("meta"):
        model = Med2E3ForConditionalGeneration(Med2E3Config(**PUBLISHED))
    counted = Needs(
        sum(p.numel() for p in model.parameters()),
        sum(model.get_submodule(name).weight.numel() for name in linear_names(model)),
        working_numbers(model.config),
    )
    assert counted == PUBLISHED_NEEDS


def test_a_folders_needs_are_those_of_its_model(model_folder: Path) -> None:
    model, _ = load_model(model_folder, "cpu", "float32")
    needs = needs_of(model_folder, model.config)
    assert needs.parameters == sum(p.numel() for p in model.parameters())
    assert needs.quantizable == sum(
        model.get_submodule(name).weight.numel() for name in linear_names(model)
    )


def test_a_file_without_a_head_is_refused(model_folder: Path, tmp_path: Path) -> None:
    config = Med2E3Config.from_pretrained(model_folder)
    for content in (b"", b"short", (1 << 40).to_bytes(8, "little") + b"{}", b"\x02" + b"\0" * 7):
        (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(CheckpointError):
            needs_of(tmp_path, config)


def test_fewer_slices_are_encoded_at_once_where_memory_is_short(
    model_folder: Path, volume: object
) -> None:
    config = Med2E3Config(**PUBLISHED)
    counts = [
        slices_that_fit(config, torch.bfloat16, free) for free in (0, 64 << 20, 256 << 20, 8 << 30)
    ]
    assert counts[0] == 1 and counts[-1] == config.slices_per_batch
    assert counts == sorted(counts) and len(set(counts)) > 2
    session = Session.load(model_folder, device="cpu", dtype="float32")
    pixels = torch.from_numpy(volume.voxels)[None, None]
    with torch.inference_mode():
        whole, single = (
            session.model.encode_volume(pixels, slices_per_batch=count).features_2d
            for count in (32, 1)
        )
    assert torch.allclose(whole, single, atol=1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_weights_are_mapped_not_copied(model_folder: Path) -> None:
    model, _ = load_model(model_folder, "cpu", "float32")
    weight = model.language_model.model.layers[0].mlp.down_proj.weight
    mapped = [
        line
        for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        if int(line.split("-")[0], 16) <= weight.data_ptr() < int(line.split()[0].split("-")[1], 16)
    ]
    assert mapped and mapped[0].endswith("model.safetensors")
