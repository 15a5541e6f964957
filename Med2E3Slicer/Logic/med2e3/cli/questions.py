"""Which questions are to be asked, from the command line and from files.

Knows the forms in which questions and earlier turns are written; knows nothing of volumes or
models.  A question's text is passed on exactly as it was written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from med2e3.asking import Question, Turn
from med2e3.asking.question import Task
from med2e3.errors import InputError

_TASKS = get_args(Task)
_QUESTION_FORM = 'Use {"question": "...", "choices": ["...", "..."]} or a plain text for each.'
_TURN_FORM = 'Use [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}, ...].'


def collect_questions(
    texts: Sequence[str],
    *,
    choices: Sequence[str] = (),
    file: Path | None = None,
    conversation: Path | None = None,
    first: Sequence[Question] = (),
) -> list[Question]:
    """Put together what is to be asked, in order.

    Args:
        texts: questions as typed.
        choices: options; they belong to the one question typed.
        file: more questions, see :func:`read_questions`.
        conversation: earlier turns, see :func:`read_conversation`; they precede every question.
        first: questions that come before all others (a report).

    Raises:
        InputError: without any question, for choices without exactly one typed question, for
            files that cannot be read, and for what :class:`Question` refuses.
    """
    history, pending = read_conversation(conversation) if conversation else ((), None)
    typed = [*texts] if pending is None else [pending, *texts]
    if choices and len(typed) != 1:
        raise InputError(
            f"--choice belongs to one question, and there are {len(typed)}.",
            hint="Put questions with choices into a file and give it with --questions.",
        )
    asked = [
        *first,
        *(Question(_valid(text), choices=tuple(map(_valid, choices))) for text in typed),
    ]
    if file:
        asked += read_questions(file)
    if not asked:
        raise InputError(
            "There is no question.", hint="Write it in quotes after the volume, or use --questions."
        )
    return [replace(question, history=history) for question in asked] if history else asked


def read_questions(path: Path) -> list[Question]:
    """Read questions from a file.

    ``.json`` holds a list, ``.jsonl`` one entry on each line; an entry is a text or an object with
    ``question`` and, if wanted, ``choices`` and ``task``.  Any other file holds one question on
    each line; empty lines are skipped.

    Raises:
        InputError: when the file cannot be read or an entry is not a question.
    """
    text = _read_text(path, "questions")
    kind = path.suffix.lower()
    if kind == ".json":
        entries = _json(text, "questions", _QUESTION_FORM)
    elif kind == ".jsonl":
        entries = [
            _json(line, "questions", _QUESTION_FORM) for line in text.split("\n") if line.strip()
        ]
    else:
        entries = [line for line in text.split("\n") if line.strip()]
    if not isinstance(entries, list) or not entries:
        raise InputError("The questions file holds no questions.", hint=_QUESTION_FORM)
    return [_question(entry) for entry in entries]


def read_conversation(path: Path) -> tuple[tuple[Turn, ...], str | None]:
    """Read earlier turns: a list of ``human`` and ``gpt`` turns that take turns.

    Returns:
        The finished turns, oldest first, and the text of a last human turn without an answer,
        which is then a question to be asked.

    Raises:
        InputError: when the file cannot be read or is not such a list.
    """
    entries = _json(_read_text(path, "conversation"), "conversation", _TURN_FORM)
    if isinstance(entries, dict):
        entries = entries.get("conversations")
    if not isinstance(entries, list) or not entries:
        raise InputError("The conversation file holds no turns.", hint=_TURN_FORM)
    values = []
    for number, entry in enumerate(entries):
        speaker = ("human", "gpt")[number % 2]
        if not isinstance(entry, dict) or entry.get("from") != speaker:
            raise InputError(
                f"Turn {number + 1} of the conversation file is not by {speaker!r}.",
                hint=_TURN_FORM,
            )
        if not isinstance(entry.get("value"), str):
            raise InputError(
                f"Turn {number + 1} of the conversation file has no text.", hint=_TURN_FORM
            )
        values.append(entry["value"])
    turns = tuple(
        Turn(question, answer) for question, answer in zip(values[::2], values[1::2], strict=False)
    )
    return turns, values[-1] if len(values) % 2 else None


def _question(entry: Any) -> Question:
    if isinstance(entry, str):
        return Question(_valid(entry))
    if not isinstance(entry, dict) or not isinstance(entry.get("question"), str):
        raise InputError("An entry of the questions file is no question.", hint=_QUESTION_FORM)
    choices = entry.get("choices", [])
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise InputError("The choices of a question must be texts.", hint=_QUESTION_FORM)
    task = entry.get("task")
    if task is not None and task not in _TASKS:
        raise InputError(f"There is no task {task!r}.", hint=f"Use one of {', '.join(_TASKS)}.")
    return Question(_valid(entry["question"]), choices=tuple(map(_valid, choices)), task=task)


def _valid(text: str) -> str:
    """The text itself, where it can be written as UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            "The question holds bytes that are not text in this terminal's encoding.",
            hint="Put it into a UTF-8 file and give it with --questions.",
            detail=repr(error),
        ) from error
    return text


def _read_text(path: Path, what: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise InputError(
            f"The {what} file {path.name!r} cannot be read: {error.strerror or error}.",
            detail=repr(error),
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"The {what} file {path.name!r} is not UTF-8 text.", detail=repr(error)
        ) from error


def _json(text: str, what: str, form: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(
            f"The {what} file is not valid JSON.", hint=form, detail=repr(error)
        ) from None
