"""Running the command line as a person does, in this process or in a fresh one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from unit.cli.cli_harness import Ended, RunCli, write_npy

from med2e3.cli.main import main


@pytest.fixture(autouse=True)
def a_store_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    store = tmp_path_factory.mktemp("store")
    monkeypatch.setenv("MED2E3_HOME", str(store))
    monkeypatch.setenv("MED2E3_DEBUG", "0")  # what --debug sets is taken back at the end
    return store


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunCli:
    """Run ``med2e3`` in this process; torch stays loaded between tests."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["med2e3", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Ended(code, shown.out, shown.err)

    return run


@pytest.fixture
def run_fresh() -> RunCli:
    """Run ``med2e3`` in a process of its own; its last line tells which heavy modules it loaded."""

    def run(*arguments: object, **environment: str) -> Ended:
        code = (
            "import sys; from med2e3.cli.main import main\n"
            "try: main()\n"
            "finally:\n"
            "    heavy = {'torch', 'transformers', 'matplotlib.pyplot'} & set(sys.modules)\n"
            "    print('loaded:', *sorted(heavy))\n"
        )
        result = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True,
            encoding=environment.pop("encoding", "utf-8"),
            env=os.environ | environment,
            check=False,
        )
        return Ended(result.returncode, result.stdout, result.stderr)

    return run


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return write_npy(tmp_path / "scan.npy")
