"""A model made from nothing: its words and the scale of its weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from fixtures.miniature import CONFIG
from med2e3.data import Sample
from med2e3.model import Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.model.prompt import SYSTEM
from med2e3.training.parts import begin_anew
from med2e3.training.scratch import build_from_scratch


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fields = {"id": "s", "volume": "v", "split": "train", "answer": "axial"}
    closed = Sample(
        **fields, task="closed_vqa", question="Which plane?",  # type: ignore[arg-type]
        choices=("coronal", "axial"), answer_choice="B",
    )  # fmt: skip
    report = Sample(**fields, task="report", question="")  # type: ignore[arg-type]
    folder = tmp_path_factory.mktemp("made") / "model"
    sizes = {"vocabulary": 300, "question_vocabulary": 200, "config": CONFIG}
    build_from_scratch(folder, sizes, [closed, report] * 20, title="made", seed=0)
    return folder


def test_what_every_conversation_holds_becomes_one_token_a_word(made: Path) -> None:
    tokenizer = Med2E3Processor.from_pretrained(made).tokenizer
    words = [word.strip(".,") for word in SYSTEM.split() if "'" not in word]
    for word in [*words, "USER", "ASSISTANT", "Choices", "coronal", "axial"]:
        assert len(tokenizer.tokenize(word)) == 1, word


def spread(layer: nn.Linear) -> float:
    return float(layer.weight.detach().std() * layer.in_features**0.5)


def test_new_layers_keep_the_size_of_what_comes_in(made: Path) -> None:
    model = Med2E3ForConditionalGeneration.from_pretrained(made)
    layers = [m for m in model.language_model.modules() if isinstance(m, nn.Linear)]
    assert layers
    assert all(spread(layer) == pytest.approx(1, abs=0.1) for layer in layers)
    assert spread(model.connector_3d.linear_1) == pytest.approx(1, abs=0.1)
    assert model.tgis.question_projection.weight.std() < 0.05


def test_parts_that_begin_anew_begin_as_in_a_new_model(made: Path) -> None:
    model = Med2E3ForConditionalGeneration.from_pretrained(made)
    before = model.connector_2d.linear_2.weight.clone()
    begin_anew(model, ["connector_2d"], seed=3)
    assert not torch.equal(before, model.connector_2d.linear_2.weight)
    assert spread(model.connector_2d.linear_2) == pytest.approx(1, abs=0.1)
