"""What the tests of downloading share: a hub, a store of their own, a small catalogue entry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.weights.hub_server import Hub, running_hub
from unit.weights.tiny_model import entry_of

from med2e3.weights.catalogue import CatalogueEntry, FileRule
from med2e3.weights.store import Store, store_dir


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or changes the person's store, token, proxy or mirror."""
    for name in list(os.environ):
        if name.startswith("HF_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MED2E3_HOME", str(tmp_path / "store"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as server:
        yield server


@pytest.fixture
def store() -> Store:
    return Store(store_dir())


@pytest.fixture
def tiny_files() -> dict[str, bytes]:
    """A model that needs no conversion: a large and a small file, and some that are not ours."""
    return {
        "config.json": b'{"model_type": "tiny"}\n',
        "model.safetensors": bytes(range(256)) * 12_000,
        "modeling_tiny.py": b"raise SystemExit('code of a hub was run')\n",
        "README.md": b"not needed\n",
    }


@pytest.fixture
def entry() -> CatalogueEntry:
    return entry_of(FileRule("config.json", True), FileRule("model.safetensors", True))
