"""Errors of the service as problem documents.

Knows FastAPI's handlers; the documents themselves are in :mod:`med2e3.protocol.problems`.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from med2e3.engine.gate import NOT_WHOLE, ClientGone, not_whole
from med2e3.errors import InputError, Med2E3Error
from med2e3.protocol import PROBLEM_MEDIA_TYPE, NotFound, problem_of, status_of

_log = logging.getLogger(__name__)
_HINT = "The interface is described at /openapi.json."


class ProblemAnswer(JSONResponse):
    """A problem document."""

    media_type = PROBLEM_MEDIA_TYPE


def documented() -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: the problems that any address may answer with."""
    said = {
        400: "The request cannot be used.",
        401: "The token is missing or wrong.",
        403: "The operator does not allow this.",
        404: "Not held, or not known.",
        405: "No such method here.",
        NOT_WHOLE: "The request's body did not arrive whole, and nothing more came.",
        409: "No model is loaded.",
        413: "Too large.",
        422: "The request is not as described here.",
        429: "A limit is reached.",
        500: "The engine failed.",
        503: "The engine has no memory left for this, or is being stopped.",
    }
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": text, "content": {PROBLEM_MEDIA_TYPE: schema}}
        for status, text in said.items()
    }


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every failure with a problem document."""

    @app.exception_handler(Med2E3Error)
    async def known(_: Request, error: Med2E3Error) -> ProblemAnswer:
        return _answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> ProblemAnswer:
        # where and why, never what was sent
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        said = InputError(f"The request is wrong at {place!r}: {first['msg']}.", hint=_HINT)
        return _answer(said, 422)

    @app.exception_handler(HTTPException)
    async def by_status(_: Request, error: HTTPException) -> ProblemAnswer:
        if error.status_code == HTTPStatus.NOT_FOUND:
            return _answer(NotFound("There is nothing at this address.", hint=_HINT))
        phrase = HTTPStatus(error.status_code).phrase
        said = InputError(f"The request is not possible: {phrase}.", hint=_HINT)
        answer = _answer(said, error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(ClientGone)
    async def gone(_: Request, __: ClientGone) -> ProblemAnswer:
        answer = _answer(not_whole(), NOT_WHOLE)
        answer.headers["connection"] = "close"
        return answer

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> ProblemAnswer:
        said = Med2E3Error(
            f"Something unexpected happened in the engine ({type(error).__name__}).",
            hint="The engine's log says more.",
        )
        return _answer(said)


def _answer(error: Med2E3Error, status: int | None = None) -> ProblemAnswer:
    status = status or status_of(error)
    return ProblemAnswer(problem_of(error, status), status)
