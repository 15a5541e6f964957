"""``--engine``: the same answers and records as in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.cli.cli_harness import RunCli
from unit.engine.real_model import model_service

from fixtures.engine_service import TOKEN


def test_an_engine_elsewhere_gives_the_same_record(
    run_cli: RunCli, volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here.json", tmp_path / "there.json"
    words = ["ask", volume, "Which plane?", "Which region?", "--max-new-tokens", "6"]
    one = run_cli(*words, "--device", "cpu", "--dtype", "float32", "--json", here)
    with model_service() as service:
        monkeypatch.setenv("MED2E3_TOKEN", TOKEN)
        other = run_cli(*words, "--engine", service.address, "--json", there)
        assert service.backend.status().volumes == 0, "the volume was given up at the end"
        assert run_cli(*words, "--engine", service.address, "--model", "x").code == 2
        monkeypatch.setenv("MED2E3_TOKEN", "wrong")
        refused = run_cli(*words, "--engine", service.address)
    assert (one.code, other.code) == (0, 0), other.err
    assert one.out.replace("here.json", "") == other.out.replace("there.json", "")
    records = [json.loads(path.read_text())["exchanges"] for path in (here, there)]
    assert len(records[0]) == 2
    for exchange in (*records[0], *records[1]):
        for differs in ("timings_s", "created"):
            del exchange[differs]
    assert records[0] == records[1]
    assert refused.code == 1
    assert "token is wrong" in refused.err


def test_without_a_token_nothing_is_sent(
    run_cli: RunCli, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MED2E3_TOKEN", raising=False)
    ended = run_cli("report", volume, "--engine", "http://127.0.0.1:1")
    assert ended.code == 2
    assert "token is missing" in ended.err
