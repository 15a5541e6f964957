"""One worker for all tests, and the session that says what is right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from unit.engine_worker.harness import Worker

from med2e3.session import Session
from med2e3.weights import resolve_model


@pytest.fixture(scope="session")
def shared_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    worker = Worker(tmp_path_factory.mktemp("worker"))
    worker.run(worker.backend.start())
    yield worker
    worker.close()


@pytest.fixture
def worker(shared_worker: Worker) -> Worker:
    """The worker with the embedded model, whatever the test before did to it."""
    shared_worker.run(shared_worker.ready())
    return shared_worker


@pytest.fixture(scope="session")
def session() -> Session:
    """The same model in this process, for what the answers ought to be."""
    return Session.load(resolve_model("embedded"), device="cpu", dtype="float32")
