"""A small catalogue entry, and fetching it from a local hub without waiting."""

from __future__ import annotations

from pathlib import Path

from unit.weights.hub_server import Hub

from med2e3.weights.catalogue import CatalogueEntry, FileRule, HubSource, Licence
from med2e3.weights.hub import Hub as HubClient
from med2e3.weights.install import Reporter, install
from med2e3.weights.plan import plan_from_hub
from med2e3.weights.retry import Retry
from med2e3.weights.store import Store

REPO = "someone/tiny"


def entry_of(*rules: FileRule, revision: str | None = None) -> CatalogueEntry:
    return CatalogueEntry(
        name="tiny",
        title="a tiny model",
        sources=(HubSource("model", REPO, revision, rules),),
        licence=Licence("Apache-2.0", (), ("Free.",)),
        approximate_bytes=3_000_000,
        needs_conversion=False,
    )


class Recorder(Reporter):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done: list[int] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def received(self, done_bytes: int, total_bytes: int) -> None:
        assert done_bytes <= total_bytes
        self.done.append(done_bytes)


def quick_retry() -> Retry:
    """As patient as the real one, without waiting."""
    return Retry(sleep=lambda seconds: None)


def fetch(
    entry: CatalogueEntry,
    store: Store,
    hub: Hub,
    *,
    reporter: Reporter | None = None,
    retry: Retry | None = None,
    revision: str | None = None,
    token: str | None = None,
) -> Path:
    """Plan and install from the local hub."""
    client = HubClient(hub.url, token)
    retry = retry or quick_retry()
    plan = plan_from_hub(entry, store, client, revision=revision, retry=retry)
    return install(plan, reporter=reporter, retry=retry)
