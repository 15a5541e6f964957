"""Letters, chance, priors and statements."""

from __future__ import annotations

from dataclasses import replace

import pytest

from med2e3.data.sample import Sample
from med2e3.evaluation.choices import Prior, chance, chosen_letter, loose_match, strict_match
from med2e3.evaluation.reports import statements_right

CHOICES = ("axial", "coronal", "A mass", "none")


def closed(answer_choice: str = "B", **changes: object) -> Sample:
    sample = Sample(
        id="x",
        volume="v",
        split="test",
        task="closed_vqa",
        question="Which plane?",
        topic="plane",
        choices=CHOICES,
        answer=CHOICES["ABCD".index(answer_choice)],
        answer_choice=answer_choice,
    )
    return replace(sample, **changes)


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B. coronal", "B"),
        ("B.", "B"),
        ("B", "B"),
        (" (B) coronal", "B"),
        ("B) coronal", "B"),
        ("B: coronal", "B"),
        ("coronal", "B"),
        ("Coronal.", "B"),
        ("a mass", "C"),
        ("A mass", "C"),
        ("A mass in the liver", ""),
        ("The answer is B.", ""),
        ("b. coronal", ""),
        ("E. other", ""),
        ("Because", ""),
        ("", ""),
    ],
)
def test_the_letter_that_an_answer_names(answer: str, letter: str) -> None:
    assert chosen_letter(answer, CHOICES) == letter


def test_a_text_that_two_choices_share_names_no_letter() -> None:
    assert chosen_letter("liver", ("liver", "Liver.", "spleen")) == ""


@pytest.mark.parametrize(
    ("answer", "strict", "loose"),
    [
        ("B. coronal", True, True),
        ("coronal", True, False),
        ("B", True, False),
        ("A. axial, not B.", False, True),
        ("C. mass of grade IIB. Yes", False, True),
        ("C. a mass", False, False),
    ],
)
def test_strict_and_loose_differ(answer: str, strict: bool, loose: bool) -> None:
    assert (strict_match(answer, closed()), loose_match(answer, closed())) == (strict, loose)


def test_prior_takes_the_most_frequent_answer_among_the_choices() -> None:
    known = [closed("B")] * 3 + [closed("A")] * 2 + [closed("D", question="Other?")] * 9
    prior = Prior(known)
    assert prior.expected(closed("B")) == 1
    assert prior.expected(closed("A")) == 0
    # where the most frequent answer is not offered, the next one is the best
    assert prior.expected(closed("A", choices=("axial", "oblique"))) == 1
    # a question never seen: the topic's most frequent answer
    assert prior.expected(closed("D", question="New?")) == 1
    # nothing known: a guess
    assert prior.expected(closed("A", question="New?", topic="new")) == 0.25
    assert Prior([]).expected(closed()) == chance(closed()) == 0.25


def test_prior_shares_equal_frequencies() -> None:
    assert Prior([closed("A"), closed("B")]).expected(closed("A")) == 0.5


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("There is a small\n nodule in the LIVER.", True),
        ("There is a small nodule.", False),
        ("A small nodule in the liver, and a mass.", False),
        ("", False),
    ],
)
def test_statements(answer: str, right: bool) -> None:
    sample = replace(closed(), mentions=("Small nodule", "liver"), omits=("mass",))
    assert statements_right(answer, sample) is right
