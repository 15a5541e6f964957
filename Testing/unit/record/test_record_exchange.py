"""The record: what it holds, that it survives JSON, and what a reader refuses."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from med2e3.asking import Done, Question, Turn
from med2e3.errors import InputError, Med2E3Error
from med2e3.notice import NOTICE, UNTRAINED_NOTICE
from med2e3.record import Exchange, ModelRecord, VolumeRecord, build_exchange

ISSUE_KEYS = {
    "question", "task", "answer", "token_ids", "token_probabilities", "scores", "slices", "model",
    "preprocessing", "timings_s", "software", "notice",
}  # fmt: skip


def test_the_record_holds_the_agreed_keys(exchange: Exchange) -> None:
    record = exchange.to_dict()
    assert set(record) >= ISSUE_KEYS
    assert set(record["model"]) >= {"name", "revision", "sha256"}
    assert set(record["slices"][0]) == {
        "index", "position_lps_mm", "position_ras_mm", "source_first", "source_last",
    }  # fmt: skip
    assert record["timings_s"] == {"reading": 0.25, "encoding": 1.5, "first_token": 1.75}
    assert record["software"]["med2e3"] and record["software"]["python"]


def test_json_and_back_is_the_same_record(exchange: Exchange) -> None:
    exchange = dataclasses.replace(exchange, history=(Turn("Which organ?", "The spleen. "),))
    again = Exchange.from_dict(json.loads(json.dumps(exchange.to_dict())))
    assert again == exchange


def test_the_question_is_kept_byte_for_byte(exchange: Exchange) -> None:
    text = "  What is  this (µ-CT, ≥ 5 mm)?\t\n<image3d> \N{CJK UNIFIED IDEOGRAPH-4E2D} "
    again = Exchange.from_dict(dataclasses.replace(exchange, question=text).to_dict())
    assert again.question == text


def test_a_reader_ignores_keys_it_does_not_know(exchange: Exchange) -> None:
    record = exchange.to_dict() | {"mood": "sunny"}
    record["model"] = record["model"] | {"colour": "blue"}
    record["slices"] = [place | {"thickness": 2} for place in record["slices"]]
    assert Exchange.from_dict(record) == exchange


@pytest.mark.parametrize("key", sorted(ISSUE_KEYS))
def test_a_missing_key_is_named(exchange: Exchange, key: str) -> None:
    record = exchange.to_dict()
    del record[key]
    with pytest.raises(InputError, match=key):
        Exchange.from_dict(record)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("task", "poem"),
        ("answer", 3),
        ("scores", [float("nan")] * 32),
        ("scores", "many"),
        ("slices", [{"index": 0}]),
        ("model", "the good one"),
        ("timings_s", []),
    ],
)
def test_a_damaged_record_is_refused(exchange: Exchange, key: str, value: object) -> None:
    with pytest.raises(InputError):
        Exchange.from_dict(exchange.to_dict() | {key: value})


def test_scores_and_slices_must_agree_in_number(exchange: Exchange) -> None:
    record = exchange.to_dict()
    record["scores"] = record["scores"][:31]
    with pytest.raises(InputError, match="31 scores for 32 slices"):
        Exchange.from_dict(record)


def test_uniform_relative_and_top_slices(exchange: Exchange) -> None:
    assert exchange.uniform == 1 / 32
    assert sum(exchange.relative_scores()) == pytest.approx(32)
    assert exchange.top_slices(3) == (11, 10, 12)
    flat = dataclasses.replace(exchange, scores=(1 / 32,) * 32)
    assert flat.top_slices(4) == (0, 1, 2, 3)


def test_a_model_without_scores(exchange: Exchange) -> None:
    none = dataclasses.replace(exchange, scores=())
    assert none.uniform == 0 and none.relative_scores() == () and none.top_slices() == ()
    assert Exchange.from_dict(none.to_dict()) == none


def _build(done: Done, model: ModelRecord) -> Exchange:
    return build_exchange(
        Question("What is seen?"),
        done,
        slices=[],
        model=model,
        volume=VolumeRecord("0" * 64, (32, 256, 256)),
        preprocessing={},
        generation={},
    )


def test_numbers_that_overflowed_are_never_recorded() -> None:
    done = Done("?", (1,), (float("nan"),), (), "end")
    with pytest.raises(Med2E3Error, match="overflowed"):
        _build(done, ModelRecord("m", None, "0" * 64))


def test_an_untrained_model_says_so_in_the_notice() -> None:
    done = Done("x", (1,), (0.5,), (), "end")
    trained = _build(done, ModelRecord("m", None, "0" * 64))
    untrained = _build(done, ModelRecord("m", None, "0" * 64, True, UNTRAINED_NOTICE))
    assert trained.notice == NOTICE
    assert untrained.notice.startswith(NOTICE) and UNTRAINED_NOTICE in untrained.notice
    assert untrained.to_dict()["model"]["untrained"] is True


def test_importing_the_records_imports_nothing_heavy() -> None:
    code = (
        "import sys, med2e3.record;"
        "print([m for m in ('torch', 'transformers', 'pydantic', 'matplotlib', 'rich', 'typer')"
        " if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
