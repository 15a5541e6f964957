"""One small data set for all tests of this folder, and the folder of shared real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from med2e3.data import VolumeStore
from med2e3.synthetic.dataset import synthesize

SHARED = Path(
    os.environ.get("MED2E3_SHARED", Path(__file__).resolve().parents[3].parent / "shared")
)


@pytest.fixture(scope="session")
def shared() -> Path:
    if not (SHARED / "volumes" / "chest_ct_cip64.nrrd").is_file():
        pytest.skip("the folder of shared real CT is not there (MED2E3_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> VolumeStore:
    return synthesize(tmp_path_factory.mktemp("phantoms"), phantoms=72, test_phantoms=18, seed=3)


@pytest.fixture(scope="session")
def with_real(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> VolumeStore:
    return synthesize(
        tmp_path_factory.mktemp("real"),
        phantoms=2,
        composites=18,
        real=12,
        test_composites=18,
        test_real=48,
        seed=4,
        shared=shared,
    )
