"""Reads M3D-VQA: questions with four choices, about plane, phase, organ, abnormality, location.

Knows the columns of its CSV files, also of those with yes/no questions only, and what makes a row
unusable.  One row gives an open question, a closed one, or both.  Reads row after row, so that a
file of any size needs no memory.  Knows nothing of voxels.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from med2e3.data.refusals import Refusal, Refuse
from med2e3.data.sample import TOPICS, Sample
from med2e3.errors import InputError

Form = Literal["both", "open", "closed"]
FORMS: tuple[Form, ...] = ("both", "open", "closed")

_NEEDED = ("Image Path", "Question Type", "Question", "Answer")
_CHOICES = ("Choice A", "Choice B", "Choice C", "Choice D")
_LETTERS = "ABCD"
_LETTER_COLUMN = "Answer Choice"
#: what stands for a choice that a question does not have
_NO_CHOICE = ("", "na", "nan", "none", "n/a")
#: in signs; the report that a row repeats is far shorter
_LONGEST_FIELD = 1_000_000


class _BadRowError(Exception):
    """Why a row cannot be used, as a sentence."""


def check_m3d_vqa(path: Path) -> None:
    """Read the first row of a file only.

    Raises:
        InputError: when the file cannot be read or lacks columns.
    """
    for _ in _rows(path, lambda refusal: None):
        break


def read_m3d_vqa(
    path: Path, *, split: str, refuse: Refuse, form: Form = "both"
) -> Iterator[Sample]:
    """Read questions.

    ``Sample.volume`` is the path of the file; the caller finds the volume that it means.  Yes/no
    questions without choices are open questions.

    Args:
        path: the CSV file.
        split: the file's.
        refuse: gets each row that is left out, with its line and the reason.
        form: of each row the open question, the closed one, or both.

    Raises:
        InputError: when the file cannot be read or lacks columns.
    """
    for line, row in _rows(path, refuse):
        try:
            yield from _samples(row, f"{path.stem}/{line}", split, form)
        except _BadRowError as problem:
            refuse(Refusal(path.name, str(problem), line))


def _rows(path: Path, refuse: Refuse) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with the number of its first line."""
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            reader = csv.reader(stream)
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in _NEEDED if name not in header]
            if missing:
                raise InputError(
                    f"The file {path.name!r} is not M3D-VQA: it has no column {missing[0]!r}.",
                    hint=f"Its first line names the columns {', '.join(_NEEDED)}.",
                )
            while True:
                line = reader.line_num + 1
                try:
                    values = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    refuse(Refusal(path.name, f"The line is not CSV ({error}).", line))
                    continue
                if not any(values):
                    continue
                if len(values) != len(header):
                    reason = f"The row has {len(values)} columns in place of {len(header)}."
                    refuse(Refusal(path.name, reason, line))
                    continue
                yield line, dict(zip(header, values, strict=True))
    except OSError as error:
        raise InputError(
            f"The file {path.name!r} cannot be read: {error.strerror or error}.",
            detail=repr(error),
        ) from error


def _samples(row: dict[str, str], identity: str, split: str, form: Form) -> Iterator[Sample]:
    question, answer = _text(row, "Question"), _text(row, "Answer")
    volume = _text(row, "Image Path")
    topic = _topic(row["Question Type"])
    choices = _choices(row)
    letter = row.get(_LETTER_COLUMN, "").strip().rstrip(".").upper()
    if choices:
        _check_letter(letter, choices, answer)
    if form != "closed" or not choices:
        yield Sample(
            id=f"{identity}/open",
            volume=volume,
            split=split,
            task="open_vqa",
            answer=answer,
            question=question,
            topic=topic,
        )
    if form != "open" and choices:
        yield Sample(
            id=f"{identity}/closed",
            volume=volume,
            split=split,
            task="closed_vqa",
            answer=answer,
            question=question,
            topic=topic,
            choices=choices,
            answer_choice=letter,
        )


def _text(row: dict[str, str], column: str) -> str:
    text = row[column].strip()
    if not text:
        raise _BadRowError(f"{column} is empty.")
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise _BadRowError(f"{column} is not UTF-8 text.")
    return text


def _topic(number: str) -> str:
    try:
        value = float(number)
        if value != int(value) or not 1 <= value <= len(TOPICS):
            raise ValueError
    except (ValueError, OverflowError):
        raise _BadRowError(f"Question Type is not a number from 1 to {len(TOPICS)}.") from None
    return TOPICS[int(value) - 1]


def _choices(row: dict[str, str]) -> tuple[str, ...]:
    """The choices without those at the end that are not there; empty for a row that has none."""
    if not all(name in row for name in _CHOICES):
        return ()
    choices = [row[name].strip() for name in _CHOICES]
    while choices and choices[-1].lower() in _NO_CHOICE:
        choices.pop()
    if len(choices) == 1 or not all(choices):
        raise _BadRowError("A choice is empty.")
    if any("\ud800" <= sign <= "\udfff" for choice in choices for sign in choice):
        raise _BadRowError("A choice is not UTF-8 text.")
    return tuple(choices)


def _check_letter(letter: str, choices: tuple[str, ...], answer: str) -> None:
    if len(letter) != 1 or letter not in _LETTERS[: len(choices)]:
        raise _BadRowError(f"Answer Choice is not a letter from A to {_LETTERS[len(choices) - 1]}.")
    choice = choices[_LETTERS.index(letter)]
    if _plain(choice) != _plain(answer):
        raise _BadRowError(f"Answer Choice {letter} is another text than Answer.")


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")
