"""A random model, a small store, and the command line in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from unit.cli.cli_harness import Ended, RunCli
from unit.evaluation.evaluation_data import make_store

from fixtures.random_model import build
from med2e3.cli.main import main
from med2e3.data.store import VolumeStore
from med2e3.session import Session


@pytest.fixture(autouse=True)
def a_home_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MED2E3_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("MED2E3_DEBUG", "0")


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "random"
    build(folder)
    return folder


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> VolumeStore:
    return make_store(tmp_path_factory.mktemp("data") / "small")


@pytest.fixture(scope="session")
def session(model_folder: Path) -> Session:
    return Session.load(model_folder, device="cpu", dtype="float32")


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunCli:
    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["med2e3", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, shown.out, shown.err)

    return run
