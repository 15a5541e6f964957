"""The store's place, its names, its locks, and removing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from med2e3.errors import InputError, WeightsError
from med2e3.weights.store import Store, store_dir


def test_chosen_folder_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MED2E3_HOME", str(tmp_path / "here"))
    assert store_dir() == tmp_path / "here"
    monkeypatch.setenv("MED2E3_HOME", "~/models")
    assert store_dir() == Path.home() / "models"


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, ".local/share/med2e3"),
        ("linux", {"XDG_DATA_HOME": "relative"}, ".local/share/med2e3"),
        ("darwin", {"XDG_DATA_HOME": "/x"}, "Library/Application Support/med2e3"),
        ("win32", {}, "AppData/Local/med2e3"),
    ],
)
def test_platform_folder(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], expected: str
) -> None:
    for name in ("MED2E3_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert store_dir() == Path.home() / expected


def test_environment_moves_the_platform_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MED2E3_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    for platform in ("linux", "win32"):
        monkeypatch.setattr(sys, "platform", platform)
        assert store_dir() == tmp_path / "med2e3"


@pytest.mark.parametrize("name", ["..", "a/b", "", "A", ".hidden", "a" * 65, "a b", "a\\b"])
def test_name_that_could_leave_the_store_is_refused(store: Store, name: str) -> None:
    for use in (store.model, store.partial, store.first_use):
        with pytest.raises(InputError):
            use(name)


def test_folder_without_manifest_is_not_installed(store: Store) -> None:
    store.model("m").mkdir(parents=True)
    (store.model("m") / "model.safetensors").write_bytes(b"x")
    assert store.installed_names() == []
    (store.model("m") / "install.json").write_text("{}")
    assert store.installed_names() == ["m"]


def test_remove_frees_model_and_unfinished_download(store: Store) -> None:
    for folder, size in ((store.model("m"), 10), (store.partial("m"), 5)):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * size)
    assert store.remove("m") == 15
    assert not store.model("m").exists()
    assert not store.partial("m").exists()
    with pytest.raises(InputError, match="not installed"):
        store.remove("m")


def test_remove_keeps_what_the_first_download_was_like_unless_told(store: Store) -> None:
    store.first_use("m").parent.mkdir(parents=True)
    store.first_use("m").write_text("{}")
    store.model("m").mkdir(parents=True)
    store.remove("m")
    assert store.first_use("m").is_file()
    store.remove("m", forget=True)
    assert not store.first_use("m").exists()


def test_model_in_use_is_not_removed(store: Store) -> None:
    store.model("m").mkdir(parents=True)
    with store.locked("m"), pytest.raises(WeightsError, match="Another program"):
        store.remove("m")
    assert store.model("m").exists()


def test_store_that_is_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    store = Store(tmp_path / "file")
    with pytest.raises(WeightsError, match="cannot be written") as caught, store.locked("m"):
        pass
    assert "MED2E3_HOME" in caught.value.hint
