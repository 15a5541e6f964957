"""What is learned: answers and the token that ends them, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fixtures.random_model import build
from med2e3.asking import Turn
from med2e3.data import Sample, VolumeStore
from med2e3.errors import InputError
from med2e3.model import Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.training.collate import IGNORED, Collator, ReadingCollator
from med2e3.training.examples import Examples
from med2e3.training.recipe import StageData


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("random")
    build(path)
    return path


@pytest.fixture(scope="module")
def collator(folder: Path) -> Collator:
    model = Med2E3ForConditionalGeneration.from_pretrained(folder)
    return Collator(Med2E3Processor.from_pretrained(folder), model.config)


def learned(collator: Collator, sample: Sample) -> str:
    """The text of the labels, with the token that ends an answer."""
    ids, labels = collator.encode(sample)
    assert len(ids) == len(labels)
    assert all(label in (token, IGNORED) for token, label in zip(ids, labels, strict=True))
    kept = [label for label in labels if label != IGNORED]
    return str(collator.processor.tokenizer.decode(kept))


def sample(**fields: object) -> Sample:
    values = {"id": "s", "volume": "v", "split": "train", "task": "open_vqa", "answer": "a liver"}
    return Sample(**(values | {"question": "What is it?"} | fields))  # type: ignore[arg-type]


def test_only_the_answer_and_its_end_are_learned(collator: Collator) -> None:
    assert learned(collator, sample()) == "a liver<|endoftext|>"


def test_a_closed_answer_has_its_letter(collator: Collator) -> None:
    closed = sample(
        task="closed_vqa", answer="axial", choices=("coronal", "axial"), answer_choice="B"
    )
    assert learned(collator, closed) == "B. axial<|endoftext|>"


def test_every_turn_of_a_conversation_is_learned(collator: Collator) -> None:
    talk = sample(history=(Turn("Is it CT?", "yes"), Turn("Sure?", "no")))
    assert learned(collator, talk) == "yes<|endoftext|> no<|endoftext|> a liver<|endoftext|>"


def test_the_prompt_is_what_a_session_would_send(collator: Collator) -> None:
    one = sample()
    ids, labels = collator.encode(one)
    prompt = collator.processor.encode_prompt(collator.processor.conversation(one.as_question()))
    assert ids[: len(prompt)] == prompt
    assert labels[: len(prompt)] == [IGNORED] * len(prompt)


def test_the_image_alone_is_asked_for_alignment(collator: Collator) -> None:
    """As the reference's alignment has it: the volume, then the report, nothing around them."""
    ids, labels = collator.encode(sample(task="report", question=""))
    volume = [collator.processor.image_token_id] * collator.processor.num_image_tokens
    assert ids[: len(volume)] == volume
    assert collator.processor.decode_answer(ids[len(volume) :]).strip() == "a liver"
    assert labels == [IGNORED] * len(volume) + ids[len(volume) :]
    assert collator.processor.tokenizer.eos_token_id not in labels


def test_a_question_that_leaves_no_room_is_refused(collator: Collator) -> None:
    with pytest.raises(InputError, match="no room"):
        collator.encode(sample(question="word " * 2000))


def test_rows_of_one_volume_share_it(tiny_store: VolumeStore, collator: Collator) -> None:
    examples = Examples(
        tiny_store, StageData(augmentation="none", questions_per_volume=3), epochs=1, seed=0
    )
    batch = collator([examples[0], examples[1]])
    assert batch["pixel_values"].shape == (2, 1, 8, 32, 32)
    assert batch["volume_index"].tolist() == [0, 0, 0, 1, 1, 1]
    assert batch["input_ids"].shape == batch["labels"].shape


def test_padding_changes_nothing(folder: Path, collator: Collator) -> None:
    """A short row beside a long one has the loss that it has alone."""
    model = Med2E3ForConditionalGeneration.from_pretrained(folder).eval()
    torch.manual_seed(0)
    features = model.encode_volume(torch.rand(1, 1, *model.config.input_size))
    short = sample()
    long = sample(question="What is the contrast phase of this whole volume, please?")

    def logits(*samples: Sample) -> torch.Tensor:
        from med2e3.training.collate import pad_right

        rows = [collator.encode(s)[0] for s in samples]
        questions = [collator.processor.encode_question(s.question) for s in samples]
        with torch.no_grad():
            output = model(
                input_ids=pad_right(rows, 0),
                question_ids=pad_right(questions, 0),
                question_mask=pad_right([[1] * len(q) for q in questions], 0),
                volume_features=features,
                volume_index=torch.zeros(len(samples), dtype=torch.long),
            )
        return output.logits[0, : len(rows[0])]

    torch.testing.assert_close(logits(short), logits(short, long), atol=1e-4, rtol=1e-4)


def test_a_text_stands_where_the_volume_would(folder: Path, collator: Collator) -> None:
    model = Med2E3ForConditionalGeneration.from_pretrained(folder)
    report = "There is a cyst in the liver."
    reading = ReadingCollator(collator.processor, model.config, {"v": report})
    ids, labels = reading.encode(sample())
    text = reading.processor.tokenizer.decode(ids)
    assert text.count(report) == 1
    assert text.index(report) < text.index("What is it?") < text.index("a liver<|endoftext|>")
    assert model.config.image_token_id not in ids
    assert learned(reading, sample()) == "a liver<|endoftext|>"
    assert report not in reading.processor.tokenizer.decode(
        [label for label in labels if label != IGNORED]
    )


def test_batches_of_text_need_no_volume(
    folder: Path, tiny_store: VolumeStore, collator: Collator
) -> None:
    model = Med2E3ForConditionalGeneration.from_pretrained(folder)
    examples = Examples(
        tiny_store, StageData(augmentation="none", questions_per_volume=2), epochs=1, seed=0
    )
    batch = ReadingCollator(collator.processor, model.config, {})([examples[0], examples[1]])
    assert set(batch) == {"input_ids", "labels"}
    assert len(batch["input_ids"]) == 4
    assert torch.isfinite(model(**batch).loss)


def test_each_answer_counts_the_same_and_its_letter_more(folder: Path) -> None:
    model = Med2E3ForConditionalGeneration.from_pretrained(folder)
    processor = Med2E3Processor.from_pretrained(folder)
    weighing = Collator(processor, model.config, letter_weight=5)
    closed = sample(
        task="closed_vqa", answer="axial", choices=("coronal", "axial"), answer_choice="B"
    )
    batch = weighing.texts([closed, sample()])
    weights, learnt = batch["label_weights"], batch["labels"] != IGNORED
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2))
    assert not weights[~learnt].any()
    first, *others = weights[0, learnt[0]].tolist()
    letter = batch["labels"][0, learnt[0]][0]
    assert processor.tokenizer.decode([letter]).strip().startswith("B")
    assert others and all(first == pytest.approx(5 * other) for other in others)
    assert len(set(weights[1, learnt[1]].tolist())) == 1
    assert "label_weights" not in Collator(processor, model.config).texts([closed])
    empty = weighing.texts([sample(task="report", question="", answer=""), closed])
    torch.testing.assert_close(empty["label_weights"].sum(dim=-1), torch.tensor([0.0, 1.0]))
