"""Whether an answer to a multiple-choice question names the right choice, and what guessing gives.

Knows the strict match, the reference's loose match, chance, and the prior: the best answer that
can be given without looking at the volume.  Knows nothing of models.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence

from med2e3.data.sample import Sample

_LETTER_FIRST = re.compile(r"\(?([A-Z])\)?\s*(?:[.:)]|$)")


def chosen_letter(answer: str, choices: Sequence[str]) -> str:
    """The letter that an answer names, or an empty text.

    An answer names a letter when it begins with it, as ``B.``, ``B:``, ``B)``, ``(B)`` or ``B``
    alone, or when it is exactly one choice's text (whatever its case, with or without a final
    period).  "A mass ..." does not name A.
    """
    text = answer.strip()
    letters = string.ascii_uppercase[: len(choices)]
    match = _LETTER_FIRST.match(text)
    if match and match[1] in letters:
        return match[1]
    plain = _plain(text)
    same = [letter for letter, c in zip(letters, choices, strict=True) if _plain(c) == plain]
    return same[0] if len(same) == 1 else ""


def strict_match(answer: str, sample: Sample) -> bool:
    """Whether the answer names the right letter, see :func:`chosen_letter`."""
    return chosen_letter(answer, sample.choices) == sample.answer_choice


def loose_match(answer: str, sample: Sample) -> bool:
    """The reference's match: the right letter with a period stands anywhere in the answer."""
    return f"{sample.answer_choice}." in answer


def chance(sample: Sample) -> float:
    """How often a blind guess among the choices is right."""
    return 1 / len(sample.choices)


class Prior:
    """The most frequent right answer to each question's text, among the choices offered.

    It is what a model can reach that reads the question and never looks at the volume.

    Args:
        samples: closed questions with known answers, best of the train split.
    """

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._by_question: dict[str, Counter[str]] = {}
        self._by_topic: dict[str, Counter[str]] = {}
        for sample in samples:
            answer = _plain(sample.answer)
            self._by_question.setdefault(sample.question, Counter())[answer] += 1
            self._by_topic.setdefault(sample.topic, Counter())[answer] += 1

    def expected(self, sample: Sample) -> float:
        """How often the prior's answer is right: 0 or 1, or a share where it has to guess.

        The most frequent answer to the same question text that is among the choices is given; if
        there is none, the most frequent one to the topic; if there is none, a blind guess.
        """
        choices = [_plain(choice) for choice in sample.choices]
        for known in (self._by_question.get(sample.question), self._by_topic.get(sample.topic)):
            counts = {choice: known[choice] for choice in choices} if known else {}
            most = max(counts.values(), default=0)
            if most:
                best = [choice for choice, count in counts.items() if count == most]
                return (_plain(sample.answer) in best) / len(best)
        return chance(sample)


def _plain(text: str) -> str:
    return text.strip().removesuffix(".").strip().casefold()
