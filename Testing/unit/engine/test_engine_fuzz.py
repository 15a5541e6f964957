"""Requests made up from the service's own description never make it fail."""

from __future__ import annotations

import json
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

from fixtures.engine_service import TOKEN, Service, Voxels, running_service
from med2e3.client import RemoteEngine
from med2e3.engine.worker import WorkerBackend
from med2e3.protocol import volume_path

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


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with model_service() as running:
        yield running


def put(service: Service, volume: Voxels) -> None:
    path = volume_path(volume.sha256, volume.voxels.shape)
    assert service.request("PUT", path, volume.voxels.tobytes())[0] == 200


def fuzz(service: Service, path: str, method: str, examples: int) -> set[int]:
    """Ask with made-up requests, right ones and wrong ones; gives the statuses that came."""
    schema = schemathesis.openapi.from_url(f"{service.address}/openapi.json")
    operation = schema[path][method]
    statuses: set[int] = set()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
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
            if isinstance(case.body, dict) and isinstance(case.body.get("options", {}), dict):
                case.body["volume"] = KNOWN.sha256
                case.body["options"] = case.body.get("options", {}) | {"max_new_tokens": 2}
        response = case.call(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=120)
        case.validate_response(response, checks=CHECKS)
        statuses.add(response.status_code)

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


def test_made_up_models_are_refused() -> None:
    backend = WorkerBackend(device="cpu")
    with running_service(backend, may_change_model=True) as service:
        assert max(fuzz(service, "/v1/model", "PUT", 30)) < 500
        assert max(fuzz(service, "/v1/model", "DELETE", 5)) < 500
        assert json.loads(service.request("GET", "/v1/capabilities")[2])["model"] is None
