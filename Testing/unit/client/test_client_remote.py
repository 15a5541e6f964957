"""The client for engines at an address: volumes, questions, cuts, cancelling, refusals."""

from __future__ import annotations

import random
import socket
import threading

import pytest
from unit.engine.conftest import Start

from fixtures.engine_service import TOKEN, Service, SteppedBackend, Voxels, eventually
from fixtures.relay import Relay
from med2e3.asking import Done, Event, Question, Scores, Stage, Token
from med2e3.client import RemoteEngine
from med2e3.engine.settings import Limits
from med2e3.errors import InputError, Med2E3Error, ResourceError
from med2e3.protocol import (
    EngineUnreachable,
    ModelNotReady,
    NotAllowed,
    NotAuthorized,
    VersionMismatch,
)

QUESTION = Question("Where?", ("left", "right"))


def engine_of(service: Service, **more: object) -> RemoteEngine:
    return RemoteEngine(service.address, TOKEN, **more)  # type: ignore[arg-type]


def stepped(**more: object) -> SteppedBackend:
    return SteppedBackend(steps=threading.Semaphore(0), **more)  # type: ignore[arg-type]


def only_done(events: list[Event]) -> Done:
    (done,) = [event for event in events if isinstance(event, Done)]
    assert events[-1] is done
    return done


def test_a_question_is_answered_and_the_volume_sent_once(start: Start, volume: Voxels) -> None:
    service = start()
    engine = engine_of(service)
    for _ in range(2):
        events = list(engine.ask(volume, QUESTION))
        assert [type(e) for e in events] == [Stage, Scores, *[Token] * 5, Done]
        assert only_done(events).seed == 2**62 + 1
    assert service.backend.puts == [volume.sha256]
    engine.close()
    assert service.backend.volumes == {}


def test_a_compressed_volume_is_the_same(start: Start, volume: Voxels) -> None:
    service = start()
    engine_of(service, compress=True).put_volume(volume)
    assert (service.backend.volumes[volume.sha256] == volume.voxels).all()


def test_a_volume_that_the_engine_forgot_is_sent_again(start: Start, volume: Voxels) -> None:
    service = start()
    engine = engine_of(service)
    list(engine.ask(volume, QUESTION))
    engine_of(service).drop_volume(volume.sha256)  # another client: nothing happens
    assert service.backend.volumes
    service.request("DELETE", f"/v1/volumes/{volume.sha256}", client=_word(engine))
    assert not service.backend.volumes
    only_done(list(engine.ask(volume, QUESTION)))
    assert len(service.backend.puts) == 2


def _word(engine: RemoteEngine) -> str:
    return engine._connections._headers["Med2E3-Client"]


def test_a_cut_connection_is_mended_and_no_event_lost(start: Start, volume: Voxels) -> None:
    backend = stepped(tokens=30)
    service = start(backend)
    chance = random.Random(3)
    with Relay(service.port) as relay:
        engine = RemoteEngine(relay.address, TOKEN, grace_s=30)
        events = []
        for event in engine.ask(volume, QUESTION):
            events.append(event)
            if isinstance(event, Token | Scores):
                if chance.random() < 0.3:
                    relay.cut()
                backend.steps.release(1)
    done = only_done(events)
    assert [event.id for event in events if isinstance(event, Token)] == list(range(30))
    assert done.token_ids == tuple(range(30))


def test_without_grace_a_cut_is_an_error_and_frees_the_place(start: Start, volume: Voxels) -> None:
    backend = stepped()
    service = start(backend)
    with Relay(service.port) as relay:
        answer = RemoteEngine(relay.address, TOKEN, grace_s=0).ask(volume, QUESTION)
        next(answer)
        relay.cut()
        with pytest.raises(EngineUnreachable):
            list(answer)
    eventually(lambda: not backend.jobs, "the place is free")


def test_an_engine_that_does_not_come_back_is_an_error(start: Start, volume: Voxels) -> None:
    service = start(stepped(), Limits(max_grace_s=0.5))
    with Relay(service.port) as relay:
        answer = RemoteEngine(relay.address, TOKEN).ask(volume, QUESTION)
        next(answer)
        relay.refuse = True
        relay.cut()
        with pytest.raises(EngineUnreachable):
            list(answer)


@pytest.mark.parametrize("seed", range(6))
def test_cancelling_at_any_point_ends_with_what_there_is(
    start: Start, volume: Voxels, seed: int
) -> None:
    backend = stepped(tokens=20)
    service = start(backend)
    cancel = threading.Event()
    chance = random.Random(seed)
    stop_at = chance.randrange(8)
    backend.steps.release(1 + chance.randrange(5))  # were it not cancelled, it would not end
    if stop_at == 0:
        cancel.set()
    events = []
    for event in engine_of(service).ask(volume, QUESTION, cancel=cancel):
        events.append(event)
        if len(events) == stop_at or isinstance(event, Token):
            cancel.set()
    done = only_done(events)
    assert done.finish_reason == "cancelled"
    tokens = [event.text for event in events if isinstance(event, Token)]
    assert done.answer == "".join(tokens)
    eventually(lambda: not backend.jobs, "the place is free")


