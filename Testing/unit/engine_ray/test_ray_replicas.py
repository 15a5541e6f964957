"""Two real replicas under a real Ray, with the embedded model: routing, SIGKILL under load, end."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from unit.engine.conftest import make_volume

from fixtures.engine_service import TOKEN, Service, Voxels, eventually, running_service
from med2e3.asking import Done, Event, GenerationOptions, Question, Scores, Token
from med2e3.client import RemoteEngine
from med2e3.engine.cluster.links import RayLink, leave, start_replicas
from med2e3.engine.cluster.pool import PoolBackend
from med2e3.engine.worker.jobs import Pending
from med2e3.errors import Med2E3Error
from med2e3.protocol import EngineUnreachable, ModelNotReady

if importlib.util.find_spec("ray") is None:
    pytest.skip("the extra ray is not installed", allow_module_level=True)
if os.name != "posix":
    pytest.skip("replicas are ended by signals", allow_module_level=True)

MODEL_SIZE = (32, 64, 64)
OPTIONS = GenerationOptions(max_new_tokens=120)
#: tokens that a client has when its replica is killed
TOLD = 5
WORDS = "Zebrafinch: describe everything that you see."
#: seconds for a process to begin, import torch and load the model, on a busy computer
START_S = 240.0


@dataclass
class Cluster:
    service: Service
    backend: PoolBackend
    client: RemoteEngine
    #: of Ray's temporary files
    folder: Path


@pytest.fixture(scope="module")
def ray_folder() -> Iterator[Path]:
    """Where Ray keeps its files; they and all processes of the cluster are gone afterwards."""
    # not pytest's own folder: names of sockets below it would be too long
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    token = Path.home() / ".ray" / "auth_token"
    had_token = token.exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(folder))
        yield folder
    try:
        eventually(lambda: not processes_of(folder), "all processes of the cluster have ended", 60)
        assert token.exists() == had_token, "the home folder is left alone"
    finally:
        kill_processes_of(folder)
        shutil.rmtree(folder, ignore_errors=True)


def processes_of(folder: Path) -> list[psutil.Process]:
    """Processes that Ray has started, and theirs."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("RAY_TMPDIR") == str(folder):
                found.append(process)
    return found


def kill_processes_of(folder: Path) -> None:
    for process in processes_of(folder):
        with suppress(psutil.Error):
            process.kill()


def two_replicas(folder: Path) -> list[RayLink]:
    """Ray gives its own processes some seconds to begin, which a busy computer may not manage."""
    for more_tries in (2, 1, 0):
        try:
            return start_replicas(2, device="cpu", precision="float32", address=None)
        except EngineUnreachable:
            leave()
            kill_processes_of(folder)
            if not more_tries:
                raise
    raise AssertionError


