"""The version, the doctor, signs for poor terminals, questions from files."""

from __future__ import annotations

import getpass
import io
import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from unit.cli.cli_harness import RunCli

import med2e3
from med2e3.cli.findings import network_settings
from med2e3.cli.glyphs import Glyphs, harmless
from med2e3.cli.questions import read_conversation, read_questions
from med2e3.model_info import read_model_info


def test_version_and_help(run_cli: RunCli) -> None:
    assert run_cli("--version").out == f"med2e3 {med2e3.__version__}\n"
    help_text = run_cli("ask", "--help").out
    for option in ("--choice", "--model", "--window", "--plane", "--json", "--figure", "--csv"):
        assert option in help_text
    commands = run_cli("--help").out
    assert all(name in commands for name in ("report", "ask", "doctor", "models"))


def test_importing_the_command_imports_nothing_heavy(run_fresh: RunCli) -> None:
    assert run_fresh("--version").out.splitlines() == [f"med2e3 {med2e3.__version__}", "loaded:"]


def test_the_doctor_tells_what_runs_and_nothing_personal(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://secret-user:secret-word@proxy.example:8080")
    text = run_cli("doctor")
    assert text.code == 0
    for word in ("torch", "CPU cores", "Memory", "Device chosen", "Published model", "HTTPS_PROXY"):
        assert word in text.out
    findings = json.loads(run_cli("doctor", "--json").out)
    assert findings["models"]["embedded"] > 0 and findings["memory_total"] > 0
    assert findings["network"]["HTTPS_PROXY"] is True
    shown = text.out + json.dumps(findings)
    personal = {"secret", "proxy.example", str(Path.home()), os.environ["MED2E3_HOME"]}
    personal |= {name for name in (platform.node(), getpass.getuser()) if len(name) > 4}
    assert not [word for word in personal if word in shown]


def test_network_settings_in_lower_case_count_too() -> None:
    found = network_settings({"http_proxy": "x", "NO_PROXY": ""})
    assert found["HTTP_PROXY"] and not found["NO_PROXY"] and not found["HF_ENDPOINT"]


@pytest.mark.parametrize(
    ("encoding", "dot", "block"),
    [("utf-8", "\u00b7", "\u2588"), ("cp1252", "\u00b7", "#"), ("ascii", "-", "#")],
)
def test_signs_follow_the_encoding(encoding: str, dot: str, block: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    glyphs = Glyphs.of(stream)
    bars = glyphs.bars([0.0, 0.5, 1.0])
    assert glyphs.dot == dot and len(bars) == 3 and bars[-1] == block
    stream.write(glyphs.dot + glyphs.dash + glyphs.times + bars)
    stream.flush()
    assert glyphs.bars([]) == "" and glyphs.bars([0.0, 0.0]) == 2 * glyphs.levels[0]


def test_terminal_commands_in_an_answer_are_taken_out() -> None:
    assert harmless("a\x1b[31mb\x07\r\n\tc\x9b") == "a[31mb\n\tc"


def test_question_files_keep_every_byte_of_a_question(tmp_path: Path) -> None:
    text = tmp_path / "q.txt"
    text.write_bytes("\ufeff Is  it large? \r\n\r\nGr\u00f6\u00dfe\t?".encode())
    assert [q.text for q in read_questions(text)] == [" Is  it large? ", "Gr\u00f6\u00dfe\t?"]
    lines = tmp_path / "q.jsonl"
    lines.write_text('{"question": "Q\\nR ", "task": "report"}\n', encoding="utf-8")
    (question,) = read_questions(lines)
    assert question.text == "Q\nR " and question.resolved_task == "report"
    lines.write_text('"One\u2028line?"\r\n"Two\x85too?"\n', encoding="utf-8")
    assert [q.text for q in read_questions(lines)] == ["One\u2028line?", "Two\x85too?"]


def test_an_open_last_turn_is_the_question(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "<image3d>\nWhich organ is affected?"},
        {"from": "gpt", "value": "The spleen. "},
        {"from": "human", "value": "Where is the lesion located?"},
    ]
    path = tmp_path / "talk.json"
    path.write_text(json.dumps({"id": "x", "conversations": turns}), encoding="utf-8")
    history, question = read_conversation(path)
    assert [(turn.question, turn.answer) for turn in history] == [
        ("<image3d>\nWhich organ is affected?", "The spleen. ")
    ]
    assert question == "Where is the lesion located?"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT for one child process")
def test_ctrl_c_at_a_question_stops_the_command() -> None:
    terminal, stdin = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "med2e3.cli.main", "models", "remove", "some-model"],
        stdin=stdin,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        shown = b""
        while b"?" not in shown:
            shown += os.read(process.stderr.fileno(), 1000)
        for _ in range(12):
            # a signal in the instant before the process waits for a line is seen after that line
            # only; a person would press the keys again
            process.send_signal(signal.SIGINT)
            try:
                _, err = process.communicate(timeout=10)
                break
            except subprocess.TimeoutExpired:
                continue
        else:
            pytest.fail("Ctrl-C did not stop the command")
    finally:
        os.close(terminal)
        os.close(stdin)
    assert process.returncode == 130 and b"Stopped on request" in err, err


def test_the_size_of_a_model_counts_numbers_as_they_are_stored(tmp_path: Path) -> None:
    vision = {"image_size": [32, 256, 256]}
    (tmp_path / "model.safetensors").write_bytes(bytes(4000))
    for dtype, parameters in (("float32", 1000), ("bfloat16", 2000), ("float16", 2000)):
        config = {"model_type": "med2e3", "dtype": dtype, "vision_3d_config": vision}
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        assert read_model_info(tmp_path).parameters == parameters
