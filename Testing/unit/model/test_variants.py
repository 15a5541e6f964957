"""The whole model: every variant of the paper, other encoders and language models, conventions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    TorchAoConfig,
    Trainer,
    TrainingArguments,
)

from fixtures.random_model import build, small_config
from med2e3.asking import Question
from med2e3.model import Med2E3Config, Med2E3ForConditionalGeneration, Med2E3Processor

LLAMA = {
    "model_type": "llama",
    "vocab_size": 412,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "eos_token_id": 0,
    "bos_token_id": None,
}
ENCODER = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2}
CLIP = {
    "model_type": "clip_vision_model",
    "image_size": 48,
    "patch_size": 16,
    "num_attention_heads": 4,
    **ENCODER,
}
DINO = {
    "model_type": "dinov2",
    "image_size": 56,
    "patch_size": 14,
    "num_attention_heads": 4,
    "hidden_size": 48,
    "num_hidden_layers": 2,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "released": {},
    "paper v1": {"text_feature": "llm_embedding", "score_temperature": 1.0},
    "no text": {"text_feature": "none", "score_temperature": 1.0},
    "local 3D": {"local_features": "3d"},
    "local 2D": {"local_features": "2d"},
    "average": {"aggregation": "average"},
    "max": {"aggregation": "max"},
    "random": {"aggregation": "random"},
    "3D only": {"image_features": "3d"},
    "2D only": {"image_features": "2d"},
    "2D only, local 2D": {"image_features": "2d", "local_features": "2d"},
    "Llama": {"text_config": LLAMA, "prompt": "llama"},
    "Qwen2, tied": {
        "text_config": LLAMA | {"model_type": "qwen2", "tie_word_embeddings": True},
        "prompt": "qwen2",
    },
    "CLIP": {"vision_2d_config": CLIP, "vision_2d_select_feature": "patch"},
    "DINOv2": {"vision_2d_config": DINO, "vision_2d_select_layer": -2},
}


def batch(folder: Path, config: Med2E3Config, count: int = 1) -> dict[str, torch.Tensor]:
    processor = Med2E3Processor.from_pretrained(folder)
    rng = np.random.default_rng(0)
    questions = [Question("Where is the nodule?"), Question("Is there any free fluid, no?")][:count]
    volumes = [rng.random(config.input_size, dtype=np.float32) for _ in questions]
    return dict(processor(questions, volumes))


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_variant_runs_generates_saves_and_loads(changes: dict[str, Any], tmp_path: Path) -> None:
    build(tmp_path, **changes)
    model = Med2E3ForConditionalGeneration.from_pretrained(tmp_path).eval()
    config = model.config
    inputs = batch(tmp_path, config)
    assert int((inputs["input_ids"] == config.image_token_id).sum()) == config.num_image_tokens
    torch.manual_seed(0)
    with torch.no_grad():
        output = model(**inputs)
        generated = model.generate(**inputs, max_new_tokens=4, min_new_tokens=4)
    assert output.logits.shape == (1, inputs["input_ids"].shape[1], config.text_config.vocab_size)
    assert generated.shape[1] == inputs["input_ids"].shape[1] + 4
    assert (output.slice_scores is not None) == config.scores_slices
    if config.scores_slices:
        assert output.slice_scores.shape == (1, config.num_slices)
        assert float(output.slice_scores.sum()) == pytest.approx(1.0, abs=1e-5)

    model.save_pretrained(tmp_path / "again")
    again = Med2E3ForConditionalGeneration.from_pretrained(tmp_path / "again").eval()
    torch.manual_seed(0)
    with torch.no_grad():
        assert torch.equal(again(**inputs).logits, output.logits)


def test_parts_that_a_variant_does_not_use_are_not_there() -> None:
    def parts(**changes: Any) -> set[str]:
        with torch.device("meta"):
            model = Med2E3ForConditionalGeneration(small_config(50, 50, **changes))
        return {name for name, _ in model.named_children()}

    assert "question_encoder" not in parts(text_feature="none")
    assert "question_encoder" not in parts(aggregation="average")
    assert not {"vision_2d", "tgis"} & parts(image_features="3d")
    assert "vision_3d" not in parts(image_features="2d", local_features="2d")
    assert "vision_3d" in parts(image_features="2d", local_features="both")


def test_image_tokens_are_3d_first_then_2d(tmp_path: Path) -> None:
    model = build(tmp_path)
    inputs = batch(tmp_path, model.config)
    with torch.no_grad():
        volume = model.encode_volume(inputs["pixel_values"])
        image = model.image_features(volume, inputs["question_ids"], inputs["question_mask"])
    first = image.tokens[:, : model.config.num_3d_tokens]
    assert volume.features_3d is not None and volume.features_2d is not None
    assert torch.equal(first, volume.features_3d)
    assert image.scores is not None
    weighted = torch.einsum("bn,bnld->bld", image.scores, volume.features_2d)
    torch.testing.assert_close(image.tokens[:, model.config.num_3d_tokens :], weighted)


def test_a_padded_batch_gives_what_each_question_gives_alone(tmp_path: Path) -> None:
    model = build(tmp_path).eval()
    both = batch(tmp_path, model.config, count=2)
    assert both["attention_mask"].min() == 0, "the questions must differ in length"
    with torch.no_grad():
        together = model(**both).logits[:, -1]
        for row in range(2):
            kept = both["attention_mask"][row].bool()
            asked = both["question_mask"][row].bool()
            alone = model(
                input_ids=both["input_ids"][row][kept][None],
                attention_mask=torch.ones(1, int(kept.sum())),
                pixel_values=both["pixel_values"][row][None],
                question_ids=both["question_ids"][row][asked][None],
                question_mask=torch.ones(1, int(asked.sum())),
            ).logits[0, -1]
            torch.testing.assert_close(together[row], alone, atol=2e-4, rtol=1e-4)


def test_slices_in_small_batches_give_the_same_features(tmp_path: Path) -> None:
    model = build(tmp_path).eval()
    pixels = batch(tmp_path, model.config)["pixel_values"]
    with torch.no_grad():
        whole = model.encode_volume(pixels, slices_per_batch=32).features_2d
        small = model.encode_volume(pixels, slices_per_batch=5).features_2d
    torch.testing.assert_close(whole, small, atol=1e-5, rtol=1e-5)


def test_hugging_face_conventions(tmp_path: Path) -> None:
    build(tmp_path)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), Med2E3Config)
    model = AutoModelForImageTextToText.from_pretrained(
        tmp_path, dtype=torch.bfloat16, device_map="cpu"
    )
    assert isinstance(model, Med2E3ForConditionalGeneration)
    assert model.dtype == torch.bfloat16
    with torch.no_grad():
        scores = model(**batch(tmp_path, model.config)).slice_scores
    assert float(scores.float().sum()) == pytest.approx(1.0, abs=0.02)
    assert sorted(p.name for p in tmp_path.glob("*.safetensors")) == ["model.safetensors"]
    assert not list(tmp_path.glob("*.bin"))


def test_gradients_reach_every_part_that_is_trained(tmp_path: Path) -> None:
    model = build(tmp_path).train()
    model.activation_checkpointing_enable()
    inputs = batch(tmp_path, model.config)
    labels = inputs["input_ids"].clone()
    labels[:, :-3] = -100
    model(**inputs, labels=labels).loss.backward()
    unused = {"vision_2d.post_layernorm.weight", "vision_2d.post_layernorm.bias"}
    without = {n for n, p in model.named_parameters() if p.grad is None} - unused
    assert without == set()


@pytest.mark.parametrize(
    "changes",
    [{"aggregation": "median"}, {"text_feature": "clip"}, {"pool_size": [3, 2, 2]}],
)
def test_configurations_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be one of|multiple"):
        small_config(50, 50, **changes)


def test_a_wrong_number_of_placeholders_is_refused(tmp_path: Path) -> None:
    model = build(tmp_path)
    inputs = batch(tmp_path, model.config)
    inputs["input_ids"] = inputs["input_ids"][:, :60]
    inputs["attention_mask"] = inputs["attention_mask"][:, :60]
    with pytest.raises(ValueError, match="placeholders"):
        model(**inputs)
    inputs = batch(tmp_path, model.config)
    del inputs["pixel_values"]
    with pytest.raises(ValueError, match="for 0 visual tokens"):
        model(**inputs)


def test_a_step_of_the_librarys_trainer_changes_the_weights(tmp_path: Path) -> None:
    model = build(tmp_path / "model")
    rows = batch(tmp_path / "model", model.config)
    rows["labels"] = rows["input_ids"].masked_fill(
        rows["input_ids"] == model.config.image_token_id, -100
    )
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "run"),
        max_steps=2,
        per_device_train_batch_size=1,
        learning_rate=1e-2,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
    )
    example = {name: value[0] for name, value in rows.items()}
    trainer = Trainer(model=model, args=arguments, train_dataset=[example, example])
    assert trainer.train().training_loss > 0
    unused = {"vision_2d.post_layernorm.weight", "vision_2d.post_layernorm.bias"}
    same = {name for name, p in model.named_parameters() if torch.equal(p, before[name])}
    assert same <= unused


def test_an_adapter_is_added_saved_and_loaded(tmp_path: Path) -> None:
    base = build(tmp_path / "model")
    inputs = batch(tmp_path / "model", base.config)
    adapted = get_peft_model(
        base, LoraConfig(r=2, target_modules=["qkv_proj", "linear_1"], init_lora_weights=False)
    )
    with torch.no_grad():
        expected = adapted(**inputs).logits
    adapted.save_pretrained(tmp_path / "adapter")
    fresh = Med2E3ForConditionalGeneration.from_pretrained(tmp_path / "model")
    loaded = PeftModel.from_pretrained(fresh, tmp_path / "adapter").eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded(**inputs).logits, expected)
        with loaded.disable_adapter():
            assert not torch.allclose(loaded(**inputs).logits, expected)


def test_weights_can_be_quantized_while_loading(tmp_path: Path) -> None:
    quantization = pytest.importorskip("torchao.quantization", reason="torchao is not installed")
    model = build(tmp_path)
    inputs = batch(tmp_path, model.config)
    small = Med2E3ForConditionalGeneration.from_pretrained(
        tmp_path, quantization_config=TorchAoConfig(quantization.Int8WeightOnlyConfig())
    ).eval()
    assert "Int8" in type(small.language_model.model.layers[0].mlp.down_proj.weight).__name__
    with torch.no_grad():
        exact, rounded = model(**inputs).logits, small(**inputs).logits
    assert float(torch.nn.functional.cosine_similarity(exact, rounded, dim=-1).min()) > 0.9
    assert not torch.equal(exact, rounded)
