"""``ask`` and ``report`` on one volume with the embedded model: text, records, table, figure."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import SimpleITK
from unit.cli.cli_harness import RunCli

from med2e3.asking import REPORT_QUESTION
from med2e3.model_info import read_model_info
from med2e3.notice import NOTICE
from med2e3.record import read_exchanges, schema
from med2e3.weights import resolve_model

#: what every output of the embedded model says of it
REMARK = read_model_info(resolve_model("embedded")).remark


def records_of(path: Path) -> list[dict]:
    document = json.loads(path.read_bytes().decode("utf-8"))
    jsonschema.Draft202012Validator(schema()).validate(document)
    return document["exchanges"]


def write_ct(path: Path) -> Path:
    """A water ellipsoid with a bone rod in air, 2 x 3 x 5 mm voxels, head at the last slice."""
    z, y, x = np.mgrid[-1:1:20j, -1:1:90j, -1:1:150j]
    hu = np.where((x / 0.9) ** 2 + (y / 0.9) ** 2 + z**2 * 0.3 < 1, 30.0, -1000.0)
    hu[(x + 0.3) ** 2 + (y - 0.2) ** 2 < 0.01] = 900
    image = SimpleITK.GetImageFromArray(hu.astype(np.int16))
    image.SetSpacing((2.0, 3.0, 5.0))
    image.SetOrigin((-150.0, -130.0, 40.0))
    SimpleITK.WriteImage(image, str(path))
    return path


def test_one_run_gives_report_answers_records_table_and_figure(
    run_cli: RunCli, tmp_path: Path
) -> None:
    ct = write_ct(tmp_path / "ct.nii.gz")
    results = tmp_path / "new" / "folder"
    ended = run_cli(
        "report", ct, "--ask", "Is there a fracture?", "--max-new-tokens", 6, "--plane", "coronal",
        "--json", results / "r.json", "--csv", results / "r.csv", "--figure", results / "r.png",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    report, question = records_of(results / "r.json")
    assert (report["task"], report["question"]) == ("report", REPORT_QUESTION)
    assert (question["task"], question["question"]) == ("open_vqa", "Is there a fracture?")
    for record in (report, question):
        assert len(record["token_ids"]) == len(record["token_probabilities"]) <= 6
        assert sum(record["scores"]) == pytest.approx(1, abs=1e-5)
        assert not record["model"]["untrained"] and REMARK in record["notice"]
        assert record["preprocessing"]["plane"] == "coronal"
        assert record["generation"]["device"] == "cpu" and record["generation"]["seed"] is None
        assert {"read", "prepare", "first_token", "total"} <= set(record["timings_s"])
    assert report["scores"] != question["scores"]
    # coronal slices run from front to back: LPS y grows over the 90 rows of 3 mm
    ys = [place["position_lps_mm"][1] for place in report["slices"]]
    assert ys == sorted(ys) and ys[-1] - ys[0] == pytest.approx(31 / 32 * 81 * 3, abs=6)
    # rows are 5 mm apart over 20 slices, columns 2 mm over the 135 of the body
    rows, columns = report["preprocessing"]["pixel_spacing_mm"]
    _, row_count, column_count = report["volume"]["shape"]
    assert rows == pytest.approx(20 * 5 / row_count)
    assert columns == pytest.approx(135 * 2 / column_count, rel=0.03)
    with (results / "r.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 64 and {row["notice"] for row in rows} == {report["notice"]}
    assert (results / "r.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert NOTICE in ended.out and REMARK in ended.out
    assert report["answer"].strip() in ended.out and question["answer"].strip() in ended.out
    assert "slice " in ended.out and "A " in ended.out and "source slices" in ended.out
    assert "ct.nii.gz" not in (results / "r.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in (results / "r.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "question",
    [
        "What is  the diameter (\u2265 5 mm, \u00b5-CT) of the L\u00e9sion #3?\tAnswer.  ",
        "Is there any free fluid?\n<image3d>",
        "<image3d>\nWhere?",
        " leading * $HOME ~ %PATH% [bold]x[/bold] :smile: -n",
    ],
)
def test_a_question_arrives_byte_for_byte(
    run_cli: RunCli, volume: Path, tmp_path: Path, question: str
) -> None:
    ended = run_cli("ask", volume, question, "--json", tmp_path / "q.json", "--max-new-tokens", 1)
    assert ended.code == 0, ended.err
    (record,) = records_of(tmp_path / "q.json")
    assert record["question"] == question


def test_choices_get_letters_and_probabilities(
    run_cli: RunCli, volume: Path, tmp_path: Path
) -> None:
    ended = run_cli(
        "ask", volume, "Which phase?", "--choice", "arterial", "--choice", "venous",
        "--json", tmp_path / "q.json", "--max-new-tokens", 2,
    )  # fmt: skip
    (record,) = records_of(tmp_path / "q.json")
    assert record["task"] == "closed_vqa" and record["choices"] == ["arterial", "venous"]
    assert set(record["choice_probabilities"]) == {"A", "B"}
    assert sum(record["choice_probabilities"].values()) == pytest.approx(1)
    assert "A. arterial" in ended.out and "Choices: A " in ended.out


def test_questions_and_conversation_from_files(
    run_cli: RunCli, volume: Path, tmp_path: Path
) -> None:
    (tmp_path / "q.jsonl").write_text(
        '"Is it large?"\n{"question": "Which?", "choices": ["liver", "spleen"]}\n', encoding="utf-8"
    )
    turns = [{"from": "human", "value": "Which organ?"}, {"from": "gpt", "value": "The spleen. "}]
    (tmp_path / "talk.json").write_text(json.dumps(turns), encoding="utf-8")
    ended = run_cli(
        "ask", volume, "Where?", "--questions", tmp_path / "q.jsonl", "--conversation",
        tmp_path / "talk.json", "--json", tmp_path / "r.json", "--max-new-tokens", 1, "--quiet",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    records = records_of(tmp_path / "r.json")
    assert [r["question"] for r in records] == ["Where?", "Is it large?", "Which?"]
    assert records[2]["choices"] == ["liver", "spleen"]
    expected = [{"question": "Which organ?", "answer": "The spleen. "}]
    assert all(record["history"] == expected for record in records)


def test_quiet_prints_the_answers_and_the_notice_only(
    run_cli: RunCli, volume: Path, tmp_path: Path
) -> None:
    ended = run_cli(
        "ask", volume, "Where?", "Why?", "--quiet", "--json", tmp_path / "r.json",
        "--max-new-tokens", 4,
    )  # fmt: skip
    answers = [exchange.answer for exchange in read_exchanges(tmp_path / "r.json").exchanges]
    lines = ended.out.splitlines()
    assert lines == [*answers, f"{NOTICE} {REMARK}"]
    assert ended.err == ""


def test_a_warning_is_never_hidden(run_cli: RunCli, tmp_path: Path) -> None:
    ct = write_ct(tmp_path / "ct.mha")
    loud = run_cli("ask", ct, "Where?", "--max-new-tokens", 1)
    quiet = run_cli("ask", ct, "Where?", "--max-new-tokens", 1, "--quiet")
    assert "Warning: The file has no window of its own" in loud.out
    assert quiet.err.startswith("Warning: The file has no window of its own")
    assert "Warning" not in quiet.out


def test_sampling_is_repeatable_and_its_seed_is_recorded(
    run_cli: RunCli, volume: Path, tmp_path: Path
) -> None:
    def tokens(name: str, *options: object) -> tuple[list[int], int]:
        path = tmp_path / name
        common = ("--temperature", 1.5, "--max-new-tokens", 12, "--json", path)
        assert run_cli("ask", volume, "Where?", *common, *options).code == 0
        (record,) = records_of(path)
        return record["token_ids"], record["generation"]["seed"]

    first, seed = tokens("a.json")
    assert isinstance(seed, int)
    assert tokens("b.json", "--seed", seed) == (first, seed)


def test_a_negative_window_is_a_value_not_an_option(run_cli: RunCli, tmp_path: Path) -> None:
    ct = write_ct(tmp_path / "ct.nrrd")
    ended = run_cli(
        "ask", ct, "Where?", "--window", "-600,1500", "--json", tmp_path / "r.json",
        "--max-new-tokens", 1,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    window = records_of(tmp_path / "r.json")[0]["preprocessing"]["window"]
    assert (window["center"], window["width"]) == (-600, 1500)


def test_a_folder_with_one_volume_is_that_volume(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "case" / "deeper").mkdir(parents=True)
    write_ct(tmp_path / "case" / "deeper" / "ct.mha")
    ended = run_cli("ask", tmp_path / "case", "Where?", "--max-new-tokens", 1)
    assert ended.code == 0, ended.err


def test_an_ascii_terminal_shows_everything(run_fresh: RunCli, volume: Path) -> None:
    ended = run_fresh(
        "ask", volume, "Ist die L\u00e4sion \u2265 5 mm? \u4e2d", "--max-new-tokens", 2,
        PYTHONIOENCODING="ascii", PYTHONUTF8="0",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "L\\xe4sion \\u2265 5 mm? \\u4e2d" in ended.out
    assert " x uniform" in ended.out and NOTICE in ended.out
    assert ended.out.isascii() and "matplotlib" not in ended.out.splitlines()[-1]
