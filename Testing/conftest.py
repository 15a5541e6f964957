"""Fixtures shared by all suites."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of volumes and oracle checkpoints: MED2E3_SHARED, or ``../shared``."""
    folder = Path(os.environ.get("MED2E3_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("the shared test data is not there; MED2E3_SHARED tells where it is")
    return folder
