"""The question: what a person types, and the text that the model gets for it.

Knows the wording of M3D's tasks (facts: M3D-Bench; closed VQA is ``"{question} Choices: A. ..
B. .."``) and where the image stands.  Knows nothing of system prompts, templates or token ids.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Literal

from med2e3.errors import InputError

Task = Literal["report", "open_vqa", "closed_vqa"]

#: where the image features are put into a text
IMAGE_MARK = "<image3d>"

#: the caption question of M3D-Cap that asks for the findings of the whole volume
REPORT_QUESTION = "Can you provide a caption consists of findings for this medical image?"


@dataclass(frozen=True)
class Turn:
    """One earlier exchange of the same conversation: a question's text and the answer given."""

    question: str
    answer: str


@dataclass(frozen=True)
class Question:
    """One question about one volume.

    Args:
        text: the question as typed.  It may hold one ``<image3d>`` mark to say where the image
            stands; without it the image comes first, on a line of its own.
        choices: the options of a multiple-choice question, without their letters (2 to 26).
        task: what is asked for; by default ``closed_vqa`` with choices, else ``open_vqa``.
        history: earlier turns, oldest first.  The image then stands in the first of them.

    Raises:
        InputError: for an empty question, one single choice, an empty choice, more than 26
            choices, a second ``<image3d>``, or one in an earlier answer.
    """

    text: str
    choices: tuple[str, ...] = ()
    task: Task | None = None
    history: tuple[Turn, ...] = ()

    def __post_init__(self) -> None:
        if not self.text.replace(IMAGE_MARK, "").strip():
            raise InputError("The question is empty.", hint="Type a question about the volume.")
        if len(self.choices) == 1 or len(self.choices) > len(string.ascii_uppercase):
            raise InputError(
                f"A multiple-choice question needs 2 to 26 choices; this one has "
                f"{len(self.choices)}.",
                hint="Give each option as a choice of its own, or no choices for an open question.",
            )
        if any(not choice.strip() for choice in self.choices):
            raise InputError("A choice is empty.", hint="Give each choice some text.")
        said = [self.text, *self.choices, *(turn.question for turn in self.history)]
        if any(IMAGE_MARK in turn.answer for turn in self.history):
            raise InputError(
                f"An earlier answer holds {IMAGE_MARK}, which stands for the volume.",
                hint="Leave it out of the answer.",
            )
        if sum(text.count(IMAGE_MARK) for text in said) > 1:
            raise InputError(
                f"The conversation holds {IMAGE_MARK} more than once, but there is one volume.",
                hint=f"Leave {IMAGE_MARK} out: the volume is put first by itself.",
            )

    @classmethod
    def report(cls) -> Question:
        """The question that asks for a report of the whole volume."""
        return cls(REPORT_QUESTION, task="report")

    @property
    def letters(self) -> tuple[str, ...]:
        """``("A", "B", ...)``, one for each choice."""
        return tuple(string.ascii_uppercase[: len(self.choices)])

    @property
    def resolved_task(self) -> Task:
        """The task, worked out from the choices where it was not given."""
        return self.task or ("closed_vqa" if self.choices else "open_vqa")

    @property
    def with_choices(self) -> str:
        """The question's text followed by its choices, image mark included if it was typed."""
        if not self.choices:
            return self.text
        options = " ".join(
            f"{letter}. {choice}" for letter, choice in zip(self.letters, self.choices, strict=True)
        )
        return f"{self.text} Choices: {options}"

    @property
    def scoring_text(self) -> str:
        """The text that TG-IS scores the slices against: no image mark, nothing else removed."""
        text = self.with_choices
        for mark in (IMAGE_MARK + "\n", "\n" + IMAGE_MARK, IMAGE_MARK):
            text = text.replace(mark, "")
        return text

    @property
    def user_turns(self) -> tuple[str, ...]:
        """What the person says in each turn, oldest first, the image mark in exactly one."""
        turns = [*(t.question for t in self.history), self.with_choices]
        if not any(IMAGE_MARK in turn for turn in turns):
            turns[0] = f"{IMAGE_MARK}\n{turns[0]}"
        return tuple(turns)
