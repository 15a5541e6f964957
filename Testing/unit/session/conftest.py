"""A small random model and a volume for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fixtures.random_model import build
from med2e3.session import Session


@dataclass(frozen=True)
class Voxels:
    """What a session needs of a volume."""

    voxels: np.ndarray
    sha256: str


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "random"
    build(folder)
    return folder


@pytest.fixture
def a_session(model_folder: Path) -> Session:
    return Session.load(model_folder, device="cpu", dtype="float32")


def a_volume(seed: int, size: tuple[int, int, int] = (32, 64, 64)) -> Voxels:
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.1, 1, size[0], dtype=np.float32)[:, None, None]
    return Voxels(rng.random(size, dtype=np.float32) * ramp, f"volume {seed}")


@pytest.fixture
def volume() -> Voxels:
    return a_volume(1)


@pytest.fixture
def other_volume() -> Voxels:
    return a_volume(2)
