"""Who may ask, in which version, and how a refusal looks."""

from __future__ import annotations

import http.client
import json

import pytest
from unit.engine.conftest import Start

from fixtures.engine_service import TOKEN, Service, SteppedBackend
from med2e3.engine.settings import Limits
from med2e3.notice import NOTICE
from med2e3.protocol import API_VERSION, Capabilities, error_of

CLOSED = [
    ("GET", "/v1/readiness"),
    ("GET", "/v1/capabilities"),
    ("PUT", "/v1/model"),
    ("DELETE", "/v1/model"),
    ("HEAD", f"/v1/volumes/{'0' * 64}"),
    ("PUT", f"/v1/volumes/{'0' * 64}?slices=1&rows=1&columns=1"),
    ("DELETE", f"/v1/volumes/{'0' * 64}"),
    ("POST", "/v1/questions"),
    ("GET", "/v1/questions/x/events"),
    ("DELETE", "/v1/questions/x"),
    ("GET", "/v1/nothing"),
    ("GET", "/docs"),
]
WRONG = ["", "Bearer", "Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer \xe9"]


def problem(service: Service, *request: object, **more: object) -> dict[str, object]:
    status, headers, body = service.request(*request, **more)  # type: ignore[arg-type]
    assert headers["content-type"] == "application/problem+json"
    values = json.loads(body)
    assert set(values) == {"type", "title", "status", "detail", "code", "hint"}
    assert values["status"] == status
    assert values["type"].endswith(values["code"])
    assert values["detail"].endswith(".")
    return values


def test_the_description_lists_all_that_is_closed(start: Start) -> None:
    _, description = start().json("GET", "/openapi.json")
    operations = {
        (method, path)
        for path, methods in description["paths"].items()
        for method, said in methods.items()
        if said.get("security")
    }
    assert len(operations) == len([path for _, path in CLOSED if "nothing" not in path]) - 1
    assert set(description["paths"]["/v1/health"]["get"]) & {"security"} == set()


def test_the_description_says_how_a_volume_is_hashed_and_which_headers_there_are(
    start: Start,
) -> None:
    _, description = start().json("GET", "/openapi.json")
    put = description["paths"]["/v1/volumes/{sha256}"]["put"]
    assert "(slices, rows, columns)" in put["parameters"][0]["description"]
    for header in ("Med2E3-Client", "Med2E3-API-Version"):
        assert header in description["info"]["description"]


@pytest.mark.parametrize("given", WRONG)
def test_nothing_is_told_without_the_token(start: Start, given: str) -> None:
    service = start()
    for method, path in CLOSED:
        status, headers, _ = service.request(method, path, b"{}", {"Authorization": given})
        assert (status, headers["www-authenticate"]) == (401, "Bearer"), (method, path)
    assert not service.backend.puts


def test_a_missing_token_is_told_as_missing(start: Start) -> None:
    service = start()
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.request("GET", "/v1/capabilities")
    values = json.loads(connection.getresponse().read())
    connection.close()
    assert values["code"] == "not-authorized"
    assert "missing" in values["detail"]


def test_health_needs_no_token(start: Start) -> None:
    status, values = start().json("GET", "/v1/health", headers={"Authorization": ""})
    assert (status, values["status"], values["api"]) == (200, "ok", API_VERSION)


def test_capabilities_are_those_that_clients_read(start: Start) -> None:
    said = Capabilities.from_json(start().json("GET", "/v1/capabilities")[1])
    assert said.model is not None
    assert said.model.input_size == (4, 6, 5)
    assert said.notice == f"{NOTICE} A TEST."
    assert (said.state, said.may_change_model) == ("ready", False)


def test_readiness_follows_the_state(start: Start) -> None:
    service = start()
    assert service.json("GET", "/v1/readiness")[0] == 200
    service.backend.state = "loading"
    status, values = service.json("GET", "/v1/readiness")
    assert (status, values) == (503, {"ready": False, "state": "loading", "problem": ""})


def test_another_version_is_told_so(start: Start) -> None:
    service = start()
    for request in (
        {"path": "/v2/capabilities"},
        {"path": "/v1/capabilities", "headers": {"Med2E3-API-Version": "2.1"}},
    ):
        values = problem(service, "GET", **request)
        assert values["code"] == "version"
        assert "version 1" in str(values["detail"])
        assert "version 2" in str(values["detail"])
    assert service.json("GET", "/v1/capabilities", headers={"Med2E3-API-Version": "1.7"})[0] == 200


def test_every_answer_says_its_version_and_is_not_kept(start: Start) -> None:
    service = start()
    for method, path in [*CLOSED, ("GET", "/v1/health")]:
        _, headers, _ = service.request(method, path, b"{}")
        assert headers["med2e3-api-version"] == API_VERSION
        assert headers["cache-control"] == "no-store"


def test_refusals_are_problem_documents(start: Start) -> None:
    service = start()
    assert problem(service, "GET", "/v1/nothing")["code"] == "not-found"
    assert problem(service, "PATCH", "/v1/questions")["status"] == 405
    assert problem(service, "POST", "/v1/questions", b"{")["status"] == 422
    assert problem(service, "POST", "/v1/questions", b"[" * 100_000)["status"] in (400, 422)
    assert problem(service, "GET", "/v1/questions/x/events")["code"] == "unknown-question"
    values = problem(service, "GET", "/v1/capabilities", None, {"Med2E3-Client": "my name"})
    assert values["code"] == "bad-input"


def test_an_unknown_field_is_named_and_nothing_is_echoed(start: Start) -> None:
    body = {"volume": "0" * 64, "question": {"text": "SECRET"}, "options": {"temprature": 1}}
    values = problem(start(), "POST", "/v1/questions", json.dumps(body).encode())
    assert "temprature" in str(values["detail"])
    assert "SECRET" not in str(values)


def test_a_body_that_is_too_large_is_refused(start: Start) -> None:
    service = start(limits=Limits(max_json_bytes=1000))
    body = json.dumps({"volume": "x" * 2000}).encode()
    assert problem(service, "POST", "/v1/questions", body)["status"] == 413

    def parts():  # no Content-Length: the size shows only while it comes
        yield body[:600]
        yield body[600:]

    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.request(
        "POST", "/v1/questions", parts(), {"Authorization": f"Bearer {TOKEN}"}, encode_chunked=True
    )
    assert connection.getresponse().status == 413
    connection.close()


def test_a_model_is_changed_only_where_the_operator_allows_it(start: Start) -> None:
    closed = start()
    for method, body in (("PUT", b'{"model": "stepped"}'), ("DELETE", None)):
        values = problem(closed, method, "/v1/model", body)
        assert (values["status"], values["code"]) == (403, "not-allowed")
    service = start(may_change_model=True)
    assert service.json("DELETE", "/v1/model")[1]["state"] == "unloaded"
    values = problem(service, "PUT", "/v1/model", b'{"model": "/etc"}')
    assert (values["status"], values["code"]) == (400, "bad-input")
    assert service.json("PUT", "/v1/model", {"model": "stepped"})[1]["state"] == "ready"


def test_an_unexpected_failure_is_a_problem_without_its_words(start: Start) -> None:
    class Broken(SteppedBackend):
        def status(self) -> object:
            raise RuntimeError("SECRET")

    values = problem(start(Broken()), "GET", "/v1/capabilities")
    assert (values["status"], values["code"]) == (500, "error")
    assert "SECRET" not in str(values)
    assert error_of(values, 500).sentence == values["detail"]
