"""Who is asked, with what, and what a refusal says."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from unit.weights.hub_server import Hub, running_proxy
from unit.weights.tiny_model import REPO, fetch, quick_retry

from med2e3.errors import InputError, WeightsError
from med2e3.weights.catalogue import CatalogueEntry
from med2e3.weights.hub import Hub as HubClient
from med2e3.weights.hub import choose_hub
from med2e3.weights.plan import plan_from_hub
from med2e3.weights.store import Store

LARGE = "model.safetensors"

#: fetches the tiny model in a process of its own
PROGRAM = f"""
import sys
from unit.weights.tiny_model import entry_of
from med2e3.weights.catalogue import FileRule
from med2e3.weights.hub import choose_hub
from med2e3.weights.install import install
from med2e3.weights.plan import plan_from_hub
from med2e3.weights.store import Store, store_dir
entry = entry_of(FileRule("config.json", True), FileRule("{LARGE}", True))
install(plan_from_hub(entry, Store(store_dir()), choose_hub(sys.argv[1])))
"""


@pytest.fixture
def commit(hub: Hub, tiny_files: dict[str, bytes]) -> str:
    return hub.publish(REPO, tiny_files)


def start(address: str, **environment: str) -> subprocess.Popen[bytes]:
    testing = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, address],
        env={**os.environ, "PYTHONPATH": str(testing), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_token_goes_to_the_hub_and_never_to_where_it_redirects(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str
) -> None:
    fetch(entry, store, hub, token="hf_secret")
    by_server: dict[str, set[str | None]] = {"hub": set(), "store": set()}
    for request in hub.requests:
        headers = {key.lower(): value for key, value in request.headers.items()}
        by_server[request.server].add(headers.get("authorization"))
        assert "hf_secret" not in request.path
    assert by_server == {"hub": {"Bearer hf_secret"}, "store": {None}}


def test_no_token_is_sent_unless_given(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not the one that another program left in the person's home folder."""
    from huggingface_hub import constants, get_token

    token_file = store.root.parent / "token"
    token_file.write_text("hf_of_another_program")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(token_file))
    assert get_token() == "hf_of_another_program"
    fetch(entry, store, hub)
    assert not any("uthorization" in key for r in hub.requests for key in r.headers)


def test_requests_tell_nothing_of_this_computer(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str
) -> None:
    fetch(entry, store, hub)
    for request in hub.requests:
        agent = {k.lower(): v for k, v in request.headers.items()}["user-agent"]
        assert agent.startswith("med2e3/")
        assert "torch" not in agent
        assert "agent/" not in agent
    assert {r.path.split("/")[1] for r in hub.requests if r.server == "hub"} == {"api", "someone"}


def test_mirror_before_environment_before_public_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_hub(None).endpoint == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/hf/")
    assert choose_hub(None).endpoint == "https://mirror.example/hf"
    assert choose_hub("http://127.0.0.1:8000").endpoint == "http://127.0.0.1:8000"
    monkeypatch.setenv("HF_TOKEN", " hf_secret\n")
    assert choose_hub(None).token == "hf_secret"


