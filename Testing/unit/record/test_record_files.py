"""Files of records: JSON by the schema, versions, whole-or-nothing writing, CSV."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from pathlib import Path

import jsonschema
import pytest

from med2e3.errors import InputError
from med2e3.record import (
    SCHEMA_VERSION,
    Exchange,
    ExchangeFile,
    dumps,
    read_exchanges,
    schema,
    write_exchanges,
    write_table,
)


def _validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


def test_written_files_obey_the_schema_and_read_back(exchange: Exchange, tmp_path: Path) -> None:
    no_scores = dataclasses.replace(exchange, scores=(), answer="Ödem links, 中")
    path = tmp_path / "records.json"
    write_exchanges(path, [exchange, no_scores])
    document = json.loads(path.read_bytes().decode("utf-8"))
    assert list(document) == ["schema_version", "exchanges"]
    _validator().validate(document)
    assert read_exchanges(path) == ExchangeFile((exchange, no_scores))


@pytest.mark.parametrize(
    "change",
    [
        {"task": "poem"},
        {"scores": [0.5, 0.5]},
        {"notice": ""},
        {"token_probabilities": [1.5]},
        {"software": {"med2e3": 1}},
        {"slices": []},
    ],
)
def test_the_schema_refuses_wrong_records(exchange: Exchange, change: dict[str, object]) -> None:
    document = ExchangeFile((exchange,)).to_dict()
    document["exchanges"][0].update(change)
    assert not _validator().is_valid(document)


@pytest.mark.parametrize("version", ["2.0", "0.9", "10.1"])
def test_another_major_version_is_refused(exchange: Exchange, version: str) -> None:
    document = ExchangeFile((exchange,)).to_dict() | {"schema_version": version}
    with pytest.raises(InputError, match=f"version {version}; this program reads 1"):
        ExchangeFile.from_dict(document)


def test_a_later_minor_version_with_new_keys_is_read(exchange: Exchange) -> None:
    document = ExchangeFile((exchange,)).to_dict() | {"schema_version": "1.7", "new": True}
    assert ExchangeFile.from_dict(document).exchanges == (exchange,)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"exchanges": []}', "\xff"])
def test_other_files_are_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError):
        read_exchanges(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_exchanges(tmp_path / "absent.json")


def test_numbers_that_json_cannot_say_are_refused(exchange: Exchange) -> None:
    with pytest.raises(InputError, match="not finite"):
        dumps([dataclasses.replace(exchange, timings_s={"encoding": float("inf")})])


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    exchange: Exchange, tmp_path: Path
) -> None:
    path = tmp_path / "records.json"
    write_exchanges(path, [exchange])
    before = path.read_bytes()
    with pytest.raises(InputError):
        write_exchanges(path, [dataclasses.replace(exchange, scores=(float("nan"),) * 32)])
    with pytest.raises(InputError, match=r"'records\.json' cannot be written"):
        write_exchanges(tmp_path / "absent" / "records.json", [exchange])
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["records.json"]


@pytest.mark.skipif(os.name != "posix", reason="links need privileges on Windows")
def test_a_link_is_followed_and_kept(exchange: Exchange, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    link = tmp_path / "records.json"
    link.symlink_to(tmp_path / "store" / "real.json")
    write_exchanges(link, [exchange])
    assert link.is_symlink() and (tmp_path / "store" / "real.json").is_file()


def test_the_table_has_one_row_for_each_question_and_slice(
    exchange: Exchange, tmp_path: Path
) -> None:
    tricky = dataclasses.replace(exchange, question='Is it "large", or\nsmall; 中?', scores=())
    path = tmp_path / "scores.csv"
    write_table(path, [exchange, tricky])
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 64
    top = rows[11]
    assert top["question_number"] == "1" and top["slice_index"] == "11"
    assert float(top["score"]) == exchange.scores[11]
    assert float(top["score_relative_to_uniform"]) == pytest.approx(32 * exchange.scores[11])
    assert (top["position_r_mm"], top["position_a_mm"]) == ("-3.0", "12.0")
    assert float(top["position_s_mm"]) == pytest.approx(-100 + 6.5 * 11)
    assert (top["source_first"], top["source_last"]) == ("27", "29")
    assert (top["model"], top["model_sha256"]) == (exchange.model.name, exchange.model.sha256)
    assert all(row["notice"] == exchange.notice for row in rows)
    assert rows[32]["question"] == tricky.question
    assert rows[32]["score"] == "" and rows[32]["score_relative_to_uniform"] == ""


def test_the_schema_version_is_one_that_the_schema_allows() -> None:
    assert _validator().is_valid({"schema_version": SCHEMA_VERSION, "exchanges": []})
