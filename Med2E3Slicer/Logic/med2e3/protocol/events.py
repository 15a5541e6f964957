"""Events as JSON, and back.

Knows the fields of each type; does not know how events are put into a stream.  To the events of
:mod:`med2e3.asking` come two that only travel: ``accepted`` (first) and ``error`` (last, instead
of ``done``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

from med2e3.asking import Done, Event, Progress, Scores, Stage, Token
from med2e3.asking.events import FinishReason, StageName
from med2e3.errors import Med2E3Error
from med2e3.protocol.problems import EngineUnreachable, error_of, problem_of


@dataclass(frozen=True)
class Accepted:
    """The engine took the question.

    Args:
        question: its id, for cancelling it and for reading on after a broken connection.
        grace_s: what the engine grants of the grace that was asked for.
    """

    question: str
    grace_s: float = 0.0


@dataclass(frozen=True)
class Failed:
    """The question cannot be answered, or its answer cannot be finished; raise ``error``."""

    error: Med2E3Error


WireEvent = Accepted | Event | Failed

_NAMES: dict[type, str] = {
    Accepted: "accepted",
    Stage: "stage",
    Progress: "progress",
    Scores: "scores",
    Token: "token",
    Done: "done",
    Failed: "error",
}


def event_name(event: WireEvent) -> str:
    """The ``type`` of an event."""
    return _NAMES[type(event)]


def is_last(event: WireEvent) -> bool:
    """Whether nothing follows."""
    return isinstance(event, Done | Failed)


def event_to_json(event: WireEvent) -> dict[str, Any]:
    """An event as JSON values; ``type`` says which it is."""
    values = problem_of(event.error) if isinstance(event, Failed) else asdict(event)
    if isinstance(event, Failed):  # a problem's own ``type`` would hide the event's
        values = {"problem": values}
    return {"type": event_name(event), **values}


def event_from_json(values: object) -> WireEvent | None:
    """Read what :func:`event_to_json` gave.

    Returns:
        The event; None for a type that this version does not know, which is to be ignored.

    Raises:
        EngineUnreachable: when the event is damaged.
    """
    try:
        if not isinstance(values, Mapping):
            raise TypeError("not an object")
        read = _READERS.get(values["type"])
        return read(values) if read else None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineUnreachable(
            "The engine's answer is damaged.",
            hint="Ask again; if it happens again, update the engine and this program.",
            detail=repr(error),
        ) from error


def dumps(event: WireEvent) -> str:
    """An event as one line of JSON.

    Raises:
        ValueError: when a number is not finite.
    """
    return json.dumps(event_to_json(event), allow_nan=False, separators=(",", ":"))


def loads(line: str) -> WireEvent | None:
    """Read what :func:`dumps` gave; see :func:`event_from_json`."""
    try:
        values = json.loads(line)
    except ValueError:
        values = None
    return event_from_json(values)


def _done(values: Mapping[str, Any]) -> Done:
    seed = values.get("seed")
    reason = values["finish_reason"]
    if reason not in get_args(FinishReason):
        raise ValueError("unknown finish_reason")
    return Done(
        answer=str(values["answer"]),
        token_ids=tuple(int(token) for token in values["token_ids"]),
        token_probabilities=_numbers(values["token_probabilities"]),
        scores=_numbers(values["scores"]),
        finish_reason=reason,
        choice_probabilities=_named_numbers(values.get("choice_probabilities")),
        timings_s=_named_numbers(values.get("timings_s")),
        cache_hits=tuple(str(name) for name in values.get("cache_hits") or ()),
        seed=None if seed is None else int(seed),
    )


def _stage(values: Mapping[str, Any]) -> Stage | None:
    # a stage that a newer engine has is no reason to fail
    return Stage(values["name"]) if values["name"] in get_args(StageName) else None


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _named_numbers(values: Any) -> dict[str, float]:
    return {str(name): float(value) for name, value in (values or {}).items()}


_READERS: dict[str, Callable[[Mapping[str, Any]], WireEvent | None]] = {
    "accepted": lambda v: Accepted(str(v["question"]), float(v.get("grace_s", 0))),
    "stage": _stage,
    "progress": lambda v: Progress(int(v["done"]), int(v["total"])),
    "scores": lambda v: Scores(_numbers(v["values"])),
    "token": lambda v: Token(int(v["id"]), str(v["text"]), float(v["probability"])),
    "done": _done,
    "error": lambda v: Failed(error_of(v["problem"])),
}
