"""Weights in 8 and 4 bits: how close products, logits and answers stay."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fixtures.random_model import build
from med2e3.asking import Done, GenerationOptions, Question
from med2e3.errors import CheckpointError, ResourceError
from med2e3.model import Med2E3ForConditionalGeneration
from med2e3.session import Session, loading
from med2e3.session.devices import multiplies_bfloat16_fast
from med2e3.session.loading import linear_names, load_model, precision_of
from med2e3.session.precision import Precision
from med2e3.session.quantization import GROUP, Int4Linear, Int8Linear, held_bytes, quantized

#: largest relative error of a product, of weights drawn from a normal distribution
CLOSE = {"int8": 0.012, "int4": 0.11}
#: sizes that 4 bits fit
TEXT = {
    "model_type": "phi3",
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "pad_token_id": 0,
    "eos_token_id": 0,
    "bos_token_id": None,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantized") / "random"
    build(folder, text_config=TEXT | {"vocab_size": 448})
    return folder


def relative(result: Tensor, expected: Tensor) -> float:
    return float((result.float() - expected.float()).norm() / expected.float().norm())


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 5, 13, 64])
def test_products_are_close(precision: str, dtype: torch.dtype, rows: int) -> None:
    """One row is multiplied by a kernel, 64 by turning the weights back."""
    generator = torch.Generator().manual_seed(rows)
    weight = torch.randn(640, 320, generator=generator)
    bias = torch.randn(640, generator=generator)
    inputs = torch.randn(2, rows, 320, generator=generator)
    layer = quantized(weight, bias, precision)
    result = layer(inputs.to(dtype))
    assert result.shape == (2, rows, 640) and result.dtype == dtype
    error = relative(result, F.linear(inputs, weight, bias))
    assert 0 < error < CLOSE[precision]


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_the_kernel_and_the_blocks_are_one_matrix(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows there are, the layer multiplies by the same numbers."""
    weight = torch.randn(1088, 192, generator=torch.Generator().manual_seed(0))
    layer = quantized(weight, None, precision)
    matrix = layer(torch.eye(192))  # 192 rows: in blocks
    one_by_one = torch.cat([layer(row[None]) for row in torch.eye(192)])
    assert torch.allclose(matrix, one_by_one, rtol=0.01, atol=0.01)
    assert relative(matrix.t(), weight) < CLOSE[precision]


def test_weights_are_rounded_to_the_nearest() -> None:
    """Whole multiples of the scale come back exactly; others move by half a scale at most."""
    weight = torch.randint(-127, 128, (70, 33), generator=torch.Generator().manual_seed(1)).float()
    weight[:, 0] = 127
    assert torch.equal(Int8Linear(weight)(torch.eye(33)).t(), weight)
    steps = torch.randint(0, 16, (64, GROUP), generator=torch.Generator().manual_seed(2)).float()
    steps[:, 0], steps[:, 1] = 0, 15
    weight = (steps - 8) * 0.5 + 1
    assert torch.equal(Int4Linear(weight)(torch.eye(GROUP)).t(), weight)


def test_weights_that_are_all_the_same_stay_finite() -> None:
    for value in (0.0, 0.25, -3.0):
        weight = torch.full((64, GROUP), value)
        for precision in ("int8", "int4"):
            result = quantized(weight, None, precision)(torch.eye(GROUP))
            assert torch.allclose(result, weight, atol=0.02 * abs(value))


def test_memory_is_as_said() -> None:
    weight = torch.randn(640, 320)
    for precision, bits in (("int8", 8), ("int4", 4.5)):
        layer = quantized(weight, None, precision)
        held = sum(b.numel() * b.element_size() for b in layer.buffers())
        assert held == held_bytes(640, 320, precision)
        assert held == pytest.approx(640 * 320 * bits / 8, rel=0.01)


def test_a_shape_that_4_bits_do_not_fit_takes_8() -> None:
    assert isinstance(quantized(torch.randn(100, 320), None, "int4"), Int8Linear)
    assert isinstance(quantized(torch.randn(640, 96), None, "int4"), Int8Linear)
    assert isinstance(quantized(torch.randn(640, 320), None, "int4"), Int4Linear)


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_only_the_language_models_linear_layers_change(folder: Path, precision: str) -> None:
    # the rest is float32 on a processor that is slow at bfloat16
    rest = "bfloat16" if multiplies_bfloat16_fast() else "float32"
    plain, _ = load_model(folder, "cpu", rest)
    model, _ = load_model(folder, "cpu", precision)
    assert type(model) is Med2E3ForConditionalGeneration and precision_of(model) == precision
    changed = {
        name
        for name, module in model.named_modules()
        if isinstance(module, (Int8Linear, Int4Linear))
    }
    assert changed == set(linear_names(plain)) and len(changed) == 4 * 3 + 1
    assert not any(isinstance(m, nn.Linear) for m in model.language_model.modules())
    kinds = {type(model.get_submodule(name)) for name in changed if "lm_head" not in name}
    assert kinds == {Int8Linear if precision == "int8" else Int4Linear}
    assert isinstance(model.language_model.lm_head, Int8Linear)
    others = dict(plain.named_parameters())
    kept = dict(model.named_parameters())
    assert {f"{name}.weight" for name in changed} == others.keys() - kept.keys()
    assert all(torch.equal(value, others[name]) for name, value in kept.items())


