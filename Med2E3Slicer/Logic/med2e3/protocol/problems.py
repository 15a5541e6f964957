"""Errors as they travel: RFC 9457 problem documents, and the classes they become again.

Knows codes, HTTP statuses and members of a problem document.  The sentence and the hint are made
where the error happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from med2e3.errors import (
    Cancelled,
    CheckpointError,
    InputError,
    Med2E3Error,
    ResourceError,
    WeightsError,
)

PROBLEM_MEDIA_TYPE = "application/problem+json"
#: a problem's ``type`` is this and its code; ``docs/engine-api.md`` explains each
PROBLEM_TYPE = "urn:med2e3:problem:"


class VersionMismatch(Med2E3Error):  # noqa: N818 (a state, not a fault)
    """Client and engine speak different versions of the interface."""

    code = "version"


class NotAuthorized(Med2E3Error):  # noqa: N818
    """The token is missing or wrong."""

    code = "not-authorized"


class NotAllowed(Med2E3Error):  # noqa: N818
    """The engine's operator does not allow this."""

    code = "not-allowed"


class NotFound(Med2E3Error):  # noqa: N818
    """There is no such address."""

    code = "not-found"


class UnknownVolume(NotFound):
    """The engine does not hold the volume (any more); put it again."""

    code = "unknown-volume"


class UnknownQuestion(NotFound):
    """The engine does not know the question (any more)."""

    code = "unknown-question"


class TooLarge(InputError):  # noqa: N818
    """A body, or a volume, is larger than the engine accepts."""

    code = "too-large"


class TooMany(Med2E3Error):  # noqa: N818
    """A limit is reached: questions or volumes of one client, or of all; try again later."""

    code = "too-many"


class ModelNotReady(Med2E3Error):  # noqa: N818
    """No model is loaded, or it is still being loaded."""

    code = "model-not-ready"


class EngineUnreachable(Med2E3Error):  # noqa: N818
    """The engine cannot be reached, or the connection broke."""

    code = "unreachable"


#: code to the HTTP status that goes with it; others are 400 for bad input and 500 for the rest
_STATUS = {
    CheckpointError.code: 400,
    VersionMismatch.code: 400,
    NotAuthorized.code: 401,
    NotAllowed.code: 403,
    NotFound.code: 404,
    UnknownVolume.code: 404,
    UnknownQuestion.code: 404,
    TooLarge.code: 413,
    TooMany.code: 429,
    Cancelled.code: 409,
    ModelNotReady.code: 409,
    ResourceError.code: 503,
    EngineUnreachable.code: 503,
}
#: of the answers that a status gets when its code is not known here
_BY_STATUS: dict[int, type[Med2E3Error]] = {
    400: InputError,
    401: NotAuthorized,
    403: NotAllowed,
    404: NotFound,
    413: TooLarge,
    422: InputError,
    429: TooMany,
    503: EngineUnreachable,
}
#: never of an engine: a download's, and what stops a program on request
_OF_CLIENTS = (WeightsError, Cancelled)
_WITHOUT_SENTENCE = "The engine failed and gave no reason."


def _all_classes(root: type[Med2E3Error]) -> Iterator[type[Med2E3Error]]:
    yield root
    for child in root.__subclasses__():
        yield from _all_classes(child)


def status_of(error: Med2E3Error) -> int:
    """The HTTP status of an error."""
    return _status_of_kind(type(error))


def _status_of_kind(kind: type[Med2E3Error]) -> int:
    return _STATUS.get(kind.code, 400 if issubclass(kind, InputError) else 500)


def engine_codes() -> dict[str, tuple[int, str]]:
    """Every code that an engine answers with, its usual HTTP status and its meaning."""
    kinds = [
        kind
        for kind in _all_classes(Med2E3Error)
        if kind.__module__ in (Med2E3Error.__module__, __name__) and kind not in _OF_CLIENTS
    ]
    return {kind.code: (_status_of_kind(kind), _meaning(kind)) for kind in kinds}


def _meaning(kind: type[Med2E3Error]) -> str:
    if kind is Med2E3Error:
        return "Anything else."
    return (kind.__doc__ or "").partition("\n")[0]


def problem_of(error: Med2E3Error, status: int | None = None) -> dict[str, Any]:
    """An error as a problem document; its ``detail`` for the log stays behind.

    Args:
        error: what happened.
        status: the HTTP status, when it is not the error's own.
    """
    return {
        "type": PROBLEM_TYPE + error.code,
        "title": error.code.replace("-", " ").capitalize(),
        "status": status or status_of(error),
        "detail": error.sentence,
        "code": error.code,
        "hint": error.hint,
    }


def error_of(problem: object, status: int = 0) -> Med2E3Error:
    """The error that a problem document (or any other answer that is no success) stands for.

    Args:
        problem: the parsed JSON, whatever it is.
        status: the HTTP status; 0 for an ``error`` event.
    """
    values: Mapping[str, Any] = problem if isinstance(problem, Mapping) else {}
    code = values.get("code")
    sentence = values.get("detail")
    hint = values.get("hint")
    kinds = {kind.code: kind for kind in _all_classes(Med2E3Error)}
    kind = kinds.get(code) if isinstance(code, str) else None
    if not isinstance(sentence, str) or not sentence:
        sentence = _sentence_without_problem(status)
    return (kind or _BY_STATUS.get(status, Med2E3Error))(
        sentence,
        hint=hint if isinstance(hint, str) else "",
        detail=f"code {code!r}, HTTP status {status}",
    )


def _sentence_without_problem(status: int) -> str:
    if not status:
        return _WITHOUT_SENTENCE
    if status == 401:  # an answer to HEAD has no body
        return "The engine's token is missing or wrong."
    return f"What answers at this address said only 'HTTP status {status}'."
