"""A download over a bad line: cut, damaged, refused, interrupted, repeated."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from unit.weights.hub_server import Hub
from unit.weights.tiny_model import REPO, Recorder, entry_of, fetch, quick_retry

from med2e3.errors import InputError, ResourceError, WeightsError
from med2e3.weights.catalogue import CatalogueEntry, FileRule
from med2e3.weights.hub import Hub as HubClient
from med2e3.weights.install import Reporter, install
from med2e3.weights.manifest import read_manifest
from med2e3.weights.plan import plan_from_hub
from med2e3.weights.retry import Retry
from med2e3.weights.store import Store

LARGE = "model.safetensors"


@pytest.fixture
def commit(hub: Hub, tiny_files: dict[str, bytes]) -> str:
    return hub.publish(REPO, tiny_files)


def test_only_allowed_files_arrive_and_are_described(
    hub: Hub, store: Store, entry: CatalogueEntry, tiny_files: dict[str, bytes], commit: str
) -> None:
    recorder = Recorder()
    folder = fetch(entry, store, hub, reporter=recorder)
    assert folder == store.model("tiny")
    names = {path.name for path in folder.rglob("*")}
    assert names == {"config.json", LARGE, "install.json"}
    assert (folder / LARGE).read_bytes() == tiny_files[LARGE]
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.revision == commit
    assert manifest.files[LARGE]["sha256"] == hashlib.sha256(tiny_files[LARGE]).hexdigest()
    assert recorder.done[-1] == len(tiny_files[LARGE]) + len(tiny_files["config.json"])
    assert not store.partial("tiny").exists()


def test_cut_connection_continues_where_it_was_cut(
    hub: Hub, store: Store, entry: CatalogueEntry, tiny_files: dict[str, bytes], commit: str
) -> None:
    hub.plant(LARGE, "cut", after=1_000_000)
    hub.plant(LARGE, "cut", after=500_000)
    recorder = Recorder()
    folder = fetch(entry, store, hub, reporter=recorder)
    assert (folder / LARGE).read_bytes() == tiny_files[LARGE]
    ranges = [request.headers.get("range") for request in hub.bodies(LARGE)]
    starts = [0 if r is None else int(r.removeprefix("bytes=").rstrip("-")) for r in ranges]
    assert starts[0] == 0
    # The client may lose what was still in its buffer at the cut, never more than was sent.
    assert 0 < starts[1] <= 1_000_000
    assert starts[1] < starts[2] <= starts[1] + 500_000
    assert len(starts) == 3
    assert any("Trying again" in note for note in recorder.notes)


def test_many_cuts_with_progress_in_between_get_through(
    hub: Hub, store: Store, entry: CatalogueEntry, tiny_files: dict[str, bytes], commit: str
) -> None:
    hub.plant(LARGE, "cut", after=200_000, times=12)
    folder = fetch(entry, store, hub)
    assert (folder / LARGE).read_bytes() == tiny_files[LARGE]


def test_cuts_without_progress_end_and_keep_what_is_here(
    hub: Hub, store: Store, entry: CatalogueEntry, tiny_files: dict[str, bytes], commit: str
) -> None:
    hub.plant(LARGE, "cut", after=1_500_000)
    hub.plant(LARGE, "cut", after=0, times=5)
    waits: list[float] = []
    with pytest.raises(WeightsError, match="connection"):
        fetch(entry, store, hub, retry=Retry(sleep=waits.append))
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert not store.is_installed("tiny")
    before = len(hub.bodies(LARGE))
    folder = fetch(entry, store, hub)
    (resumed,) = hub.bodies(LARGE)[before:]
    assert int(resumed.headers["range"].removeprefix("bytes=").rstrip("-")) > 1_000_000
    assert (folder / LARGE).read_bytes() == tiny_files[LARGE]


def test_server_that_ignores_ranges_starts_over(
    hub: Hub, store: Store, entry: CatalogueEntry, tiny_files: dict[str, bytes], commit: str
) -> None:
    hub.plant(LARGE, "cut", after=1_000_000)
    hub.plant(LARGE, "ignore-range")
    folder = fetch(entry, store, hub)
    assert (folder / LARGE).read_bytes() == tiny_files[LARGE]


def test_silent_connection_counts_as_lost(
    hub: Hub,
    store: Store,
    entry: CatalogueEntry,
    tiny_files: dict[str, bytes],
    commit: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from med2e3.weights import transfer

    monkeypatch.setattr(transfer, "TIMEOUT_S", 0.5)
    hub.plant(LARGE, "pause", after=1_000_000)
    folder = fetch(entry, store, hub)
    assert (folder / LARGE).read_bytes() == tiny_files[LARGE]
    first, second = hub.bodies(LARGE)
    assert "range" not in first.headers
    assert second.headers["range"].startswith("bytes=")


@pytest.mark.parametrize("path", [LARGE, "config.json"])
@pytest.mark.parametrize("kind", ["corrupt", "longer", "shorter"])
def test_damaged_file_is_fetched_again(
    hub: Hub,
    store: Store,
    entry: CatalogueEntry,
    tiny_files: dict[str, bytes],
    commit: str,
    path: str,
    kind: str,
) -> None:
    hub.plant(path, kind)
    recorder = Recorder()
    folder = fetch(entry, store, hub, reporter=recorder)
    assert (folder / path).read_bytes() == tiny_files[path]
    assert len(hub.bodies(path)) == 2
    assert any("from the start" in note for note in recorder.notes)


@pytest.mark.parametrize("path", [LARGE, "config.json"])
def test_file_that_stays_damaged_is_refused_and_nothing_installed(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str, path: str
) -> None:
    hub.plant(path, "corrupt", times=100)
    with pytest.raises(WeightsError, match=f"{path} arrived damaged 3 times"):
        fetch(entry, store, hub)
    assert len(hub.bodies(path)) == 3
    assert not store.is_installed("tiny")
    assert not store.model("tiny").exists()


def test_damage_before_a_cut_is_found_at_the_end(
    hub: Hub, store: Store, entry: CatalogueEntry, tiny_files: dict[str, bytes], commit: str
) -> None:
    hub.plant(LARGE, "corrupt")
    hub.plant(LARGE, "cut", after=1_000_000)
    folder = fetch(entry, store, hub)
    assert (folder / LARGE).read_bytes() == tiny_files[LARGE]
    assert [("range" in request.headers) for request in hub.bodies(LARGE)] == [False, True, False]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_server_is_asked_again(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str, status: int
) -> None:
    hub.plant(LARGE, "status", status=status, times=2)
    hub.plant("/revision/main", "status", status=status, times=2)
    assert fetch(entry, store, hub).is_dir()


def test_wait_that_the_server_asks_for_is_kept_within_reason(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str
) -> None:
    hub.plant(LARGE, "status", status=429, headers={"Retry-After": "7"})
    hub.plant(LARGE, "status", status=429, headers={"Retry-After": "86400"})
    waits: list[float] = []
    fetch(entry, store, hub, retry=Retry(sleep=waits.append))
    assert waits == [7.0, 30.0]


def test_server_that_stays_busy_is_given_up(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str
) -> None:
    hub.plant(LARGE, "status", times=1000)
    with pytest.raises(WeightsError, match="not available at the moment") as caught:
        fetch(entry, store, hub)
    assert "kept" in caught.value.hint
    assert len([r for r in hub.requests if r.path.endswith(LARGE)]) == 6


def test_second_run_asks_nobody(hub: Hub, store: Store, entry: CatalogueEntry, commit: str) -> None:
    plan = plan_from_hub(entry, store, HubClient(hub.url))
    install(plan, retry=quick_retry())
    hub.requests.clear()
    install(plan, retry=quick_retry())
    assert hub.requests == []


def test_finished_file_is_not_fetched_again_after_an_interruption(
    hub: Hub, store: Store, entry: CatalogueEntry, tiny_files: dict[str, bytes], commit: str
) -> None:
    class Interrupting(Reporter):
        def received(self, done_bytes: int, total_bytes: int) -> None:
            if done_bytes > 1_000_000:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(entry, store, hub, reporter=Interrupting())
    assert not store.is_installed("tiny")
    hub.requests.clear()
    folder = fetch(entry, store, hub)
    assert hub.bodies("config.json") == []
    (resumed,) = hub.bodies(LARGE)
    assert resumed.headers["range"].startswith("bytes=")
    assert (folder / LARGE).read_bytes() == tiny_files[LARGE]


def test_finished_file_that_was_changed_meanwhile_is_fetched_again(
    hub: Hub, store: Store, entry: CatalogueEntry, tiny_files: dict[str, bytes], commit: str
) -> None:
    hub.plant(LARGE, "status", times=1000)
    with pytest.raises(WeightsError):
        fetch(entry, store, hub)
    finished = store.partial("tiny") / "originals" / "model" / "config.json"
    finished.write_bytes(finished.read_bytes().replace(b"tiny", b"evil"))
    hub.faults.clear()
    folder = fetch(entry, store, hub)
    assert (folder / "config.json").read_bytes() == tiny_files["config.json"]


def test_interrupted_download_continues_its_own_revision(
    hub: Hub, store: Store, entry: CatalogueEntry, tiny_files: dict[str, bytes], commit: str
) -> None:
    hub.plant(LARGE, "cut", after=1_000_000)
    hub.plant(LARGE, "cut", after=0, times=5)
    with pytest.raises(WeightsError):
        fetch(entry, store, hub)
    hub.publish(REPO, {**tiny_files, LARGE: tiny_files[LARGE][::-1]})
    folder = fetch(entry, store, hub)
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.revision == commit
    assert (folder / LARGE).read_bytes() == tiny_files[LARGE]


def test_part_of_another_revision_is_never_continued(
    hub: Hub, store: Store, entry: CatalogueEntry, tiny_files: dict[str, bytes], commit: str
) -> None:
    hub.plant(LARGE, "cut", after=1_000_000)
    hub.plant(LARGE, "cut", after=0, times=5)
    with pytest.raises(WeightsError):
        fetch(entry, store, hub)
    newer = {**tiny_files, LARGE: tiny_files[LARGE][::-1]}
    second = hub.publish(REPO, newer)
    hub.requests.clear()
    folder = fetch(entry, store, hub, revision="main")
    assert (folder / LARGE).read_bytes() == newer[LARGE]
    assert "range" not in hub.bodies(LARGE)[-1].headers
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.revision == second


def test_later_download_takes_the_recorded_revision(
    hub: Hub, store: Store, entry: CatalogueEntry, tiny_files: dict[str, bytes], commit: str
) -> None:
    fetch(entry, store, hub)
    store.remove("tiny")
    newer = {**tiny_files, LARGE: tiny_files[LARGE][::-1]}
    second = hub.publish(REPO, newer)
    assert (fetch(entry, store, hub) / LARGE).read_bytes() == tiny_files[LARGE]
    store.remove("tiny")
    assert (fetch(entry, store, hub, revision="main") / LARGE).read_bytes() == newer[LARGE]
    store.remove("tiny")
    manifest = read_manifest(fetch(entry, store, hub))
    assert manifest is not None
    assert manifest.revision == second


@pytest.mark.parametrize("path", [LARGE, "config.json"])
def test_content_changed_under_the_same_revision_is_refused(
    hub: Hub,
    store: Store,
    entry: CatalogueEntry,
    tiny_files: dict[str, bytes],
    commit: str,
    path: str,
) -> None:
    fetch(entry, store, hub)
    store.remove("tiny")
    hub.commits[REPO][commit] = {**tiny_files, path: tiny_files[path][::-1]}
    with pytest.raises(WeightsError, match=f"{path} of {REPO} is not the one known"):
        fetch(entry, store, hub)
    store.remove("tiny", forget=True)
    assert (fetch(entry, store, hub) / path).read_bytes() == tiny_files[path][::-1]


def test_file_gone_under_the_same_revision_is_refused(
    hub: Hub, store: Store, tiny_files: dict[str, bytes], commit: str
) -> None:
    optional = entry_of(FileRule("config.json", False), FileRule(LARGE, True))
    fetch(optional, store, hub)
    store.remove("tiny")
    del hub.commits[REPO][commit]["config.json"]
    with pytest.raises(WeightsError, match=r"config\.json"):
        fetch(optional, store, hub)


def test_pinned_checksum_and_size_are_enforced(
    hub: Hub, store: Store, tiny_files: dict[str, bytes], commit: str
) -> None:
    right = hashlib.sha256(tiny_files[LARGE]).hexdigest()
    size = len(tiny_files[LARGE])
    for rule in (FileRule(LARGE, True, size=size + 1), FileRule(LARGE, True, sha256="0" * 64)):
        with pytest.raises(WeightsError, match="catalogue"):
            fetch(entry_of(rule, revision=commit), store, hub)
        with pytest.raises(WeightsError, match="catalogue"):
            fetch(entry_of(rule), store, hub)
    assert hub.bodies(LARGE) == []
    good = entry_of(FileRule(LARGE, True, size=size, sha256=right), revision=commit)
    assert fetch(good, store, hub).is_dir()


def test_pinned_checksum_of_a_small_file_is_enforced_on_its_bytes(
    hub: Hub, store: Store, commit: str
) -> None:
    """The hub gives no SHA-256 for small files, so only the bytes can show the difference."""
    rule = FileRule("config.json", True, sha256="0" * 64)
    with pytest.raises(WeightsError, match="arrived damaged"):
        fetch(entry_of(rule), store, hub)
    assert not store.is_installed("tiny")


def test_pinned_revision_is_fetched_not_the_newest(
    hub: Hub, store: Store, tiny_files: dict[str, bytes], commit: str
) -> None:
    hub.publish(REPO, {**tiny_files, LARGE: b"newer"})
    pinned = entry_of(FileRule(LARGE, True), revision=commit)
    plan = plan_from_hub(pinned, store, HubClient(hub.url))
    assert plan.remarks == ()
    assert (install(plan) / LARGE).read_bytes() == tiny_files[LARGE]


def test_unpinned_revision_is_announced(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str
) -> None:
    plan = plan_from_hub(entry, store, HubClient(hub.url))
    assert commit[:12] in plan.remarks[0]
    assert "not pinned" in plan.remarks[0]


def test_missing_required_file_is_named_before_anything_is_fetched(
    hub: Hub, store: Store, commit: str
) -> None:
    with pytest.raises(WeightsError, match=r"lacks the file llm\.bin"):
        fetch(entry_of(FileRule("config.json", True), FileRule("llm.bin", True)), store, hub)
    assert hub.bodies("config.json") == []


def test_listing_without_checksums_is_completed_file_by_file(
    hub: Hub, store: Store, entry: CatalogueEntry, tiny_files: dict[str, bytes], commit: str
) -> None:
    hub.plant("/revision/main", "bare-listing")
    hub.plant(LARGE, "corrupt")
    folder = fetch(entry, store, hub)
    assert (folder / LARGE).read_bytes() == tiny_files[LARGE]
    heads = [r.path for r in hub.requests if r.method == "HEAD"]
    assert len(heads) == 2


def test_too_small_disk_is_found_before_the_download(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(total=10_000_000, used=7_000_000, free=3_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ResourceError, match=r"3\.0 MB free.*need 3\.2 MB"):
        fetch(entry, store, hub)
    assert hub.bodies("config.json") == []
    assert hub.bodies(LARGE) == []


def test_what_is_here_already_is_not_counted_twice(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str
) -> None:
    hub.plant(LARGE, "cut", after=2_000_000)
    hub.plant(LARGE, "cut", after=0, times=5)
    with pytest.raises(WeightsError):
        fetch(entry, store, hub)
    plan = plan_from_hub(entry, store, HubClient(hub.url))
    assert plan.total_bytes > 3_000_000
    assert plan.download_bytes < 2_100_000


def test_two_downloads_do_not_collide(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str
) -> None:
    with store.locked("tiny"), pytest.raises(WeightsError, match="Another program"):
        fetch(entry, store, hub)
    assert fetch(entry, store, hub).is_dir()


def test_other_revision_than_the_installed_one_must_be_removed_first(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str
) -> None:
    from med2e3.weights.plan import installed_already

    folder = fetch(entry, store, hub)
    assert installed_already(entry, store, revision=commit) == folder
    with pytest.raises(InputError, match="already installed"):
        installed_already(entry, store, revision="1" * 40)


def test_half_removed_model_does_not_count_and_is_replaced(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str
) -> None:
    folder = fetch(entry, store, hub)
    (folder / "install.json").unlink()
    assert not store.is_installed("tiny")
    assert (fetch(entry, store, hub) / LARGE).is_file()


def test_damaged_installation_is_not_called_installed(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str
) -> None:
    folder = fetch(entry, store, hub)
    (folder / LARGE).write_bytes(b"short")
    with pytest.raises(WeightsError, match="missing or was changed"):
        fetch(entry, store, hub)


def test_full_disk_is_said_in_a_sentence(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    replace = Path.replace

    def full(source: Path, target: Path) -> Path:
        if source.name.startswith(LARGE):
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ResourceError, match="disk is full"):
        fetch(entry, store, hub)
