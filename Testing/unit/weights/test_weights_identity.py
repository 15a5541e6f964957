"""Finding a model, naming it exactly, and noticing damage."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from med2e3.errors import CheckpointError, InputError, WeightsError
from med2e3.weights import model_identity, resolve_model
from med2e3.weights.manifest import (
    Manifest,
    Origin,
    damaged_files,
    measure,
    read_manifest,
    write_manifest,
)
from med2e3.weights.store import Store

COMMIT = "c" * 40


@pytest.fixture
def installed(store: Store) -> Path:
    folder = store.model("m")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    origin = Origin("a/b", COMMIT, {})
    write_manifest(folder, Manifest("m", (origin,), measure(folder)))
    return folder


def same_time(path: Path, content: bytes) -> None:
    """Change a file of the same size without changing its time."""
    stat = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_installed_name(installed: Path) -> None:
    assert resolve_model("m") == installed


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert resolve_model(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["~nobody-of-this-name/x", "a" * 4096])
def test_what_cannot_be_a_folder_is_no_model(name: str) -> None:
    with pytest.raises(InputError, match="There is no model or folder"):
        resolve_model(name)


def test_embedded() -> None:
    folder = resolve_model("embedded")
    assert folder.name == "Med2E3-embedded"
    identity = model_identity(folder)
    content = (folder / "model.safetensors").read_bytes()
    assert identity.name == "embedded"
    assert identity.revision is not None
    assert identity.revision.startswith("med2e3 ")
    assert identity.sha256 == hashlib.sha256(content).hexdigest()


def test_published_layout_must_be_converted(shared_dir: Path) -> None:
    with pytest.raises(CheckpointError, match="models convert"):
        resolve_model(str(shared_dir / "oracle" / "A" / "checkpoint"))


def test_catalogue_name_that_is_not_installed() -> None:
    with pytest.raises(InputError, match="med2e3 models download med2e3-m3d"):
        resolve_model("med2e3-m3d")


def test_unknown_model_lists_what_there_is(installed: Path, tmp_path: Path) -> None:
    secret = tmp_path / "Patient Doe" / "model"
    with pytest.raises(InputError, match="installed: embedded, m") as caught:
        resolve_model(str(secret))
    assert "Doe" not in str(caught.value)


def test_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json"):
        resolve_model(str(tmp_path))


def test_identity_of_an_installed_model(installed: Path) -> None:
    identity = model_identity(installed)
    assert (identity.name, identity.revision) == ("m", COMMIT)
    assert identity.sha256 == hashlib.sha256(b"weights").hexdigest()


def test_identity_is_not_measured_again_while_size_and_time_are_the_same(installed: Path) -> None:
    before = model_identity(installed)
    same_time(installed / "model.safetensors", b"WEIGHTS")
    assert model_identity(installed) == before


def test_identity_follows_the_file_when_its_time_changes(installed: Path) -> None:
    weights = installed / "model.safetensors"
    weights.write_bytes(b"WEIGHTS")
    os.utime(weights, ns=(1, 1))
    expected = hashlib.sha256(b"WEIGHTS").hexdigest()
    assert model_identity(installed).sha256 == expected
    same_time(weights, b"weights")
    assert model_identity(installed).sha256 == expected, "not remembered"
    manifest = read_manifest(installed)
    assert manifest is not None
    assert "model.safetensors" not in damaged_files(installed, manifest)
    weights.write_bytes(b"WEIGHTS")
    assert "model.safetensors" in damaged_files(installed, manifest), "verify believed the cache"


def test_identity_of_several_files(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.safetensors").write_bytes(name.encode())
    lines = "".join(
        f"{hashlib.sha256(name.encode()).hexdigest()}  {name}.safetensors\n" for name in "ab"
    )
    identity = model_identity(tmp_path)
    assert identity.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert identity.revision is None


def test_a_folder_of_a_person_is_named_by_its_title(tmp_path: Path) -> None:
    folder = tmp_path / "jane-doe-study"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    assert model_identity(folder).name == "local model"
    vision = {"image_size": [32, 256, 256]}
    config = {"model_type": "med2e3", "title": "Spine 2", "vision_3d_config": vision}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert model_identity(folder).name == "Spine 2"
    write_manifest(folder, Manifest(folder.name, (), measure(folder)))  # as after `models convert`
    assert model_identity(folder).name == "Spine 2"


def test_identity_without_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no weights"):
        model_identity(tmp_path)


def test_every_kind_of_damage_is_named(installed: Path) -> None:
    manifest = read_manifest(installed)
    assert manifest is not None
    assert damaged_files(installed, manifest) == {}
    same_time(installed / "model.safetensors", b"WEIGHTS")
    (installed / "config.json").write_text("{ }")
    assert damaged_files(installed, manifest) == {
        "config.json": "has 3 bytes instead of 2",
        "model.safetensors": "has another content than the one installed",
    }
    (installed / "config.json").unlink()
    assert damaged_files(installed, manifest)["config.json"] == "is missing"


def test_manifest_that_cannot_be_understood(installed: Path) -> None:
    for content in ("", "[]", '{"schema_version": 2}', '{"schema_version": 1, "x": 1}'):
        (installed / "install.json").write_text(content)
        with pytest.raises(WeightsError, match="cannot be understood"):
            read_manifest(installed)
