"""What a person types and what the model gets for it."""

from __future__ import annotations

import pytest

from med2e3.asking import GenerationOptions, Question, Turn
from med2e3.errors import InputError
from med2e3.model.prompt import conversation


def test_choices_follow_the_question_with_their_letters() -> None:
    question = Question("What is the phase?", choices=("arterial", "venous"))
    assert question.with_choices == "What is the phase? Choices: A. arterial B. venous"
    assert question.letters == ("A", "B")
    assert question.resolved_task == "closed_vqa"


def test_the_image_comes_first_unless_it_is_placed() -> None:
    assert Question("Where?").user_turns == ("<image3d>\nWhere?",)
    assert Question("Where?\n<image3d>").user_turns == ("Where?\n<image3d>",)
    assert Question("Where?\n<image3d>").scoring_text == "Where?"
    assert Question("<image3d>Where?").scoring_text == "Where?"


def test_blanks_inside_a_question_are_kept() -> None:
    typed = "What is  the\tdiameter (≥ 5 mm)?  "
    assert Question(typed).scoring_text == typed
    assert Question(typed).user_turns == (f"<image3d>\n{typed}",)


def test_with_earlier_turns_the_image_stands_in_the_first() -> None:
    question = Question("Where is it?", history=(Turn("Which organ?", "The spleen. "),))
    assert question.user_turns == ("<image3d>\nWhich organ?", "Where is it?")
    text = conversation("phi", question.user_turns, [t.answer for t in question.history])
    assert text.endswith(
        "USER: <image3d>\nWhich organ? ASSISTANT: The spleen.<|endoftext|>"
        "USER: Where is it? ASSISTANT:"
    )


def test_the_report_is_a_task_of_its_own() -> None:
    assert Question.report().resolved_task == "report"


@pytest.mark.parametrize(
    "bad",
    [
        {"text": " \n"},
        {"text": "<image3d>"},
        {"text": "Which?", "choices": ("one",)},
        {"text": "Which?", "choices": ("one", " ")},
        {"text": "<image3d> and <image3d>"},
        {"text": "Where?", "history": (Turn("Which organ?", "The <image3d>."),)},
        {"text": "Which?", "choices": tuple(str(i) for i in range(27))},
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Question(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad",
    [
        {"max_new_tokens": 0},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": float("nan")},
        {"seed": -1},
        {"seed": 10**24},
    ],
)
def test_options_out_of_range_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InputError):
        GenerationOptions(**bad)  # type: ignore[arg-type]
