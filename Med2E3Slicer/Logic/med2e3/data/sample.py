"""One training or test example: a volume, what is asked about it, and the answer wanted.

Knows the fields and how they are written as one line of JSON.  Knows nothing of files of M3D, of
arrays or of tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from med2e3.asking.question import Question, Task, Turn
from med2e3.atomic import write_lines
from med2e3.errors import InputError

#: M3D-VQA's question types 1 to 5
TOPICS = ("plane", "phase", "organ", "abnormality", "location")


@dataclass(frozen=True)
class Sample:
    """One question about one volume, with its reference answer.

    Args:
        id: unique within a data set.
        volume: key of the volume in its :class:`~med2e3.data.store.VolumeStore`.
        split: ``train``, ``validation`` or ``test`` (or a data set's own name for one).
        task: ``report``, ``open_vqa`` or ``closed_vqa``.
        answer: the reference answer's text; for a closed question the choice's text, no letter.
        question: as a person types it, without choices; empty for the image alone (alignment).
        topic: one of :data:`TOPICS` or a data set's own; empty when there is none.
        choices: of a closed question, without their letters.
        answer_choice: the right choice's letter; empty for other questions.
        history: earlier turns of the conversation, oldest first.
        scoring_text: what TG-IS reads; by default the question with its choices.
        slices: model slices that hold what the answer rests on (targets for score grounding), in
            the order of the stored array; None when that is not known.
        mentions: phrases that a right answer holds (whatever their case); for reports, whose
            wording is free.
        omits: phrases that a right answer does not hold.
    """

    id: str
    volume: str
    split: str
    task: Task
    answer: str
    question: str = ""
    topic: str = ""
    choices: tuple[str, ...] = ()
    answer_choice: str = ""
    history: tuple[Turn, ...] = ()
    scoring_text: str = ""
    slices: tuple[int, ...] | None = None
    mentions: tuple[str, ...] = ()
    omits: tuple[str, ...] = ()

    def as_question(self) -> Question:
        """The question as a person would ask it.

        Raises:
            InputError: when it is empty (the image alone is no question for a person).
        """
        return Question(self.question, self.choices, self.task, self.history)

    @property
    def target(self) -> str:
        """What the model is to say: ``"B. coronal"`` for a closed question, else the answer."""
        return f"{self.answer_choice}. {self.answer}" if self.answer_choice else self.answer

    def to_json(self) -> str:
        """One line of JSON; fields at their defaults are left out."""
        defaults = {field.name: field.default for field in fields(self)}
        values = {k: v for k, v in asdict(self).items() if v != defaults[k]}
        return json.dumps(values, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Sample:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: when the line is something else.
        """
        values: dict[str, Any] = json.loads(line)
        for name in ("choices", "slices", "mentions", "omits"):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        values["history"] = tuple(Turn(**turn) for turn in values.get("history", ()))
        return cls(**values)


def read_samples(path: Path) -> Iterator[Sample]:
    """Read samples from a file of JSON lines, one at a time.

    Raises:
        InputError: when the file cannot be read or a line is no sample.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        yield Sample.from_json(line)
                    except (ValueError, KeyError, TypeError) as error:
                        raise InputError(
                            f"Line {number} of {path.name!r} is no sample.",
                            hint="Make the file again with 'med2e3 data'.",
                            detail=repr(error),
                        ) from error
    except OSError as error:
        raise InputError(
            f"The samples file {path.name!r} cannot be read: {error.strerror or error}.",
            detail=repr(error),
        ) from error


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Write samples as JSON lines, whole or not at all, one at a time.

    Raises:
        InputError: when the file cannot be written.
    """
    write_lines(path, (sample.to_json() for sample in samples))
