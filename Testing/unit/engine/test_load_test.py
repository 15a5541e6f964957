"""The load test counts answers, tokens and errors as they were."""

from __future__ import annotations

import sys

import pytest
from unit.engine.conftest import Start

from fixtures.engine_service import TOKEN, Service, SteppedBackend
from med2e3.cli.load_test import Measured, summary
from med2e3.cli.main import main
from med2e3.errors import ResourceError


def run(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    monkeypatch.setenv("MED2E3_TOKEN", TOKEN)
    options = ["--clients", "3", "--questions", "4", "--volumes", "2"]
    monkeypatch.setattr(sys, "argv", ["med2e3", "load-test", service.address, *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


def test_all_answers_are_counted(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    service = start(SteppedBackend(tokens=5))
    code, out = run(service, monkeypatch, capsys)
    assert code == 0
    assert "answers 12," in out
    assert "tokens 60," in out
    assert "errors 0" in out
    assert len(service.backend.volumes) == 2


def test_errors_are_counted_by_code(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = ResourceError("Too little memory.")
    code, out = run(start(SteppedBackend(failure=failure)), monkeypatch, capsys)
    assert code == 1
    assert "answers 0," in out
    assert f"{failure.code}: 12" in out


def test_percentiles_are_of_all_clients() -> None:
    many = [Measured([1.0, 2.0], [2.0, 3.0], 4), Measured([3.0], [4.0], 6)]
    lines = summary(many, 2.0)
    assert lines[1].split() == ["first", "token", "2.000", "2.800", "2.980", "3.000"]
    assert lines[2].split()[2] == "3.000"
    assert lines[3] == "answers 3, 1.50 per second"
    assert lines[4] == "tokens 10, 5.0 per second"
