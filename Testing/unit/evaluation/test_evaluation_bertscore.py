"""BERTScore against the package bert-score, on tiny random encoders."""

from __future__ import annotations

from pathlib import Path

import bert_score
import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel, RobertaTokenizer

from fixtures.random_model import SENTENCES, question_tokenizer
from med2e3.errors import InputError
from med2e3.evaluation.bertscore import BertScore

ANSWERS = ["The lungs are clear.", "no nodule", " Is there a stone? ", "x", "a mass " * 60]
REFERENCES = ["Lungs clear", "There is a small nodule.", "Is there a stone?", SENTENCES[6], "mass"]
SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}


def tiny_bert(folder: Path) -> None:
    tokenizer = question_tokenizer()
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(tokenizer), intermediate_size=48, max_position_embeddings=64, **SIZES
    )
    BertModel(config).save_pretrained(folder)


def tiny_roberta(folder: Path) -> None:
    pairs = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pairs.train_from_iterator(SENTENCES, vocab_size=400, special_tokens=special)
    pairs.save_model(str(folder))
    tokenizer = RobertaTokenizer(
        vocab=str(folder / "vocab.json"),
        merges=str(folder / "merges.txt"),
        model_max_length=64,
        # bert-score asks for this in each call, which transformers 5 passes over silently; as a
        # setting of the tokenizer both of us get it
        add_prefix_space=True,
    )
    tokenizer.save_pretrained(folder)
    config = RobertaConfig(
        vocab_size=len(tokenizer), intermediate_size=48, max_position_embeddings=66, **SIZES
    )
    RobertaModel(config).save_pretrained(folder)


@pytest.fixture(scope="module", params=[tiny_bert, tiny_roberta])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(1)
    request.param(folder)
    return folder


@pytest.mark.parametrize("layer", [1, 3])
def test_f1_is_the_packages(encoder: Path, layer: int) -> None:
    _, _, theirs = bert_score.score(
        ANSWERS, REFERENCES, model_type=str(encoder), num_layers=layer, device="cpu"
    )
    ours = BertScore(encoder, layer).f1(ANSWERS, REFERENCES)
    assert ours == pytest.approx(theirs.tolist(), abs=1e-5)


def test_roberta_reads_the_first_word_like_any_other(tmp_path: Path) -> None:
    """Whatever the folder's tokenizer says: with transformers 4 bert-score did so too."""
    torch.manual_seed(1)
    tiny_roberta(tmp_path)
    same = BertScore(tmp_path, 2).tokenizer("lungs lungs", add_special_tokens=False).input_ids
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace('"add_prefix_space": true', '"x": false'))
    tokens = BertScore(tmp_path, 2).tokenizer("lungs lungs", add_special_tokens=False).input_ids
    assert tokens == same
    assert tokens[: len(tokens) // 2] == tokens[len(tokens) // 2 :]


def test_no_word_is_worth_nothing_and_itself_everything(encoder: Path) -> None:
    f1 = BertScore(encoder, 2).f1(["", "a mass", " "], ["a mass", "a mass", ""])
    assert f1 == pytest.approx([0, 1, 0], abs=1e-6)


def test_an_unknown_kind_of_encoder_needs_a_layer(encoder: Path) -> None:
    with pytest.raises(InputError, match="No layer"):
        BertScore(encoder)
    with pytest.raises(InputError, match="3 layers, not 4"):
        BertScore(encoder, 4)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no encoder"):
        BertScore(tmp_path, 1)