@pytest.mark.parametrize(("precision", "limit"), [("int8", 0.04), ("int4", 0.4)])
def test_logits_stay_close(folder: Path, precision: str, limit: float) -> None:
    ids = torch.arange(2, 42)[None]
    with torch.inference_mode():
        exact = load_model(folder, "cpu", "float32")[0].language_model(ids).logits
        rounded = load_model(folder, "cpu", precision)[0].language_model(ids).logits
    assert 0 < relative(rounded, exact) < limit


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_a_session_answers_and_says_its_precision(
    folder: Path, precision: str, volume: object
) -> None:
    session = Session.load(folder, device="cpu", dtype=precision)
    assert session.dtype == precision
    events = list(session.ask(volume, Question("Where is it?"), GenerationOptions(20)))
    done = events[-1]
    assert isinstance(done, Done) and len(done.token_ids) > 0
    assert sum(done.scores) == pytest.approx(1, abs=0.01)


def test_files_of_several_parts_and_biases(folder: Path, tmp_path: Path) -> None:
    """The published model's weights come in parts; Qwen2 has biases."""
    text = TEXT | {"model_type": "qwen2", "vocab_size": 448, "num_key_value_heads": 4}
    model = build(tmp_path / "whole", text_config=text)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("_proj.bias"):
                parameter.normal_()
    (tmp_path / "whole" / "model.safetensors").unlink()
    model.save_pretrained(tmp_path / "whole", max_shard_size="200KB")
    assert len(list((tmp_path / "whole").glob("*.safetensors"))) > 2
    ids = torch.arange(2, 42)[None]
    with torch.inference_mode():
        exact = model.language_model(ids).logits
        rounded = load_model(tmp_path / "whole", "cpu", "int8")[0].language_model(ids).logits
    assert relative(rounded, exact) < 0.04


def test_a_head_that_is_the_embeddings_stays_as_it_is(tmp_path: Path) -> None:
    text = TEXT | {"vocab_size": 448, "tie_word_embeddings": True}
    build(tmp_path / "tied", text_config=text)
    model, _ = load_model(tmp_path / "tied", "cpu", "int8")
    assert isinstance(model.language_model.lm_head, nn.Linear)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_missing_and_an_unknown_tensor_are_named(
    folder: Path, tmp_path: Path, precision: str
) -> None:
    name = "language_model.model.layers.1.self_attn.o_proj.weight"
    for broken in ("missing", "unknown"):
        copy = tmp_path / broken
        shutil.copytree(folder, copy)
        tensors = load_file(copy / "model.safetensors")
        if broken == "missing":
            del tensors[name]
        else:
            tensors["language_model.extra.weight"] = torch.zeros(2)
        save_file(tensors, copy / "model.safetensors", {"format": "pt"})
        with pytest.raises(CheckpointError, match="o_proj" if broken == "missing" else "extra"):
            load_model(copy, "cpu", precision)


@pytest.mark.parametrize(("precision", "limit"), [("int8", 0.06), ("int4", 0.5)])
def test_bitsandbytes_takes_the_same_layers(folder: Path, precision: str, limit: float) -> None:
    """What CUDA devices use; the package runs on CPUs, too."""
    pytest.importorskip("bitsandbytes")
    choice = Precision(precision, "bfloat16")
    model, gaps = loading._load(folder, choice, **loading._bitsandbytes(choice, "cpu"))
    assert not gaps and precision_of(model) == precision
    plain, _ = load_model(folder, "cpu", "float32")
    changed = {n for n, m in model.named_modules() if type(m).__name__.startswith("Linear4bit" if
               precision == "int4" else "Linear8bit")}  # fmt: skip
    assert changed == {name for name in linear_names(plain) if not name.endswith("lm_head")}
    ids = torch.arange(2, 42)[None]
    with torch.inference_mode():
        exact, rounded = plain.language_model(ids).logits, model.language_model(ids).logits
    assert 0 < relative(rounded, exact) < limit


def test_without_bitsandbytes_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ResourceError, match="bitsandbytes"):
        loading._bitsandbytes(Precision("int8", "bfloat16"), "cuda")
