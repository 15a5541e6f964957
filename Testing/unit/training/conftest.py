"""Training data and a trained miniature model, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures.miniature import write_recipe
from fixtures.tiny_data import make_tiny_data
from med2e3.data import VolumeStore
from med2e3.training.recipe import load_recipe
from med2e3.training.run import train


@dataclass(frozen=True)
class Trained:
    """A finished training run: its folder, and the folder of the model it left."""

    output: Path
    model: Path
    said: tuple[str, ...]


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> VolumeStore:
    return make_tiny_data(tmp_path_factory.mktemp("training") / "data")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_store: VolumeStore) -> Trained:
    """All four stages, one after the other."""
    folder = tmp_path_factory.mktemp("trained")
    recipe = load_recipe(write_recipe(folder / "recipe.yaml"))
    said: list[str] = []
    model = train(recipe, folder / "run", data=tiny_store.root, say=said.append)
    return Trained(folder / "run", model, tuple(said))
