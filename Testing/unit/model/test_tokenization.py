"""Text and token ids as the published tokenizers wrote and read them.

Expected values: the reference's own tokenising, with transformers 4.46.3's Python tokenizers.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from med2e3.checkpoint.tokenizers import language_tokenizer, load_tokenizer
from med2e3.model import Med2E3Processor
from med2e3.model.tokenization import join_pieces

IMAGE = 768
TEXTS = ("USER: <image3d>\nA <|end|> B", "<image3d> <s> x", "Is  it</s> ▁é")
#: settings → ids of TEXTS (-201 is the image)
ENCODED: list[tuple[dict[str, object], list[list[int]]]] = [
    (
        {},
        [
            [332, 666, 643, -201, 643, 13, 664, 643, 707, 683],
            [-201, 643, 643, 1, 289],
            [393, 647, 643, 643, 301, 2, 198, 172],
        ],
    ),
    (
        {"add_bos_token": True},
        [
            [1, 332, 666, 643, -201, 643, 13, 664, 643, 707, 683],
            [-201, 643, 643, 1, 289],
            [1, 393, 647, 643, 643, 301, 2, 198, 172],
        ],
    ),
    (
        {"legacy": True},
        [
            [332, 666, 643, -201, 643, 13, 664, 643, 707, 343],
            [-201, 643, 643, 1, 643, 289],
            [393, 647, 643, 643, 301, 2, 643, 643, 198, 172],
        ],
    ),
    (
        {"add_prefix_space": False},
        [
            [677, 330, 666, 643, -201, 13, 664, 643, 707, 683],
            [-201, 1, 289],
            [671, 647, 643, 643, 301, 2, 198, 172],
        ],
    ),
    (
        {"add_bos_token": True, "add_eos_token": True},
        [
            [1, 332, 666, 643, 700, -201, 643, 13, 664, 643, 707, 683, 700],
            [-201, 643, 643, 1, 289, 700],
            [1, 393, 647, 643, 643, 301, 2, 198, 172, 700],
        ],
    ),
]
#: ids → text with the usual settings and with ``legacy``
DECODED = [
    ([643, 480], " F", "F"),
    ([346, 710, 480], "ar <|user|> F", "ar <|user|> F"),
    ([46, 233, 451], "+� gives", "+� gives"),
    ([700, 2, 643, 537], "</s>  What", "</s> What"),
    ([707, 643], "<|end|> ", "<|end|> "),
    ([190, 146, 42, 362, 700], "��' assistant", "��' assistant"),
    ([643, 643, 451], "  gives", " gives"),
]


def processor_of(shared_dir: Path, folder: Path, settings: dict[str, object]) -> Med2E3Processor:
    """A processor for set A's tokenizer with other settings, saved and loaded again."""
    published = shared_dir / "oracle" / "A"
    shutil.copytree(published / "checkpoint", folder / "root", copy_function=shutil.copyfile)
    path = folder / "root" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    tokenizer, habits = language_tokenizer(folder / "root", "phi3", IMAGE)
    bert = load_tokenizer(published / "m3d_clip_tokenizer", "the question tokenizer")
    Med2E3Processor(
        tokenizer, bert, image_token_id=IMAGE, num_image_tokens=1, text_habits=habits.to_dict()
    ).save_pretrained(folder / "saved")
    return Med2E3Processor.from_pretrained(folder / "saved")


@pytest.mark.parametrize(("settings", "expected"), ENCODED)
def test_prompts_are_encoded_as_the_settings_say(
    shared_dir: Path, tmp_path: Path, settings: dict[str, object], expected: list[list[int]]
) -> None:
    processor = processor_of(shared_dir, tmp_path, settings)
    ids = [processor.encode_prompt(text) for text in TEXTS]
    assert [[-201 if i == IMAGE else i for i in row] for row in ids] == expected


@pytest.mark.parametrize("legacy", [False, True])
def test_answers_are_decoded_as_sentencepiece_did(
    shared_dir: Path, tmp_path: Path, legacy: bool
) -> None:
    processor = processor_of(shared_dir, tmp_path, {"legacy": legacy})
    texts = [processor.decode_answer(ids) for ids, *_ in DECODED]
    assert texts == [row[2 if legacy else 1] for row in DECODED]


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["<0xC3>", "<0xA9>"], "é"),
        (["<0xC3>", "x", "<0xA9>"], "�x�"),
        (["<0xE2>", "<0x89>", "<0xA5>", "<0xF0>", "<0x9F>"], "≥��"),
        (["<0xC0>", "<0x80>"], "��"),
        (["<0xED>", "<0xA0>", "<0x80>"], "���"),
        (["▁▁a", "▁b"], "  a b"),
        ([], ""),
    ],
)
def test_bytes_become_characters_or_one_mark_each(pieces: list[str], text: str) -> None:
    assert join_pieces(pieces, drop_first_blank=False) == text


def test_the_first_blank_can_be_dropped_once() -> None:
    assert join_pieces(["▁", "▁a", "▁b"], drop_first_blank=True) == " a b"
