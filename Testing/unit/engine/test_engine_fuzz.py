"""Requests made up from the service's own description never make it fail.

Usually few, and the same each time.  ``MED2E3_FUZZ_EXAMPLES=600`` makes up so many for each
operation, others each time; Hypothesis then prints what repeats a failure.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from unit.engine.conftest import make_volume
from unit.engine.real_model import MODEL_SIZE, model_service

from fixtures.engine_service import TOKEN, Service, Voxels
from med2e3.client import RemoteEngine
from med2e3.protocol import STREAM_MEDIA_TYPE, ServerSentEvents, volume_path

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
OPERATIONS = [
    ("/v1/health", "GET"),
    ("/v1/readiness", "GET"),
    ("/v1/capabilities", "GET"),
    ("/v1/model", "PUT"),
    ("/v1/model", "DELETE"),
    ("/v1/volumes/{sha256}", "HEAD"),
    ("/v1/volumes/{sha256}", "PUT"),
    ("/v1/volumes/{sha256}", "DELETE"),
    ("/v1/questions", "POST"),
    ("/v1/questions/{question}/events", "GET"),
    ("/v1/questions/{question}", "DELETE"),
]
KNOWN = make_volume(5, MODEL_SIZE)
#: examples of each operation in the long mode; 0 is the usual one
LONG = int(os.environ.get("MED2E3_FUZZ_EXAMPLES", "0"))
#: names of models that there are not, hard to look for
NO_MODELS = [
    "~x", "~nobody", "~root", "~", ".", "..", "/", "/dev/stdin", "a\0b", "\0", "x" * 4096,
    "../" * 1365, "x/" * 2048, "con", "\\\\server\\share", "http://127.0.0.1:1/", "é" * 4096, " ",
]  # fmt: skip


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with model_service() as running:
        yield running


def put(service: Service, volume: Voxels) -> None:
    path = volume_path(volume.sha256, volume.voxels.shape)
    assert service.request("PUT", path, volume.voxels.tobytes())[0] == 200


def asked(service: Service) -> str:
    """The id of a question that was answered and can be read on."""
    body = {
        "volume": KNOWN.sha256,
        "question": {"text": "Which plane?"},
        "options": {"max_new_tokens": 2},
        "grace_s": 60,
    }
    status, _, stream = service.request("POST", "/v1/questions", json.dumps(body).encode())
    assert status == 200
    return str(json.loads(ServerSentEvents().feed(stream)[0].data)["question"])


def ends(stream: bytes) -> list[dict[str, Any]]:
    """The events of a whole stream that end it."""
    events = [json.loads(sent.data) for sent in ServerSentEvents().feed(stream)]
    return [event for event in events if event["type"] in ("done", "error")]


def fuzz(service: Service, path: str, method: str, examples: int) -> set[int]:
    """Ask with made-up requests, right ones and wrong ones; gives the statuses that came."""
    schema = schemathesis.openapi.from_url(f"{service.address}/openapi.json")
    operation = schema[path][method]
    statuses: set[int] = set()

    @settings(
        max_examples=LONG or examples,
        deadline=None,
        derandomize=not LONG,
        print_blob=bool(LONG),
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        ),
        st.booleans(),
    )
    def one(case: Any, known: bool) -> None:
        if known:  # about a volume that is there, and not a long answer
            if method == "HEAD":
                case.path_parameters["sha256"] = KNOWN.sha256
            if "question" in (case.path_parameters or {}):
                case.path_parameters["question"] = asked(service)
            if isinstance(case.body, dict) and isinstance(case.body.get("options", {}), dict):
                case.body["volume"] = KNOWN.sha256
                case.body["options"] = case.body.get("options", {}) | {"max_new_tokens": 2}
        response = case.call(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=120)
        case.validate_response(response, checks=CHECKS)
        statuses.add(response.status_code)
        if response.headers.get("Content-Type", "").startswith(STREAM_MEDIA_TYPE):
            said = ends(response.content)
            assert len(said) <= 1 if method == "GET" else len(said) == 1
            for event in said:
                # the request was right, so that an error is the engine's
                assert event["type"] == "done" or event["problem"]["status"] < 500, event

    one()
    return statuses


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_no_request_makes_the_service_fail(service: Service, path: str, method: str) -> None:
    put(service, KNOWN)
    statuses = fuzz(service, path, method, 40)
    assert statuses
    assert max(statuses) < 500
    if (path, method) == ("/v1/questions", "POST"):
        assert 200 in statuses, "some questions are really answered"
    # it still answers
    answer = RemoteEngine(service.address, TOKEN).capabilities()
    assert (answer.state, answer.restarts) == ("ready", 0)


def test_every_operation_is_fuzzed(service: Service) -> None:
    _, description = service.json("GET", "/openapi.json")
    described = {
        (path, method.upper()) for path, said in description["paths"].items() for method in said
    }
    assert described == set(OPERATIONS)


def test_made_up_models_are_refused_and_the_present_one_stays() -> None:
    with model_service(may_change_model=True) as service:
        pid = service.backend.worker_pid
        for name in NO_MODELS:
            status, said = service.json("PUT", "/v1/model", {"model": name})
            assert status == 400, name
            assert said["code"] in ("bad-input", "bad-checkpoint") and len(said["detail"]) < 500
        assert 400 in fuzz(service, "/v1/model", "PUT", 40)
        assert service.backend.status().state == "ready"
        assert (service.backend.worker_pid, service.backend.status().restarts) == (pid, 0)
        assert max(fuzz(service, "/v1/model", "DELETE", 5)) < 500
        assert service.json("GET", "/v1/capabilities")[1]["model"] is None
