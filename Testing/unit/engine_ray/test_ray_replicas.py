"""Two real replicas under a real Ray, with the embedded model: routing, SIGKILL under load, end."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from unit.engine.conftest import make_volume

from fixtures.engine_service import TOKEN, Service, Voxels, eventually, running_service
from med2e3.asking import Done, Event, GenerationOptions, Question, Scores, Token
from med2e3.client import RemoteEngine
from med2e3.engine.worker.jobs import Pending
from med2e3.protocol import EngineUnreachable, ModelNotReady

ray = pytest.importorskip("ray", reason="the extra ray is not installed")

from med2e3.engine.cluster.links import leave, start_replicas  # noqa: E402
from med2e3.engine.cluster.pool import PoolBackend  # noqa: E402

MODEL_SIZE = (32, 64, 64)
OPTIONS = GenerationOptions(max_new_tokens=120)
#: tokens that a client has when its replica is killed
TOLD = 5
WORDS = "Zebrafinch: describe everything that you see."


@dataclass
class Cluster:
    service: Service
    backend: PoolBackend
    client: RemoteEngine


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ExitStack() as stack:
        links = start_replicas(2, device="cpu", precision="float32", address=None)
        backend = PoolBackend(links, leave=leave)
        service = stack.enter_context(running_service(backend, model="embedded"))
        client = RemoteEngine(service.address, TOKEN)
        client.wait_until_ready(300)
        eventually(lambda: backend.status().replicas_ready == 2, "both replicas are ready", 120)
        yield Cluster(service, backend, client)


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
    take_back = Pending.take_back

    def seen(pending: Pending) -> None:
        told_before.append(sum(isinstance(event, Token) for event in pending._tokens))
        take_back(pending)

    monkeypatch.setattr(Pending, "take_back", seen)
    asked = [(volume, Question.report()) for volume in volumes(4, 10) for _ in range(2)]
    alone = {
        volume.sha256: checked(list(cluster.client.ask(volume, question, options)))
        for volume, question in asked[::2]
    }
    before = cluster.backend.status().restarts
    victim = asked[0][0].sha256
    killed = threading.Event()

    def ask(number: int) -> list[Event]:
        volume, question = asked[number]
        events: list[Event] = []
        client = RemoteEngine(cluster.service.address, TOKEN)
        for event in client.ask(volume, question, options):
            events.append(event)
            told = sum(isinstance(event, Token) for event in events)
            if number == 0 and told == TOLD and not killed.is_set():
                killed.set()
                for pid in pids_of(cluster.backend, victim):
                    os.kill(pid, signal.SIGKILL)
        return events

    with ThreadPoolExecutor(len(asked)) as threads:
        streams = list(threads.map(ask, range(len(asked))))
    assert killed.is_set()
    assert any(told_before), "an answer was under way, and its tokens were told"
    for (volume, _), events in zip(asked, streams, strict=True):
        done = checked(events)
        if options.temperature == 0:
            assert done.token_ids == alone[volume.sha256].token_ids
    eventually(lambda: cluster.backend.status().replicas_ready == 2, "it was started again", 120)
    assert cluster.backend.status().restarts > before


def test_ray_writes_neither_words_nor_voxels_to_disk(cluster: Cluster) -> None:
    volume = volumes(1, 50)[0]
    checked(list(cluster.client.ask(volume, Question(WORDS), OPTIONS)))
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    pattern = re.compile(
        b"|".join(
            map(re.escape, (b"Zebrafinch", volume.sha256.encode(), volume.voxels.tobytes()[4:36]))
        )
    )
    files = [path for path in session.rglob("*") if path.is_file() and not path.is_socket()]
    assert files
    found = [path.name for path in files if pattern.search(path.read_bytes())]
    assert not found


def test_a_cluster_that_is_not_there() -> None:
    with pytest.raises(EngineUnreachable, match="No Ray cluster answers"):
        start_replicas(1, device="cpu", precision="float32", address="127.0.0.1:1")


def test_when_no_replica_is_left_clients_are_told(cluster: Cluster) -> None:
    volume = volumes(1, 60)[0]
    checked(list(cluster.client.ask(volume, Question("Which plane?"), OPTIONS)))
    cluster.backend._patience_s = 1.0
    for replica in cluster.backend._replicas:
        replica.link.kill()
    eventually(lambda: cluster.backend.status().state == "failed", "nobody is left", 60)
    with pytest.raises(ModelNotReady, match="No replica"):
        list(cluster.client.ask(volume, Question("Which plane?"), OPTIONS))