@pytest.fixture(scope="module")
def cluster(ray_folder: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        stack.callback(leave)
        links = two_replicas(ray_folder)
        # on a busy computer a replica may be silent for long and yet be there
        backend = PoolBackend(links, leave=leave, silence_s=60.0)
        service = stack.enter_context(running_service(backend, model="embedded"))
        client = RemoteEngine(service.address, TOKEN)
        client.wait_until_ready(START_S)
        eventually(lambda: both_ready(backend), "both replicas are ready", START_S)
        assert processes_of(ray_folder)
        yield Cluster(service, backend, client, ray_folder)


def both_ready(backend: PoolBackend) -> bool:
    return backend.status().replicas_ready == 2


def volumes(count: int, begin: int = 0) -> list[Voxels]:
    return [make_volume(seed, MODEL_SIZE) for seed in range(begin, begin + count)]


def pids_of(backend: PoolBackend, sha256: str) -> list[int]:
    """Process ids of the replica that has a volume's features: its own, and the model's."""
    return list(backend._homes[sha256].pids)


def checked(events: list[Event]) -> Done:
    """The end of one consistent stream."""
    done = events[-1]
    assert isinstance(done, Done)
    tokens = [event for event in events if isinstance(event, Token)]
    assert tuple(token.id for token in tokens) == done.token_ids[: len(tokens)]
    assert len(done.token_ids) - len(tokens) <= 1, "none but the end token is not told"
    assert tuple(token.probability for token in tokens) == done.token_probabilities[: len(tokens)]
    assert [event.values for event in events if isinstance(event, Scores)] == [done.scores]
    return done


def test_a_volumes_questions_go_to_one_replica(cluster: Cluster) -> None:
    one, other = volumes(2)
    for volume in (one, other):
        checked(list(cluster.client.ask(volume, Question("Which plane?"), OPTIONS)))
    assert pids_of(cluster.backend, one.sha256) != pids_of(cluster.backend, other.sha256)
    again = checked(list(cluster.client.ask(one, Question("Which region?"), OPTIONS)))
    assert "volume" in again.cache_hits
    said = cluster.client.capabilities()
    assert (said.replicas, said.replicas_ready, said.volumes) == (2, 2, 2)
    assert "med2e3_replicas_ready 2.0" in cluster.service.request("GET", "/metrics")[2].decode()


@pytest.mark.parametrize("options", [OPTIONS, GenerationOptions(120, temperature=0.8)])
def test_a_replica_killed_under_load_loses_no_question(
    cluster: Cluster, options: GenerationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_before: list[int] = []
    take_back, tell = Pending.take_back, Pending.tell

    def seen(pending: Pending) -> None:
        told_before.append(len(pending._tokens))
        take_back(pending)

    def told(pending: Pending, outcome: Event | Med2E3Error) -> None:
        tell(pending, outcome)
        is_victim = pending.job.volume == victim and len(pending._tokens) == TOLD
        if is_victim and loaded.is_set() and not killed.is_set():
            killed.set()
            for pid in pids_of(cluster.backend, victim):
                os.kill(pid, signal.SIGKILL)

    monkeypatch.setattr(Pending, "take_back", seen)
    monkeypatch.setattr(Pending, "tell", told)
    asked = [(volume, Question.report()) for volume in volumes(4, 10) for _ in range(2)]
    victim = asked[0][0].sha256
    loaded, killed = threading.Event(), threading.Event()
    alone = {
        volume.sha256: checked(list(cluster.client.ask(volume, question, options)))
        for volume, question in asked[::2]
    }
    before = cluster.backend.status().restarts
    loaded.set()

    def ask(number: int) -> list[Event]:
        volume, question = asked[number]
        client = RemoteEngine(cluster.service.address, TOKEN)
        return list(client.ask(volume, question, options))

    with ThreadPoolExecutor(len(asked)) as threads:
        streams = list(threads.map(ask, range(len(asked))))
    assert killed.is_set()
    assert any(told_before), "an answer was under way, and its tokens were told"
    for (volume, _), events in zip(asked, streams, strict=True):
        done = checked(events)
        if options.temperature == 0:
            assert done.token_ids == alone[volume.sha256].token_ids
    eventually(lambda: both_ready(cluster.backend), "it was started again", START_S)
    assert cluster.backend.status().restarts > before


def test_ray_writes_neither_words_nor_voxels_to_disk(cluster: Cluster) -> None:
    volume = volumes(1, 50)[0]
    checked(list(cluster.client.ask(volume, Question(WORDS), OPTIONS)))
    pattern = re.compile(
        b"|".join(
            map(re.escape, (b"Zebrafinch", volume.sha256.encode(), volume.voxels.tobytes()[4:36]))
        )
    )
    files = [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        with suppress(FileNotFoundError):  # a log that was replaced meanwhile
            assert not pattern.search(path.read_bytes()), path.name


def test_a_cluster_that_is_not_there() -> None:
    with pytest.raises(EngineUnreachable, match="No Ray cluster answers"):
        start_replicas(1, device="cpu", precision="float32", address="127.0.0.1:1")


def test_when_no_replica_is_left_clients_are_told(cluster: Cluster) -> None:
    volume = volumes(1, 60)[0]
    checked(list(cluster.client.ask(volume, Question("Which plane?"), OPTIONS)))
    cluster.backend._replicas.patience_s = 1.0
    for replica in cluster.backend._replicas:
        replica.link.kill()
    eventually(lambda: cluster.backend.status().state == "failed", "nobody is left", 120)
    with pytest.raises(ModelNotReady, match="No replica"):
        list(cluster.client.ask(volume, Question("Which plane?"), OPTIONS))
