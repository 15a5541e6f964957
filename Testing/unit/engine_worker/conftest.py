"""A backend with a fault built in, and the session that says what is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from unit.engine_worker.harness import FAULTY, a_backend

from med2e3.session import Session
from med2e3.weights import resolve_model


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A backend whose model has a fault."""

    def build(**fault: Any) -> Any:
        monkeypatch.setenv("MED2E3_TEST_FAULT", json.dumps(fault))
        return a_backend(command=FAULTY)

    return build


@pytest.fixture(scope="session")
def session() -> Session:
    """The same model in this process, for what the answers ought to be."""
    return Session.load(resolve_model("embedded"), device="cpu", dtype="float32")
