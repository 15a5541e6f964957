"""The module runs from what Slicer packages, with and without a main window."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.start import missing

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
MODULE = REPOSITORY / "Med2E3Slicer"


def listed_files():
    """What Med2E3Slicer/CMakeLists.txt names, read by the tool that writes it."""
    tool = REPOSITORY / "Testing" / "tools" / "update_cmake_lists.py"
    specification = importlib.util.spec_from_file_location("update_cmake_lists", tool)
    lists = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(lists)
    text = lists.CMAKE_FILE.read_text(encoding="utf-8")
    return [*lists.listed_files(lists.SCRIPTS, text), *lists.listed_files(lists.RESOURCES, text)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder like Slicer's: scripts and resources of the module, and nothing else."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("Slicer") / "lib" / "Slicer-5.12" / "qt-scripted-modules"
    for name in listed_files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(MODULE / name, target)
    return folder


@pytest.mark.parametrize("window", [True, False], ids=["main window", "no main window"])
def test_the_module_runs_from_the_listed_files(installed, window):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {
        "PYTHONPATH": str(HERE),
        "QT_QPA_PLATFORM": "offscreen",
        "MED2E3_SCREENSHOTS": os.environ.get("MED2E3_SCREENSHOTS", str(HERE / "screenshots")),
    }
    arguments = [] if window else ["--no-main-window"]
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "harness.run_module",
            str(installed / "Med2E3Slicer.py"),
            *arguments,
        ],
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["title"] == "Med2E3Slicer"
    assert told["icon"]
    assert told["children"] > 10
    assert told["heavy"] == []
    assert told["files"]
    assert all(Path(file).is_relative_to(installed.resolve()) for file in told["files"])
