"""Fixtures shared by all suites."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]

# a slow or busy computer is no failure
settings.register_profile("untimed", parent=settings.default, deadline=None)
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Let Ctrl-C reach the programs that tests start, also where a shell started us in the back.

    A shell that runs a command in the background has it ignore SIGINT, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of volumes and oracle checkpoints: MED2E3_SHARED, or ``../shared``."""
    folder = Path(os.environ.get("MED2E3_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("the shared test data is not there; MED2E3_SHARED tells where it is")
    return folder
