"""What operators see: numbers, who may read them, and logs for programs."""

from __future__ import annotations

import http.client
import json
import logging
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families
from unit.engine.conftest import Start, make_volume

from fixtures.engine_service import TOKEN, Service, SteppedBackend, Voxels, eventually
from med2e3.asking import GenerationOptions, Question
from med2e3.client import RemoteEngine
from med2e3.engine.logs import JsonLines
from med2e3.errors import InputError, ResourceError

QUESTION = "Is there anything about Jane Doe?"


def numbers(service: Service, **more: object) -> dict[tuple[str, ...], float]:
    _, _, body = service.request("GET", "/metrics", **more)  # type: ignore[arg-type]
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def ask(service: Service, volume: Voxels, cancel: threading.Event | None = None) -> None:
    engine = RemoteEngine(service.address, TOKEN)
    for _ in engine.ask(volume, Question(QUESTION), GenerationOptions(), cancel=cancel):
        pass


def test_questions_tokens_and_times_are_counted(start: Start, volume: Voxels) -> None:
    service = start(SteppedBackend(tokens=5))
    before = numbers(service)
    assert before[("med2e3_tokens_total",)] == 0
    ask(service, volume)
    ask(service, make_volume(1))
    service.backend.failure = ResourceError("Too little memory.")
    with pytest.raises(ResourceError):
        ask(service, volume)
    eventually(lambda: not service.backend.jobs, "all jobs end")
    after = numbers(service)
    assert after[("med2e3_questions_total", "length")] == 2
    assert after[("med2e3_questions_total", ResourceError("x").code)] == 1
    assert after[("med2e3_tokens_total",)] == 15
    assert after[("med2e3_first_token_seconds_count",)] == 3
    assert after[("med2e3_answer_seconds_count",)] == 3
    assert after[("med2e3_volumes",)] == 2
    assert after[("med2e3_state", "ready")] == 1
    assert after[("med2e3_state", "failed")] == 0


def test_a_vanished_client_and_a_running_question_are_seen(start: Start, volume: Voxels) -> None:
    service = start(SteppedBackend(steps=threading.Semaphore(1)))
    engine = RemoteEngine(service.address, TOKEN, grace_s=0)
    events = engine.ask(volume, Question(QUESTION))
    next(events)
    assert numbers(service)[("med2e3_questions_running",)] == 1
    events.close()  # type: ignore[attr-defined]
    eventually(lambda: not service.backend.jobs, "the job ends")
    found = numbers(service)
    assert found[("med2e3_questions_running",)] == 0
    ended = {k[1]: v for k, v in found.items() if k[0] == "med2e3_questions_total"}
    assert sum(ended.values()) == 1
    assert set(ended) <= {"cancelled", "abandoned"}


def test_nothing_of_clients_is_told(start: Start, volume: Voxels) -> None:
    service = start()
    ask(service, volume)
    _, headers, body = service.request("GET", "/metrics", client="jane.doe")
    assert headers["content-type"].startswith("text/plain")
    for secret in (QUESTION, "Jane", "jane", volume.sha256, TOKEN, "127.0.0.1"):
        assert secret.encode() not in body


def test_who_may_read_them(start: Start) -> None:
    service = start()

    def status(headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        connection.request("GET", "/metrics", headers=headers)
        code = connection.getresponse().status
        connection.close()
        return code

    assert status({}) == 200
    assert status({"X-Forwarded-For": "192.0.2.7"}) == 401
    assert status({"Forwarded": "for=192.0.2.7"}) == 401
    assert status({"Host": "rebound.example.org:8734"}) == 401
    passed_on = {"X-Forwarded-For": "192.0.2.7", "Authorization": f"Bearer {TOKEN}"}
    assert status(passed_on) == 200


def test_a_log_for_programs_is_one_object_a_line_without_an_exceptions_words() -> None:
    try:
        raise InputError("The file of Jane Doe.")
    except InputError as error:
        failure = (type(error), error, error.__traceback__)
    record = logging.LogRecord("med2e3.x", logging.ERROR, "f", 1, "it %s\nso", ("went",), failure)
    line = JsonLines().format(record)
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["level"], entry["logger"], entry["message"]) == (
        "ERROR",
        "med2e3.x",
        "it went\nso",
    )
    assert "InputError" in entry["failure"]
    assert "Jane" not in line
