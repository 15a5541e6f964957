"""Questions: order of events, limits, cancelling, vanishing, reading on, failing."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema
import pytest
from unit.engine.conftest import Start

from fixtures.engine_service import (
    SCORES,
    TOKEN,
    Service,
    SteppedBackend,
    Voxels,
    eventually,
)
from med2e3.asking import Done, Scores, Token
from med2e3.engine.settings import Limits
from med2e3.errors import InputError, Med2E3Error, ResourceError
from med2e3.protocol import (
    Accepted,
    EventReader,
    Failed,
    ServerSentEvents,
    WireEvent,
    events_path,
    question_path,
    request_headers,
    volume_path,
)


class Asking:
    """A question whose events a test reads one by one."""

    def __init__(
        self, service: Service, method: str, path: str, body: object = None, **headers: str
    ) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        client = headers.pop("client", "test")
        usual = request_headers(TOKEN, client) | {"Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        self.connection.connect()
        self.socket = self.connection.sock
        self.connection.request(method, path, data, usual | headers)
        self.response = self.connection.getresponse()
        self.reader = EventReader()
        self.waiting: list[WireEvent] = []
        self.raw = b""

    def next(self) -> WireEvent | None:
        while not self.waiting:
            chunk = self.response.read1()
            self.raw += chunk
            if not chunk:
                return None
            self.waiting = self.reader.feed(chunk)
        return self.waiting.pop(0)

    def rest(self) -> list[WireEvent]:
        events = []
        while (event := self.next()) is not None:
            events.append(event)
        return events

    def until_token(self) -> str:
        """Read to the first token; gives the question's id."""
        accepted = self.next()
        assert isinstance(accepted, Accepted)
        while not isinstance(self.next(), Token):
            pass
        return accepted.question

    def vanish(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.response.close()
        self.connection.close()


def begin(service: Service, volume: Voxels, client: str = "test", **more: Any) -> Asking:
    body = {"volume": volume.sha256, "question": {"text": "Where?"}, **more}
    return Asking(service, "POST", "/v1/questions", body, client=client)


def read_on(service: Service, question: str, last: str = "0") -> Asking:
    return Asking(service, "GET", events_path(question), **{"Last-Event-ID": last})


@contextmanager
def with_volume(
    start: Start, volume: Voxels, backend: SteppedBackend, **limits: Any
) -> Iterator[Service]:
    service = start(backend, Limits(**limits))
    path = volume_path(volume.sha256, volume.voxels.shape)
    assert service.request("PUT", path, volume.voxels.tobytes())[0] == 200
    yield service


def stepped(**more: Any) -> SteppedBackend:
    return SteppedBackend(steps=threading.Semaphore(0), **more)


def test_events_come_in_order_and_exactly(start: Start, volume: Voxels) -> None:
    with with_volume(start, volume, SteppedBackend(tokens=3)) as service:
        asking = begin(service, volume)
        events = asking.rest()
    names = [type(event).__name__ for event in events]
    assert names == ["Accepted", "Stage", "Scores", *["Token"] * 3, "Done"]
    assert events[2] == Scores(SCORES)
    done = events[-1]
    assert isinstance(done, Done)
    assert (done.answer, done.seed) == ("é0 é1 é2 ", 2**62 + 1)
    assert asking.reader.last_id == str(len(events))
    assert asking.response.getheader("Content-Type", "").startswith("text/event-stream")


def test_scores_are_there_before_any_token(start: Start, volume: Voxels) -> None:
    backend = stepped()
    with with_volume(start, volume, backend) as service:
        asking = begin(service, volume)
        while not isinstance(asking.next(), Scores):
            pass  # the backend gives no token yet
        backend.steps.release(100)
        assert isinstance(asking.rest()[-1], Done)


def test_events_are_as_openapi_describes_them(start: Start, volume: Voxels) -> None:
    backend = SteppedBackend(failure=ResourceError("Full.", hint="Wait."))
    with with_volume(start, volume, SteppedBackend()) as service:
        raw = [begin(service, volume)]
        raw[0].rest()
        _, description = service.json("GET", "/openapi.json")
    with with_volume(start, volume, backend) as service:
        raw.append(begin(service, volume))
        raw[1].rest()
    schema = {"$ref": "#/components/schemas/Event", "components": description["components"]}
    validator = jsonschema.Draft202012Validator(schema)
    seen = set()
    for asking in raw:
        for sent in ServerSentEvents().feed(asking.raw):
            values = json.loads(sent.data)
            validator.validate(values)
            assert values["type"] == sent.event
            seen.add(sent.event)
    assert {"accepted", "stage", "scores", "token", "done", "error"} <= seen
    assert not validator.is_valid({"type": "token", "id": 1})


def test_cancelling_ends_the_answer_with_what_there_is(start: Start, volume: Voxels) -> None:
    backend = stepped()
    with with_volume(start, volume, backend) as service:
        asking = begin(service, volume)
        backend.steps.release(2)
        question = asking.until_token()
        assert service.request("DELETE", question_path(question))[0] == 204
        done = asking.rest()[-1]
        assert isinstance(done, Done)
        assert done.finish_reason == "cancelled"
        assert done.answer.startswith("é0 ")
        assert service.request("DELETE", question_path(question))[0] == 204
        assert service.request("DELETE", question_path("never-asked"))[0] == 204


@pytest.mark.parametrize("reads", [0, 1, 3])
def test_a_client_that_vanishes_frees_its_place(start: Start, volume: Voxels, reads: int) -> None:
    backend = stepped()
    with with_volume(start, volume, backend) as service:
        asking = begin(service, volume, client="gone")
        for _ in range(reads):
            asking.next()
        asking.vanish()
        eventually(lambda: not backend.jobs, "the place is free")
        assert backend.ended["gone"] == "vanished"
        status, _ = service.json("GET", events_path("unknown"))
        assert status == 404


def test_a_client_that_stops_reading_frees_its_place(start: Start, volume: Voxels) -> None:
    backend = stepped(tokens=4000, text="x" * 10_000)  # more than sockets take unread
    with with_volume(start, volume, backend, stall_s=0.3) as service:
        asking = begin(service, volume, client="asleep")
        backend.steps.release(3000)
        eventually(lambda: not backend.jobs, "the place is free")
        assert backend.ended["asleep"] == "vanished"
        asking.vanish()


def test_reading_on_gives_the_rest_and_nothing_twice(start: Start, volume: Voxels) -> None:
    backend = stepped(tokens=6)
    with with_volume(start, volume, backend, max_grace_s=60) as service:
        asking = begin(service, volume, grace_s=30)
        backend.steps.release(2)
        question = asking.until_token()
        last = asking.reader.last_id
        asking.vanish()
        backend.steps.release(2)
        second = read_on(service, question, last)
        assert isinstance(second.next(), Token)
        backend.steps.release(100)
        tokens = [event.id for event in second.rest() if isinstance(event, Token)]
        assert tokens == [2, 3, 4, 5]
        # the ending got lost, too: it is still there
        assert isinstance(read_on(service, question, last).rest()[-1], Done)
        assert len(read_on(service, question).rest()) == 1 + 2 + 6 + 1
        # given up by its client, it is forgotten
        service.request("DELETE", question_path(question))
        assert service.json("GET", events_path(question))[0] == 404


def test_after_the_grace_the_place_is_free(start: Start, volume: Voxels) -> None:
    backend = stepped()
    with with_volume(start, volume, backend, max_grace_s=0.2) as service:
        asking = begin(service, volume, client="late", grace_s=3600)
        accepted = asking.next()
        assert isinstance(accepted, Accepted)
        assert accepted.grace_s == 0.2
        asking.vanish()
        eventually(lambda: not backend.jobs, "the place is free")
        assert service.json("GET", events_path(accepted.question))[0] == 404


def test_without_grace_nothing_is_kept(start: Start, volume: Voxels) -> None:
    with with_volume(start, volume, SteppedBackend()) as service:
        asking = begin(service, volume)
        accepted = asking.next()
        assert isinstance(accepted, Accepted)
        asking.rest()
        eventually(
            lambda: service.json("GET", events_path(accepted.question))[0] == 404, "forgotten"
        )


def test_only_the_newest_reader_gets_events(start: Start, volume: Voxels) -> None:
    backend = stepped()
    with with_volume(start, volume, backend) as service:
        first = begin(service, volume, grace_s=30)
        backend.steps.release(1)
        question = first.until_token()
        second = read_on(service, question)
        assert isinstance(second.next(), Accepted)
        assert first.rest() == []
        backend.steps.release(100)
        assert isinstance(second.rest()[-1], Done)


def test_silence_is_filled_with_pings(start: Start, volume: Voxels) -> None:
    backend = stepped()
    with with_volume(start, volume, backend, ping_s=0.05) as service:
        asking = begin(service, volume)
        while b": ping" not in asking.raw:
            asking.raw += asking.response.read1()
        asking.vanish()


def test_questions_of_one_client_and_of_all_are_limited(start: Start, volume: Voxels) -> None:
    backend = stepped()
    limits = {"questions_per_client": 2, "questions": 3}
    with with_volume(start, volume, backend, **limits) as service:
        asked = [begin(service, volume, client) for client in ("one", "one", "two")]
        for client, words in (("one", "of yours"), ("three", "too many")):
            body = {"volume": volume.sha256, "question": {"text": "Where?"}}
            status, values = service.json("POST", "/v1/questions", body, client=client)
            assert (status, values["code"]) == (429, "too-many")
            assert words in values["detail"]
        asked[0].vanish()
        eventually(lambda: len(backend.jobs) == 2, "the place is free")
        asked[0] = begin(service, volume, "three")
        backend.steps.release(1000)
        assert all(isinstance(asking.rest()[-1], Done) for asking in asked)
        assert isinstance(begin(service, volume, "one").rest()[-1], Done)


def test_few_answers_are_kept_for_a_client(start: Start, volume: Voxels) -> None:
    with with_volume(start, volume, SteppedBackend()) as service:
        questions = []
        for _ in range(20):
            asking = begin(service, volume, grace_s=60)
            accepted = asking.next()
            assert isinstance(accepted, Accepted)
            questions.append(accepted.question)
            asking.rest()
        known = [service.request("GET", events_path(q))[0] == 200 for q in questions]
    assert known[-1]
    assert sum(known) < 12


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ResourceError("The memory is full.", hint="Wait."), "resources"),
        (InputError("Too long."), "bad-input"),
        (RuntimeError("SECRET words of a person"), "error"),
    ],
)
def test_a_failure_is_the_last_event(
    start: Start, volume: Voxels, failure: Exception, code: str
) -> None:
    with with_volume(start, volume, SteppedBackend(tokens=1, failure=failure)) as service:
        asking = begin(service, volume)
        *before, last = asking.rest()
        assert isinstance(last, Failed)
        assert last.error.code == code
        assert any(isinstance(event, Token) for event in before)
        assert b"SECRET" not in asking.raw
        assert service.json("GET", "/v1/capabilities")[1]["running"] == 0


