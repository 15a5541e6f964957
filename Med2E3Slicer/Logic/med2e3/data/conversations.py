"""Reads the conversations that Med-2E3's published code is trained with.

Knows their JSON: a list of ``{"id", "conversations": [{"from": "human"|"gpt", "value"}, ...],
"vision3d": ["relative.npy"], "question", "question_type"}``.  Every answer becomes one sample, with
the turns before it as its history.  Knows nothing of voxels.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from med2e3.asking.question import IMAGE_MARK, Task, Turn
from med2e3.data.json_array import iterate_array
from med2e3.data.m3d_cap import REPORT_QUESTIONS
from med2e3.data.refusals import Refusal, Refuse
from med2e3.data.sample import TOPICS, Sample

_CHOICES = re.compile(r"(?s)(?P<text>.+?)\s+Choices:\s*(?P<choices>A\.\s.*)")
_ANSWER = re.compile(r"(?s)([A-Z])\.\s+(.+)")
#: 2D pictures, which the published model was not trained with
_PICTURE_MARK = "<image>"
_REPORT_WORDS = ("caption", "report", "finding")


class _BadRecordError(Exception):
    """Why a record cannot be used, as a sentence."""


def read_conversations(path: Path, *, split: str, refuse: Refuse) -> Iterator[Sample]:
    """Read conversations, one after the other.

    ``Sample.volume`` is the path of the file; the caller finds the volume that it means.
    ``Sample.scoring_text`` is the record's ``question``.  A question with ``Choices: A. ...`` whose
    answer is one of them is a closed one.

    Args:
        path: the JSON file.
        split: the file's.
        refuse: gets each record that is left out, with its number in the list and the reason.

    Raises:
        InputError: when the file cannot be read or is no JSON list.
    """
    for number, record in enumerate(iterate_array(path), 1):
        try:
            yield from _samples(record, split)
        except _BadRecordError as problem:
            refuse(Refusal(f"{path.name}: record {number}", str(problem)))


def _samples(record: Any, split: str) -> list[Sample]:
    if not isinstance(record, dict):
        raise _BadRecordError("The record is no object.")
    identity = _identity(record)
    volume = _volume(record)
    scoring_text = record.get("question")
    if not isinstance(scoring_text, str) or not scoring_text.strip():
        raise _BadRecordError("The record has no question, which TG-IS reads.")
    turns = _turns(record)
    topic = _topic(record.get("question_type"))
    samples = []
    for place, turn in enumerate(turns):
        text, choices, answer, letter = _parts(turn)
        if place and not text:
            raise _BadRecordError("A later question is empty.")
        samples.append(
            Sample(
                id=identity if len(turns) == 1 else f"{identity}#{place + 1}",
                volume=volume,
                split=split,
                task=_task(text, choices, topic, record.get("question_type")),
                answer=answer,
                question=text,
                topic=topic,
                choices=choices,
                answer_choice=letter,
                history=tuple(turns[:place]),
                scoring_text=scoring_text,
            )
        )
    return samples


def _identity(record: dict[str, Any]) -> str:
    identity = record.get("id")
    if isinstance(identity, bool) or not isinstance(identity, str | int) or identity == "":
        raise _BadRecordError("The record has no id.")
    return str(identity)


def _volume(record: dict[str, Any]) -> str:
    volumes = record.get("vision3d")
    if not isinstance(volumes, list) or not volumes or not isinstance(volumes[0], str):
        raise _BadRecordError("The record has no volume (vision3d).")
    if len(volumes) > 1:
        raise _BadRecordError(f"The record has {len(volumes)} volumes; one can be used.")
    if record.get("vision2d"):
        raise _BadRecordError("The record has 2D pictures (vision2d), which cannot be used.")
    return str(volumes[0])


def _turns(record: dict[str, Any]) -> list[Turn]:
    said = record.get("conversations")
    if not isinstance(said, list) or not said or len(said) % 2:
        raise _BadRecordError("The conversation is not questions and answers in turn.")
    for place, message in enumerate(said):
        if (
            not isinstance(message, dict)
            or message.get("from") != ("gpt" if place % 2 else "human")
            or not isinstance(message.get("value"), str)
        ):
            raise _BadRecordError("The conversation is not questions and answers in turn.")
    questions = [_question(message["value"], place == 0) for place, message in enumerate(said[::2])]
    answers = [message["value"].strip() for message in said[1::2]]
    marks = sum(text.count(IMAGE_MARK) for text in questions)
    if marks > 1 or any(IMAGE_MARK in text for text in answers):
        raise _BadRecordError(f"{IMAGE_MARK} stands elsewhere than once in a question.")
    if any(_PICTURE_MARK in text for text in (*questions, *answers)):
        raise _BadRecordError(f"The conversation holds {_PICTURE_MARK}, a 2D picture.")
    if not all(answers):
        raise _BadRecordError("An answer is empty.")
    return [Turn(*pair) for pair in zip(questions, answers, strict=True)]


def _question(text: str, is_first: bool) -> str:
    """A question without the mark where it stands by itself: at the start of the first one."""
    text = text.strip()
    if is_first and text == IMAGE_MARK:
        return ""
    return text.removeprefix(f"{IMAGE_MARK}\n") if is_first else text


def _parts(turn: Turn) -> tuple[str, tuple[str, ...], str, str]:
    """Question, choices, answer and letter; no choices where the answer names none of them."""
    found, answer = _CHOICES.fullmatch(turn.question), _ANSWER.fullmatch(turn.answer)
    choices = _split_choices(found["choices"]) if found else ()
    if not found or not answer or len(choices) < 2 or not all(choices):
        return turn.question, (), turn.answer, ""
    letter, text = answer[1], answer[2].strip()
    place = string.ascii_uppercase.index(letter)
    if place >= len(choices) or choices[place].casefold() != text.casefold():
        raise _BadRecordError(f"The answer {letter} is another text than choice {letter}.")
    return found["text"], choices, text, letter


def _split_choices(text: str) -> tuple[str, ...]:
    """The choices of ``A. liver B. lung``; letters that are not next belong to a choice's text."""
    starts, at = [], 0
    for letter in string.ascii_uppercase:
        found = re.compile(rf"(?:^|(?<=\s)){letter}\.\s").search(text, at)
        if found is None:
            break
        starts.append(found)
        at = found.end()
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return tuple(text[start.end() : end].strip() for start, end in zip(starts, ends, strict=True))


def _topic(question_type: Any) -> str:
    if isinstance(question_type, bool) or question_type is None:
        return ""
    text = str(question_type).strip()
    if text.isdecimal() and 1 <= int(text) <= len(TOPICS):
        return TOPICS[int(text) - 1]
    return "" if text.isdecimal() else text


def _task(text: str, choices: tuple[str, ...], topic: str, question_type: Any) -> Task:
    if choices:
        return "closed_vqa"
    if topic in TOPICS:
        return "open_vqa"
    named = str(question_type or "").lower()
    is_report = any(word in named for word in _REPORT_WORDS)
    is_report |= not text or text.replace(IMAGE_MARK, "").strip() in REPORT_QUESTIONS
    return "report" if is_report else "open_vqa"
