"""The checks' sentences and levels at their thresholds."""

from __future__ import annotations

from pathlib import PureWindowsPath

import pytest

GIB = 1024**3


@pytest.fixture
def checks(application):
    from med2e3_slicer.install import checks

    return checks


def test_the_graphics_card(checks):
    gpus = checks.parse_gpus("NVIDIA T400, 580.10, 4096\nNVIDIA L4, 580.10, 23034\nnonsense\n")
    assert [gpu.memory for gpu in gpus] == [4096 * 1024**2, 23034 * 1024**2]
    assert checks.check_gpu(gpus).level.value == "good"
    assert "NVIDIA L4, driver 580.10" in checks.check_gpu(gpus).sentence
    assert "too little" in checks.check_gpu(gpus[:1]).sentence
    assert "quantized" in checks.check_gpu([checks.Gpu("A", "1", 8 * GIB)]).sentence
    for none in (None, [], checks.parse_gpus("No devices were found")):
        assert checks.check_gpu(none).level.value == "note"


def test_memory_and_disk(checks):
    assert checks.check_memory(32 * GIB).level.value == "good"
    assert checks.check_memory(8 * GIB).level.value == "note"
    assert checks.check_memory(None).level.value == "note"
    assert checks.check_disk(10, 10).level.value == "good"
    assert checks.check_disk(9, 10).level.value == "stop"
    assert checks.check_disk(None, 10).level.value == "stop"


def test_long_paths_stop_windows_only(checks):
    folder = PureWindowsPath("C:/" + "a" * 77)
    assert checks.check_path(folder, "win32").level.value == "stop"
    assert checks.check_path(folder, "linux").level.value == "good"
    assert checks.check_path(PureWindowsPath("C:/" + "a" * 76), "win32").level.value == "good"


def test_a_proxy_is_named_without_its_password(checks):
    said = checks.check_proxy({"https_proxy": "http://person:secret@proxy:8080", "A": "b"})
    assert "HTTPS_PROXY" in said.sentence
    assert "secret" not in said.sentence
    assert "HTTPS_PROXY" in checks.check_proxy({}).sentence


def test_a_folder_that_cannot_be_made(application, tmp_path):
    from med2e3_slicer.install import SetUp
    from med2e3_slicer.install.measuring import free_disk, total_memory

    (tmp_path / "file").write_text("")
    assert free_disk(tmp_path / "file" / "engine") is None
    assert free_disk(tmp_path / "a" / "b") > 0
    assert total_memory() > 0
    found = SetUp(tmp_path / "file" / "engine").check()
    assert [check.name for check in found] == ["gpu", "memory", "disk", "path", "proxy"]
    assert found[2].level.value == "stop"