def test_an_answer_without_end_or_with_wrong_numbers_is_a_failure(
    start: Start, volume: Voxels
) -> None:
    class Endless(SteppedBackend):
        async def ask(self, job):
            yield Token(1, "a", 0.5)

    class Wrong(SteppedBackend):
        async def ask(self, job):
            yield Token(1, "a", float("nan"))
            yield Token(2, "b", 0.5)

    for backend in (Endless(), Wrong()):
        with with_volume(start, volume, backend) as service:
            last = begin(service, volume).rest()[-1]
            assert isinstance(last, Failed)
            assert isinstance(last.error, Med2E3Error)


@pytest.mark.parametrize("state", ["unloaded", "loading", "failed"])
def test_without_a_model_nothing_is_taken(start: Start, volume: Voxels, state: str) -> None:
    backend = SteppedBackend()
    with with_volume(start, volume, backend) as service:
        backend.state = state  # type: ignore[assignment]
        body = {"volume": volume.sha256, "question": {"text": "Where?"}}
        status, values = service.json("POST", "/v1/questions", body)
        assert (status, values["code"]) == (409, "model-not-ready")


def test_a_service_that_ends_tells_its_clients(start: Start, volume: Voxels) -> None:
    from fixtures.engine_service import running_service

    with running_service(stepped()) as service:
        path = volume_path(volume.sha256, volume.voxels.shape)
        service.request("PUT", path, volume.voxels.tobytes())
        asking = begin(service, volume)
        asking.next()
    last = asking.rest()[-1]
    assert isinstance(last, Failed)
    assert last.error.code == "unreachable"
