"""The environment is built by the real uv from a folder of wheels: whole, or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from install_kit import PATIENCE_S, make_wheel, tiny_set_up

REPOSITORY = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")

needs_uv = pytest.mark.skipif(
    not UV.is_file() and shutil.which("uv") is None, reason="the program uv is not installed"
)


@pytest.fixture(autouse=True)
def _uv_on_path(monkeypatch):
    monkeypatch.setenv("PATH", f"{UV.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def wheels(tmp_path):
    folder = tmp_path / "wheels"
    make_wheel(folder, "tinylung", "SLICES = 32\n", needs=("tinyhelper",))
    make_wheel(folder, "tinyhelper", "HELP = True\n")
    return folder


@needs_uv
def test_it_is_built_from_a_folder_counted_and_removed(application, tmp_path, wheels):
    set_up = tiny_set_up(tmp_path, "tinylung")
    assert set_up.state.value == "absent"
    assert set_up.python is None
    told = []
    python = set_up.build(offline=wheels, on_progress=lambda text, part: told.append(text))
    answer = subprocess.run(
        [python, "-c", "import tinylung, tinyhelper; print(tinylung.SLICES)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert answer.stdout.split() == ["32"]
    assert set_up.state.value == "ready"
    assert not set_up.places.cache.exists()
    assert any("Installed 2 packages" in line for line in told)
    assert tiny_set_up(tmp_path, "tinylung").python == python  # after a restart, too
    assert tiny_set_up(tmp_path, "tinylung", "tinyhelper").state.value == "outdated"

    counted = []
    set_up.count_async(counted.extend, counted.append)
    application.wait_until(lambda: counted, PATIENCE_S)
    environment = counted[0]
    assert environment.folder == set_up.places.environment
    assert environment.files > 5
    assert environment.bytes > 1000
    set_up.remove()
    assert set_up.state.value == "absent"
    assert not python.exists()


@needs_uv
def test_a_cancelled_build_is_continued(application, tmp_path, wheels):
    set_up = tiny_set_up(tmp_path, "tinylung")
    ends, told = [], []

    def progress(sentence, _fraction):
        told.append(sentence)
        if sentence == "Installing packages":
            application.qt.QTimer.singleShot(0, set_up.cancel)

    set_up.build_async(ends.append, offline=wheels, on_progress=progress)
    assert set_up.is_busy
    with pytest.raises(Exception, match="busy already"):
        set_up.build_async(ends.append, offline=wheels)
    application.wait_until(lambda: ends, PATIENCE_S)
    assert ends[0].code == "cancelled"
    assert not set_up.is_busy
    again = tiny_set_up(tmp_path, "tinylung")  # as after a restart of Slicer
    assert again.state.value == "partial"
    assert again.python is None
    again.build(offline=wheels)
    assert again.state.value == "ready"


@needs_uv
def test_a_damaged_half_of_an_environment_is_made_anew(application, tmp_path, wheels):
    set_up = tiny_set_up(tmp_path, "tinylung")
    python = set_up.build(offline=wheels)
    module = next(set_up.places.environment.rglob("tinylung.py"))
    module.unlink()  # its metadata say that it is installed
    set_up.places.stamp.unlink()
    set_up.build(offline=wheels)
    subprocess.run([python, "-c", "import tinylung"], check=True)


@needs_uv
def test_packages_that_do_not_work_are_no_engine(application, tmp_path):
    folder = tmp_path / "wheels"
    make_wheel(folder, "tinybroken", "raise OSError('no such library')\n")
    set_up = tiny_set_up(tmp_path, "tinybroken")
    with pytest.raises(Exception, match="Trying the packages") as caught:
        set_up.build(offline=folder)
    assert "no such library" in caught.value.detail
    assert set_up.python is None


@needs_uv
def test_a_folder_that_lacks_a_package_is_told(application, tmp_path, wheels):
    (wheels / "tinyhelper-1.0-py3-none-any.whl").unlink()
    set_up = tiny_set_up(tmp_path, "tinylung")
    with pytest.raises(Exception, match="the folder lacks packages") as caught:
        set_up.build(offline=wheels)
    assert "tinyhelper" in caught.value.detail
    assert set_up.state.value == "partial"


def test_a_wrong_folder_and_a_full_disk_are_refused_before_anything(application, tmp_path):
    set_up = tiny_set_up(tmp_path, "tinylung")
    with pytest.raises(Exception, match="holds no packages"):
        set_up.build(offline=tmp_path / "nowhere")
    full = tiny_set_up(tmp_path, "tinylung", disk_bytes=10**18)
    with pytest.raises(Exception, match="are needed"):
        full.build()
    assert not (tmp_path / "engine").exists()


def test_the_list_of_packages_is_that_of_the_project(application):
    from med2e3_slicer.install import Recipe

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    lines = Recipe().requirements.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == project["project"][
        "dependencies"
    ]


def test_without_leave_no_uv_is_fetched(application, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    set_up = tiny_set_up(tmp_path, "tinylung")
    assert set_up.needs_uv
    with pytest.raises(Exception, match="uv is not on this computer"):
        set_up.build()
