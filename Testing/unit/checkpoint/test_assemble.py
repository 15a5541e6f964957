"""A Med-2E3 of public models: every part computes what it computed by itself, or is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    BertConfig,
    BertForPreTraining,
    BertModel,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    Dinov2Config,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
)
from typer.testing import CliRunner

from fixtures.clip_step import BERT, VISION
from fixtures.random_model import language_tokenizer, question_tokenizer
from med2e3.asking import Question
from med2e3.checkpoint import convert_checkpoint
from med2e3.checkpoint.assemble import Parts, assemble
from med2e3.checkpoint.sources import locate
from med2e3.cli.main import app
from med2e3.errors import CheckpointError, InputError
from med2e3.model import Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.model.clip3d import M3DClipConfig, M3DClipModel
from med2e3.model.prompt import END_OF_ANSWER

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
SLICE = {**SIZES, "hidden_size": 24, "image_size": 16, "patch_size": 8}
LIMIT = {"context_length": 64}


def save_language_model(folder: Path, family: str = "llama", **more: Any) -> Path:
    """A random language model with a tokenizer that ends answers as its family does."""
    tokenizer = language_tokenizer()
    end = {"llama": "</s>", "phi3": "<|endoftext|>", "qwen2": "<|im_end|>"}[family]
    tokenizer.add_special_tokens({"eos_token": end, "pad_token": end})
    config = AutoConfig.for_model(
        family,
        **SIZES,
        num_key_value_heads=2,
        vocab_size=len(tokenizer) + 3,
        pad_token_id=0,
        bos_token_id=None,
        **more,
    )
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_slice_encoder(folder: Path, kind: str) -> Path:
    text = {**SIZES, "vocab_size": 20, "projection_dim": 24}
    torch.manual_seed(2)
    if kind == "siglip pair":
        config = SiglipConfig(vision_config=SLICE, text_config=text)
        SiglipModel(config).save_pretrained(folder)
    elif kind == "clip pair":
        CLIPModel(CLIPConfig(vision_config=SLICE, text_config=text)).save_pretrained(folder)
    else:
        config = {
            "siglip": SiglipVisionConfig,
            "clip": CLIPVisionConfig,
            "dinov2": Dinov2Config,
        }[kind](**SLICE)
        AutoModel.from_config(config).save_pretrained(folder)
    return folder


def save_volume_encoder(folder: Path) -> Path:
    tokenizer = question_tokenizer()
    torch.manual_seed(3)
    config = M3DClipConfig(
        vision_3d_config=VISION,
        question_config=BERT | {"vocab_size": len(tokenizer)},
        max_text_length=12,
    )
    M3DClipModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    return {
        "llm": save_language_model(tmp_path / "llm"),
        "vision_2d": save_slice_encoder(tmp_path / "siglip", "siglip"),
        "vision_3d": save_volume_encoder(tmp_path / "clip"),
    }


def put_together(tmp_path: Path, parts: dict[str, Path], **variant: Any) -> Path:
    named = {name: str(path) for name, path in parts.items()}
    assemble(tmp_path / "out", Parts(**named), variant=LIMIT | variant)
    return tmp_path / "out"


def load(folder: Path) -> Med2E3ForConditionalGeneration:
    model, report = Med2E3ForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    return model.eval()


def volumes() -> Tensor:
    return torch.rand((2, 1, 8, 16, 16), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("kind", ["siglip", "clip", "dinov2", "siglip pair", "clip pair"])
def test_the_slice_encoder_is_as_it_was(tmp_path: Path, parts: dict[str, Path], kind: str) -> None:
    parts["vision_2d"] = save_slice_encoder(tmp_path / "encoder", kind)
    model = load(put_together(tmp_path, parts, vision_2d_select_feature="cls_patch"))
    public = AutoModel.from_pretrained(parts["vision_2d"]).eval()
    encoder = public.vision_model if kind.endswith("pair") else public
    slices = volumes()[:, 0].flatten(0, 1).unsqueeze(1).expand(-1, 3, -1, -1)
    with torch.no_grad():
        features = encoder(slices).last_hidden_state
        ours = model.vision_2d(slices).last_hidden_state
    assert features.std() > 0.01
    assert torch.equal(ours, features)


@pytest.mark.parametrize("family", ["llama", "phi3", "qwen2"])
def test_the_language_model_is_as_it_was(
    tmp_path: Path, parts: dict[str, Path], family: str
) -> None:
    tied = {"tie_word_embeddings": True} if family == "qwen2" else {}
    parts["llm"] = save_language_model(tmp_path / family, family, **tied)
    folder = put_together(tmp_path, parts)
    model, public = load(folder), AutoModelForCausalLM.from_pretrained(parts["llm"]).eval()
    ids = torch.arange(5, 25).reshape(2, 10)
    with torch.no_grad():
        assert torch.equal(model.language_model(ids).logits, public(ids).logits)
    processor = Med2E3Processor.from_pretrained(folder)
    wording = {"llama": "llama", "phi3": "phi", "qwen2": "qwen2"}[family]
    assert model.config.prompt == processor.prompt == wording
    learned = processor.tokenizer.convert_tokens_to_ids(END_OF_ANSWER[wording])
    assert learned in model.generation_config.eos_token_id


def test_the_3d_and_the_question_encoder_are_as_they_were(
    tmp_path: Path, parts: dict[str, Path]
) -> None:
    folder = put_together(tmp_path, parts)
    model, clip = load(folder), M3DClipModel.from_pretrained(parts["vision_3d"]).eval()
    ids = torch.arange(5, 17).reshape(2, 6)
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2])
    bert: BertModel = clip.question_encoder
    with torch.no_grad():
        assert torch.equal(model.vision_3d(volumes()), clip.vision_3d(volumes()))
        expected = bert(ids, attention_mask=mask).pooler_output
        assert torch.equal(model.encode_question(ids, mask), expected)
    assert Med2E3Processor.from_pretrained(folder).encode_question("liver") == (
        question_tokenizer()("liver").input_ids
    )


def test_the_published_layout_gives_what_the_converted_checkpoint_gives(
    shared_dir: Path, tmp_path: Path, parts: dict[str, Path]
) -> None:
    published = shared_dir / "oracle" / "A"
    convert_checkpoint(
        published / "checkpoint",
        tmp_path / "converted",
        question_tokenizer=published / "m3d_clip_tokenizer",
    )
    expected = load(tmp_path / "converted").float()
    report = assemble(
        tmp_path / "out",
        Parts(
            llm=str(parts["llm"]),
            vision_2d=str(parts["vision_2d"]),
            vision_3d=str(published / "checkpoint" / "vision3d_model"),
            question_tokenizer=str(published / "m3d_clip_tokenizer"),
        ),
    )
    model = load(tmp_path / "out").float()
    volume = torch.rand((1, 1, 32, 256, 256), generator=torch.Generator().manual_seed(6))
    ids = torch.tensor([[2, 40, 41, 42, 3]])
    with torch.no_grad():
        assert torch.equal(model.vision_3d(volume), expected.vision_3d(volume))
        mask = torch.ones_like(ids)
        assert torch.equal(model.encode_question(ids, mask), expected.encode_question(ids, mask))
    assert {name.split(".")[0].split("/")[1] for name in report.unused} >= {
        "logit_scale",
        "mm_vision_proj",
        "mm_language_proj",
        "vision_encoder",
    }


def test_it_asks_and_answers_and_says_that_it_is_untrained(
    tmp_path: Path, parts: dict[str, Path]
) -> None:
    folder = put_together(tmp_path, parts, title="A trial")
    model, processor = load(folder), Med2E3Processor.from_pretrained(folder)
    assert model.config.untrained and model.config.title == "A trial"
    batch = processor([Question("Is there a nodule?")], volumes()[0, 0].numpy())
    with torch.no_grad():
        output = model(**batch)
    assert output.logits.isfinite().all()
    assert output.slice_scores.sum().item() == pytest.approx(1)


def test_what_is_new_depends_on_the_seed_alone(tmp_path: Path, parts: dict[str, Path]) -> None:
    named = {name: str(path) for name, path in parts.items()}
    weights = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        report = assemble(tmp_path / name, Parts(**named), variant=LIMIT, seed=seed)
        weights.append(load_file(tmp_path / name / "model.safetensors"))
    assert report.fresh == ("connector_2d", "connector_3d", "tgis")
    same, other = ({n for n in weights[0] if torch.equal(weights[0][n], w[n])} for w in weights[1:])
    assert same == set(weights[0])
    differing = set(weights[0]) - other
    assert {n.split(".")[0] for n in differing} == set(report.fresh)
    assert all(n.endswith("weight") for n in differing)
    spread = torch.cat([weights[0][n].flatten() for n in differing]).std()
    assert spread.item() == pytest.approx(0.02, rel=0.1)
    new = {n: w for n, w in weights[0].items() if n.split(".")[0] in report.fresh}
    assert report.fresh_parameters == sum(w.numel() for w in new.values())


@pytest.mark.parametrize(
    ("variant", "without", "fresh"),
    [
        ({"image_features": "3d"}, {"vision_2d"}, {"connector_3d"}),
        ({"image_features": "2d", "local_features": "2d", "text_feature": "none"},
         set(), {"connector_2d", "tgis"}),
        ({"aggregation": "average"}, set(), {"connector_2d", "connector_3d"}),
        ({"text_feature": "llm_embedding"}, set(), {"connector_2d", "connector_3d"}),
        ({"text_feature": "none"}, set(), {"connector_2d", "connector_3d", "tgis"}),
    ],
)  # fmt: skip
def test_variants_of_the_paper_are_put_together(
    tmp_path: Path,
    parts: dict[str, Path],
    variant: dict[str, str],
    without: set[str],
    fresh: set[str],
) -> None:
    named = {name: str(path) for name, path in parts.items() if name not in without}
    report = assemble(tmp_path / "out", Parts(**named), variant=LIMIT | variant)
    assert set(report.fresh) == fresh
    model = load(tmp_path / "out")
    processor = Med2E3Processor.from_pretrained(tmp_path / "out")
    batch = processor([Question("Is there a nodule?")], volumes()[0, 0].numpy())
    with torch.no_grad():
        assert model(**batch).logits.isfinite().all()
    if "text_feature" in variant:
        assert model.config.score_temperature == 1.0


def test_parts_begin_at_random_when_only_their_sizes_are_given(
    tmp_path: Path, parts: dict[str, Path]
) -> None:
    tokenizer = question_tokenizer()
    sizes = {
        "llm": {"model_type": "llama", **SIZES, "vocab_size": 500},
        "vision_2d": {"model_type": "siglip_vision_model", **SLICE},
        "vision_3d": {
            "vision_3d_config": VISION,
            "question_config": BERT | {"vocab_size": len(tokenizer)},
        },
    }
    named = {}
    for name, values in sizes.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(values))
        named[name] = str(tmp_path / f"{name}.json")
    with pytest.raises(InputError, match="needs a tokenizer"):
        assemble(tmp_path / "out", Parts(**named), variant=LIMIT)
    named |= {"tokenizer": str(parts["llm"])}
    with pytest.raises(InputError, match="question encoder needs a tokenizer"):
        assemble(tmp_path / "out", Parts(**named), variant=LIMIT)
    named |= {"question_tokenizer": str(parts["vision_3d"])}
    report = assemble(tmp_path / "out", Parts(**named), variant=LIMIT)
    model = load(tmp_path / "out")
    assert report.parameters == report.fresh_parameters
    assert report.parameters == sum(p.numel() for p in model.parameters())
    assert model.vision_3d.patch_embedding.position_embeddings.std() > 0


def test_a_bert_takes_the_place_of_the_pairs_own(tmp_path: Path, parts: dict[str, Path]) -> None:
    """As the contrastive stage begins: BERT as published, with names of its early days."""
    tokenizer = question_tokenizer()
    torch.manual_seed(8)
    sizes = BERT | {"vocab_size": len(tokenizer), "hidden_size": 8}
    BertForPreTraining(BertConfig(**sizes)).save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    expected = BertModel.from_pretrained(tmp_path / "bert").eval()

    def as_in_2018(weights: dict[str, Tensor]) -> None:
        for key in list(weights):
            old = key.replace("LayerNorm.weight", "LayerNorm.gamma")
            weights[old.replace("LayerNorm.bias", "LayerNorm.beta")] = weights.pop(key)

    edit(tmp_path / "bert", as_in_2018)
    parts["question_encoder"] = tmp_path / "bert"
    folder = put_together(tmp_path, parts)
    model, clip = load(folder), M3DClipModel.from_pretrained(parts["vision_3d"]).eval()
    ids = torch.arange(5, 17).reshape(2, 6)
    with torch.no_grad():
        pooled = model.encode_question(ids, torch.ones_like(ids))
        torch.testing.assert_close(pooled, expected(ids).pooler_output)
        assert torch.equal(model.vision_3d(volumes()), clip.vision_3d(volumes()))
    (tmp_path / "new.json").write_text(json.dumps({"vision_3d_config": VISION}))
    named = {name: str(path) for name, path in parts.items()}
    named["vision_3d"] = str(tmp_path / "new.json")
    report = assemble(tmp_path / "new", Parts(**named), variant=LIMIT)
    assert set(report.fresh) == {"vision_3d", "connector_2d", "connector_3d", "tgis"}


def edit(folder: Path, change: Any) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("part", "change", "says"),
    [
        ("llm", lambda w: w.update(surprise=torch.ones(2)), "llm/surprise"),
        ("llm", lambda w: w.pop("model.norm.weight"), r"lacks llm/model\.norm\.weight"),
        ("vision_2d", lambda w: w.update({"text": torch.ones(2)}), "vision2d_model/text"),
        ("vision_3d", lambda w: w.update({"vision_3d.new": torch.ones(2)}), "vision_3d.new"),
        ("vision_3d", lambda w: w.pop("vision_3d.cls_token"), "cls_token"),
        (
            "vision_3d",
            lambda w: w.update({"vision_3d.cls_token": torch.ones(1, 1, 7)}),
            "has the shape",
        ),
    ],
)
def test_a_weight_that_does_not_fit_is_refused_by_name(
    tmp_path: Path, parts: dict[str, Path], part: str, change: Any, says: str
) -> None:
    edit(parts[part], change)
    with pytest.raises(CheckpointError, match=says):
        put_together(tmp_path, parts)
    assert not (tmp_path / "out").exists()


def test_buffers_that_older_libraries_stored_are_known(
    tmp_path: Path, parts: dict[str, Path]
) -> None:
    positions = torch.arange(4).unsqueeze(0)
    edit(parts["llm"], lambda w: w.update({"model.layers.0.self_attn.rotary_emb.inv_freq": w["model.norm.weight"][:4].clone()}))  # fmt: skip  # noqa: E501
    edit(parts["vision_2d"], lambda w: w.update({"vision_model.embeddings.position_ids": positions.clone()}))  # fmt: skip  # noqa: E501
    edit(parts["vision_3d"], lambda w: w.update({"question_encoder.embeddings.position_ids": positions.clone()}))  # fmt: skip  # noqa: E501
    load(put_together(tmp_path, parts))


def test_what_cannot_be_used_is_refused(tmp_path: Path, parts: dict[str, Path]) -> None:
    named = {name: str(path) for name, path in parts.items()}

    def refused(says: str, variant: dict[str, Any] | None = None, **changes: Any) -> None:
        with pytest.raises(InputError, match=says):
            assemble(
                tmp_path / "out",
                Parts(**(named | changes)),
                variant=LIMIT | (variant or {}),
            )

    refused("was downloaded before", llm="nobody/no-such-model")
    refused("was downloaded before", vision_3d=str(tmp_path / "nowhere"))
    refused("type 'siglip_vision_model' cannot be used", llm=named["vision_2d"])
    refused("type 'llama' cannot be used", vision_2d=named["llm"])
    refused("needs a slice encoder", vision_2d=None)
    refused("needs a 3D encoder", vision_3d=None)
    refused("do not fit together", {"aggregation": "sum"})
    refused("context length is 4", {"context_length": 4})
    refused("reads 2048 tokens at most", {"context_length": 4096})
    refused("does not belong to the question encoder", question_tokenizer=named["llm"])
    with pytest.raises(InputError, match="ends an answer in the wording 'qwen2'"):
        assemble(tmp_path / "out", Parts(**named), variant=LIMIT, prompt="qwen2")
    with pytest.raises(InputError, match="no wording 'klingon'"):
        assemble(tmp_path / "out", Parts(**named), variant=LIMIT, prompt="klingon")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    refused("exists already")


def test_remote_code_that_a_folder_names_is_not_used(
    tmp_path: Path, parts: dict[str, Path]
) -> None:
    path = parts["llm"] / "config.json"
    values = json.loads(path.read_text())
    values["auto_map"] = {"AutoConfig": "surprise.Config", "AutoModelForCausalLM": "surprise.Model"}
    path.write_text(json.dumps(values))
    (parts["llm"] / "surprise.py").write_text("raise SystemExit('code was run')")
    assert "auto_map" not in (put_together(tmp_path, parts) / "config.json").read_text()


def test_a_model_in_the_hubs_cache_is_found_by_its_name(
    tmp_path: Path, parts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "cache" / "models--someone--tiny"
    commit = "0" * 40
    shutil.copytree(parts["llm"], repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    assert locate("someone/tiny").samefile(repository / "snapshots" / commit)


def test_the_command_says_what_is_new(tmp_path: Path, parts: dict[str, Path]) -> None:
    options = [f"--{name.replace('_', '-')}={path}" for name, path in parts.items()]
    line = ["models", "assemble", str(tmp_path / "out"), *options, "--context-length=64"]
    result = CliRunner().invoke(app, [*line, "--aggregation=average"])
    assert result.exit_code == 0, result.output
    assert "new and untrained (connector_2d, connector_3d)" in result.output
    assert load(tmp_path / "out").config.aggregation == "average"
    line[2] = str(tmp_path / "again")
    result = CliRunner().invoke(app, [*line, "--json"])
    assert json.loads(result.stdout)["fresh"] == ["connector_2d", "connector_3d", "tgis"]
