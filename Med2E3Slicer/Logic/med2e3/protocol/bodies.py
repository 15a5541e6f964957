"""Questions and options as JSON bodies, and back.

Knows names and types of fields; which values make sense is checked by :mod:`med2e3.asking`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from med2e3.asking import GenerationOptions, Question, Turn
from med2e3.asking.question import Task
from med2e3.errors import InputError


@dataclass(frozen=True)
class AskRequest:
    """The body of ``POST /v1/questions``.

    Args:
        volume: content hash of a volume that was put before.
        question: what is asked.
        options: how to answer.
        grace_s: seconds that the engine goes on, and keeps what it said, after the connection
            broke; 0 stops at once.
    """

    volume: str
    question: Question
    options: GenerationOptions
    grace_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "volume": self.volume,
            "question": question_to_json(self.question),
            "options": options_to_json(self.options),
            "grace_s": self.grace_s,
        }


def question_to_json(question: Question) -> dict[str, Any]:
    """A question as JSON values."""
    return {
        "text": question.text,
        "choices": list(question.choices),
        "task": question.task,
        "history": [
            {"question": turn.question, "answer": turn.answer} for turn in question.history
        ],
    }


def question_from_json(values: Mapping[str, Any]) -> Question:
    """Read what :func:`question_to_json` gave; fields but ``text`` may be missing.

    Raises:
        InputError: for a missing or wrong field, and as :class:`Question` does.
    """
    try:
        task = values.get("task")
        if task is not None and task not in get_args(Task):
            raise ValueError("unknown task")
        return Question(
            text=_text(values["text"]),
            choices=tuple(_text(choice) for choice in values.get("choices") or ()),
            task=task,
            history=tuple(
                Turn(_text(turn["question"]), _text(turn["answer"]))
                for turn in values.get("history") or ()
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("The question is not as the interface describes it.") from error


def options_to_json(options: GenerationOptions) -> dict[str, Any]:
    """Options as JSON values."""
    return options.as_dict()


def options_from_json(values: Mapping[str, Any]) -> GenerationOptions:
    """Read what :func:`options_to_json` gave; missing fields have their default.

    Raises:
        InputError: for a wrong field, and as :class:`GenerationOptions` does.
    """
    known = {
        name: values[name] for name in GenerationOptions.__dataclass_fields__ if name in values
    }
    try:
        known["stop"] = tuple(_text(text) for text in known.get("stop") or ())
        return GenerationOptions(**known)
    except (TypeError, ValueError) as error:
        raise InputError("The options are not as the interface describes them.") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("expected a text")
    return value