@pytest.mark.parametrize("address", ["mirror.example", "file:///etc", "ftp://x", "https://"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="address of the mirror"):
        choose_hub(address)


@pytest.mark.parametrize(
    ("status", "headers", "sentence"),
    [
        (403, {"X-Error-Code": "GatedRepo"}, "must grant access first"),
        (401, {"X-Error-Code": "GatedRepo"}, "must grant access first"),
        (401, {}, "does not let us read someone/tiny"),
        (403, {}, "does not let us read someone/tiny"),
        (404, {"X-Error-Code": "RepoNotFound"}, "no such file or repository"),
        (404, {"X-Error-Code": "RevisionNotFound"}, "no revision 'main'"),
        (418, {}, "refused the request"),
    ],
)
@pytest.mark.parametrize("path", ["/revision/main", LARGE])
def test_refusal_is_one_sentence_and_not_repeated(
    hub: Hub,
    store: Store,
    entry: CatalogueEntry,
    commit: str,
    status: int,
    headers: dict[str, str],
    sentence: str,
    path: str,
) -> None:
    hub.plant(path, "status", status=status, headers=headers, times=100)
    expected = sentence.replace("'main'", "'" if path == LARGE else "'main'")
    with pytest.raises((WeightsError, InputError), match=expected) as caught:
        fetch(entry, store, hub)
    assert caught.value.hint
    assert "http" not in caught.value.sentence
    assert len([r for r in hub.requests if r.path.endswith(path)]) == 1
    assert not store.is_installed("tiny")


def test_hint_depends_on_whether_a_token_was_sent(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str
) -> None:
    hub.plant("/revision/main", "status", status=403, times=2)
    with pytest.raises(WeightsError) as without:
        fetch(entry, store, hub)
    with pytest.raises(WeightsError) as with_token:
        fetch(entry, store, hub, token="hf_secret")
    assert "set HF_TOKEN" in without.value.hint
    assert "HF_TOKEN is wrong" in with_token.value.hint
    assert "hf_secret" not in str(with_token.value) + with_token.value.detail


def test_server_that_is_no_hub_is_said_to_be_none(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str
) -> None:
    hub.plant("/revision/main", "status", status=200)
    with pytest.raises(WeightsError, match="does not answer as a Hugging Face hub"):
        fetch(entry, store, hub)


def test_server_that_gives_another_commit_is_refused(
    hub: Hub, store: Store, entry: CatalogueEntry, tiny_files: dict[str, bytes], commit: str
) -> None:
    asked = "1" * 40
    hub.commits[REPO][asked] = tiny_files
    hub.answer_commit = commit
    with pytest.raises(WeightsError, match="another revision"):
        fetch(entry, store, hub, revision=asked)


def test_nobody_there(store: Store, entry: CatalogueEntry) -> None:
    with pytest.raises(WeightsError, match=r"connection to 127\.0\.0\.1 failed") as caught:
        plan_from_hub(entry, store, HubClient("http://127.0.0.1:9"), retry=quick_retry())
    assert "--from" in caught.value.hint


def test_offline_mode_is_respected(
    hub: Hub, store: Store, entry: CatalogueEntry, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="HF_HUB_OFFLINE"):
        fetch(entry, store, hub)
    assert hub.requests == []


def test_proxy_of_the_environment_is_used(hub: Hub, store: Store, commit: str) -> None:
    with running_proxy() as (proxy, seen):
        process = start(hub.url, HTTP_PROXY=proxy, NO_PROXY="")
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output.decode()
        assert store.is_installed("tiny")
        assert any("/api/models/someone/tiny" in address for address in seen)
        assert any(address.startswith(hub.store_url) for address in seen)

        store.remove("tiny")
        seen.clear()
        process = start(hub.url, HTTP_PROXY=proxy, NO_PROXY="127.0.0.1")
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output.decode()
        assert seen == []


def test_socks_proxy_without_its_package_is_said(hub: Hub, store: Store, commit: str) -> None:
    if importlib.util.find_spec("socksio") is not None:
        pytest.skip("the package for SOCKS proxies is installed here")
    process = start(hub.url, ALL_PROXY="socks5://127.0.0.1:9", NO_PROXY="")
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert b"WeightsError: The proxy of this computer is of the SOCKS kind" in output


def test_killed_process_leaves_no_model_and_the_next_one_continues(
    hub: Hub, store: Store, tiny_files: dict[str, bytes], commit: str
) -> None:
    hub.plant(LARGE, "pause", after=2_000_000)
    process = start(hub.url)
    try:
        assert hub.paused.wait(120)
        (part,) = _wait_for_part(store)
    finally:
        process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        process.communicate(timeout=60)
    hub.resume.set()
    assert not store.is_installed("tiny")
    here = part.stat().st_size
    assert here > 0
    hub.requests.clear()
    process = start(hub.url)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output.decode()
    (resumed,) = hub.bodies(LARGE)
    assert resumed.headers["range"] == f"bytes={here}-"
    assert hub.bodies("config.json") == []
    assert (store.model("tiny") / LARGE).read_bytes() == tiny_files[LARGE]


def _wait_for_part(store: Store) -> list[Path]:
    """The unfinished file, once a good part of it is on disk."""
    import time

    for _ in range(600):
        parts = list(store.partial("tiny").rglob("*.part"))
        if parts and parts[0].stat().st_size > 1_000_000:
            return parts
        time.sleep(0.1)
    pytest.fail("the download did not get to the pause")
