"""What cannot be used gets one sentence and exit code 2, before torch is imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.cli.cli_harness import Ended, RunCli, write_npy


def is_a_sentence(ended: Ended) -> bool:
    lines = ended.err.strip().splitlines()
    return (
        "Traceback" not in ended.err
        and 1 <= len(lines) <= 3
        and any(line.startswith("Error: ") and line.rstrip().endswith(".") for line in lines)
    )


BAD_OPTIONS = {
    "no question": [],
    "empty question": ["  "],
    "one choice": ["Which?", "--choice", "A"],
    "choices for two questions": ["One?", "Two?", "--choice", "a", "--choice", "b"],
    "two image marks": ["<image3d> where is <image3d>"],
    "window": ["Where?", "--window", "purple"],
    "window width": ["Where?", "--window", "40,-1"],
    "plane": ["Where?", "--plane", "diagonal"],
    "slice order": ["Where?", "--slice-order", "random"],
    "device": ["Where?", "--device", "abacus"],
    "dtype": ["Where?", "--dtype", "int3"],
    "model": ["Where?", "--model", "no-such-model"],
    "length": ["Where?", "--max-new-tokens", "0"],
    "temperature": ["Where?", "--temperature", "-1"],
    "top p": ["Where?", "--top-p", "0"],
    "figure": ["Where?", "--figure", "picture.jpeg"],
    "questions file": ["--questions", "absent.txt"],
    "conversation file": ["Where?", "--conversation", "absent.json"],
    "figure name too long": ["Where?", "--figure", "x" * 5000 + ".png"],
    "results and files": ["Where?", "--output", "results", "--json", "a.json"],
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_bad_options(
    run_cli: RunCli, volume: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run_cli("ask", volume, *BAD_OPTIONS[name])
    assert ended.code == 2 and is_a_sentence(ended), ended
    assert ended.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", "absent.nii.gz", "Where?"],
        ["ask", "broken.nii.gz", "Where?"],
        ["ask", "empty", "Where?"],
        ["ask", "x" * 5000, "Where?"],
        ["ask", "two", "Where?"],
        ["report", "scan.npy", "--json", "folder/below/file.npy/x.json", "--window", "40"],
        ["report", "scan.npy", "--json", "scan.npy"],
        ["report", "scan.npy", "--json", "same.out", "--csv", "same.out"],
        ["report", "scan.npy", "--json", "empty"],
        ["ask", "scan.npy", "Where?", "--no-such-option"],
        ["ask", "scan.npy", "Where?", "--max-new-tokens", "many"],
    ],
    ids=lambda arguments: " ".join(arguments[:2] + arguments[3:])[:40],
)
def test_bad_input_never_loads_torch(
    run_fresh: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_npy(tmp_path / "scan.npy")
    before = (tmp_path / "scan.npy").read_bytes()
    write_npy(tmp_path / "two" / "a.npy")
    write_npy(tmp_path / "two" / "b.npy")
    (tmp_path / "broken.nii.gz").write_bytes(b"\x89PNG\r\n\x1a\n" * 9)
    (tmp_path / "empty").mkdir()
    ended = run_fresh(*arguments)
    assert ended.code == 2, ended
    assert "Traceback" not in ended.err and ended.err.strip()
    assert ended.out == "loaded:\n"
    assert (tmp_path / "scan.npy").read_bytes() == before


def test_every_odd_file_is_refused_in_a_sentence(run_cli: RunCli, shared_dir: Path) -> None:
    odd = sorted((shared_dir / "volumes" / "odd").iterdir())
    assert odd
    for path in odd:
        if path.name == "made_no_orientation_codes.nii.gz":
            continue  # it can be used as it is stored: see below
        ended = run_cli("ask", path, "Where?", "--max-new-tokens", 1)
        assert ended.code == 2, (path.name, ended)
        assert is_a_sentence(ended), (path.name, ended)


def test_a_published_checkpoint_must_be_converted_first(
    run_cli: RunCli, volume: Path, shared_dir: Path
) -> None:
    ended = run_cli("ask", volume, "Where?", "--model", shared_dir / "oracle" / "A" / "checkpoint")
    assert ended.code == 2 and "models convert" in ended.err


@pytest.mark.parametrize(
    "message",
    [
        "while reading {folder}/ct.nii",
        "while reading {folder}/Jane Mary Doe/ct.nii",
        "while reading data/Doe_John/ct.nii",
        "bad option --model=/data/secret/Doe",
        "~/Doe/ct.nii and [/mnt/Doe, /mnt/Jane]",
        "[Errno 13] Permission denied: '{folder}/Jane Mary Doe/ct.nii'",
        '[Errno 13] Permission denied: "Jane\'s data/Doe/ct.nii"',
        "[WinError 32] used by another process: 'C:\\\\Users\\\\Jane Doe\\\\ct.nii'",
        "cannot open D:\\Jane Mary\\Doe\\ct.nii",
        "cannot open \\\\server\\Jane Mary\\ct.nii",
    ],
)
def test_an_unexpected_error_is_a_sentence_and_a_log(
    run_cli: RunCli,
    volume: Path,
    a_store_of_its_own: Path,
    monkeypatch: pytest.MonkeyPatch,
    message: str,
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise ZeroDivisionError(message.format(folder=volume.parent))

    monkeypatch.setattr("med2e3.cli.run.read_volume", explode)
    ended = run_cli("ask", volume, "Where?")
    assert ended.code == 1 and is_a_sentence(ended)
    (log,) = (a_store_of_its_own / "logs").iterdir()
    content = log.read_text(encoding="utf-8")
    assert "ZeroDivisionError: " in content and "Traceback" in content
    assert 'File "med2e3/cli/run.py", line' in content
    assert log.name in ended.err
    private = ("Doe", "Jane", "secret", "ct.nii", str(volume.parent), str(Path.home()))
    assert not [word for word in private if word in content]
    shown = run_cli("--debug", "ask", volume, "Where?")
    assert shown.code == 1 and "Traceback" in shown.err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.json", "{"),
        ("q.json", "[]"),
        ("q.json", '{"question": "Where?"}'),
        ("q.json", "[7]"),
        ("q.json", '[{"question": "Where?", "choices": "a"}]'),
        ("q.json", '[{"question": "Where?", "task": "poem"}]'),
        ("q.jsonl", '"Where?"\nWhere?\n'),
        ("q.txt", "\n \n"),
        ("q.txt", b"\xff\xfe"),
    ],
)
def test_bad_question_files(
    run_cli: RunCli, volume: Path, tmp_path: Path, name: str, content: str | bytes
) -> None:
    raw = content if isinstance(content, bytes) else content.encode("utf-8")
    (tmp_path / name).write_bytes(raw)
    ended = run_cli("ask", volume, "--questions", tmp_path / name)
    assert ended.code == 2 and is_a_sentence(ended), ended


@pytest.mark.parametrize(
    "turns",
    [
        [],
        {},
        [{"from": "gpt", "value": "Hello."}],
        [{"from": "human", "value": 3}, {"from": "gpt", "value": "x"}],
        [{"from": "human", "value": "a"}, {"from": "human", "value": "b"}],
        ["a"],
    ],
)
def test_bad_conversations(run_cli: RunCli, volume: Path, tmp_path: Path, turns: object) -> None:
    path = tmp_path / "talk.json"
    path.write_text(json.dumps(turns), encoding="utf-8")
    ended = run_cli("ask", volume, "Where?", "--conversation", path)
    assert ended.code == 2 and is_a_sentence(ended), ended


def test_too_long_a_question_is_refused_before_the_first_is_answered(
    run_cli: RunCli, volume: Path
) -> None:
    ended = run_cli("ask", volume, "Where?", "word " * 3000, "--quiet")
    assert ended.code == 2 and "too long" in ended.err and ended.out == ""