def test_cancelling_does_not_need_the_engine(start: Start, volume: Voxels) -> None:
    class Deaf(SteppedBackend):
        def cancel(self, job: str) -> None:
            pass

    backend = Deaf(steps=threading.Semaphore(2))
    cancel = threading.Event()
    events = []
    for event in engine_of(start(backend)).ask(volume, QUESTION, cancel=cancel):
        events.append(event)
        if isinstance(event, Token) and event.id == 1:
            cancel.set()
    done = only_done(events)
    assert (done.finish_reason, done.answer, done.token_ids) == ("cancelled", "é0 é1 ", (0, 1))
    assert len(done.scores) == 4


def test_closing_the_iterator_stops_the_question(start: Start, volume: Voxels) -> None:
    backend = stepped()
    answer = engine_of(start(backend), grace_s=60).ask(volume, QUESTION)
    next(answer)
    answer.close()  # type: ignore[attr-defined]
    eventually(lambda: not backend.jobs, "the place is free, although the grace is long")


def test_failures_arrive_as_their_class(start: Start, volume: Voxels) -> None:
    engine = engine_of(start(SteppedBackend(failure=ResourceError("Full.", hint="Wait."))))
    with pytest.raises(ResourceError) as told:
        list(engine.ask(volume, QUESTION))
    assert (told.value.sentence, told.value.hint) == ("Full.", "Wait.")
    unloaded = engine_of(start(SteppedBackend(state="unloaded")))
    with pytest.raises(ModelNotReady):
        list(unloaded.ask(volume, QUESTION))
    with pytest.raises(ModelNotReady):
        unloaded.wait_until_ready()
    with pytest.raises(NotAllowed):
        unloaded.load_model("stepped")


def test_models_are_changed_where_that_is_allowed(start: Start) -> None:
    engine = engine_of(start(may_change_model=True))
    assert engine.unload_model().state == "unloaded"
    assert engine.load_model("stepped").model is not None
    with pytest.raises(InputError, match="nothing"):
        engine.load_model("nothing")


def test_a_wrong_token_is_told(start: Start, volume: Voxels) -> None:
    engine = RemoteEngine(start().address, "wrong")
    with pytest.raises(NotAuthorized, match="token is missing or wrong"):
        list(engine.ask(volume, QUESTION))


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(EngineUnreachable, match="No engine runs"):
        RemoteEngine(f"http://127.0.0.1:{port}", TOKEN).capabilities()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", VersionMismatch, "not a Med2E3"),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", EngineUnreachable, "status 502"),
        (
            b"HTTP/1.1 200 OK\r\nMed2E3-API-Version: 2.0\r\nContent-Length: 2\r\n\r\n{}",
            VersionMismatch,
            "version 2",
        ),
        (
            b"HTTP/1.1 200 OK\r\nMed2E3-API-Version: 1.0\r\nContent-Length: 2\r\n\r\n{}",
            EngineUnreachable,
            "damaged",
        ),
        (b"SSH-2.0-OpenSSH_9\r\n", EngineUnreachable, "broke"),
        (b"", EngineUnreachable, "broke"),
    ],
)
def test_something_else_at_the_address_is_told(
    answer: bytes, kind: type[Med2E3Error], words: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            client, _ = other.accept()
            client.recv(1 << 16)
            client.sendall(answer)
            client.close()

        threading.Thread(target=serve, daemon=True).start()
        engine = RemoteEngine(f"http://127.0.0.1:{other.getsockname()[1]}", TOKEN)
        with pytest.raises(kind, match=words):
            engine.capabilities()


def test_silence_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(EngineUnreachable, match="in time"):
            RemoteEngine(address, TOKEN, silence_s=0.2).capabilities()


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1:80", "ftp://x", "http://", "http://x:99999", "https://a:b@c"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError):
        RemoteEngine(address, TOKEN)


def test_plain_http_to_another_computer_is_refused() -> None:
    with pytest.raises(InputError, match="could be read"):
        RemoteEngine("http://192.0.2.1:8734", TOKEN)
    RemoteEngine("http://192.0.2.1:8734", TOKEN, allow_unencrypted=True)
    RemoteEngine("https://192.0.2.1:8734", TOKEN)


def test_proxies_of_the_environment_are_not_used(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://192.0.2.1:1")
    assert engine_of(start()).capabilities().state == "ready"
