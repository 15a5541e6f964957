"""Messages and what they stand for: jobs, volumes, events, errors, the loaded model.

Knows the names of messages and their fields; events, questions and options are written as
:mod:`med2e3.protocol` writes them.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from med2e3.asking import Event
from med2e3.engine.backend import Job, LoadedModel
from med2e3.engine.worker.frames import Message
from med2e3.errors import Med2E3Error
from med2e3.protocol import (
    Accepted,
    Failed,
    event_from_json,
    event_to_json,
    options_from_json,
    options_to_json,
    question_from_json,
    question_to_json,
)
from med2e3.record import ModelRecord

#: what the service says
LOAD, VOLUME, DROP, ASK, CANCEL = "load", "volume", "drop", "ask", "cancel"
#: what the process with the model says
LOADED, EVENT, MEMORY, BROKEN = "loaded", "event", "memory", "broken"


def job_to_json(job: Job) -> Message:
    """A job as a message."""
    return {
        "say": ASK,
        "id": job.id,
        "client": job.client,
        "volume": job.volume,
        "question": question_to_json(job.question),
        "options": options_to_json(job.options),
    }


def job_from_json(message: Message) -> Job:
    """Read what :func:`job_to_json` gave."""
    return Job(
        id=message["id"],
        client=message["client"],
        volume=message["volume"],
        question=question_from_json(message["question"]),
        options=options_from_json(message["options"]),
    )


def outcome_to_json(job: str, outcome: Event | Med2E3Error) -> Message:
    """What happened to a job as a message."""
    event = Failed(outcome) if isinstance(outcome, Med2E3Error) else outcome
    detail = outcome.detail if isinstance(outcome, Med2E3Error) else ""
    return {"say": EVENT, "id": job, "event": event_to_json(event), "detail": detail}


def outcome_from_json(message: Message) -> Event | Med2E3Error | None:
    """Read what :func:`outcome_to_json` gave."""
    event = event_from_json(message["event"])
    if isinstance(event, Failed):
        event.error.detail = message["detail"]
        return event.error
    return None if isinstance(event, Accepted) else event


def model_to_json(model: LoadedModel) -> dict[str, Any]:
    """A loaded model as JSON values."""
    return asdict(model)


def model_from_json(values: dict[str, Any]) -> LoadedModel:
    """Read what :func:`model_to_json` gave."""
    slices, rows, columns = values["input_size"]
    record = ModelRecord.from_dict(values["record"])
    return LoadedModel(**values | {"record": record, "input_size": (slices, rows, columns)})


def broken_to_json(error: Med2E3Error, *, final: bool) -> Message:
    """Why the process ends.

    Args:
        error: what happened.
        final: whether starting it again would not help.
    """
    return outcome_to_json("", error) | {"say": BROKEN, "final": final}


def broken_from_json(message: Message) -> tuple[Med2E3Error, bool]:
    """Read what :func:`broken_to_json` gave."""
    error = outcome_from_json(message)
    assert isinstance(error, Med2E3Error)
    return error, bool(message["final"])
