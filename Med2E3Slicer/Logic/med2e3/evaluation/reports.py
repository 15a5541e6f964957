"""Whether a free text says what it must and nothing that it must not.

Knows the phrases of a sample; knows nothing of models or of wording.
"""

from __future__ import annotations

import re

from med2e3.data.sample import Sample


def has_statements(sample: Sample) -> bool:
    """Whether the sample says what a right answer holds or does not hold."""
    return bool(sample.mentions or sample.omits)


def statements_right(answer: str, sample: Sample) -> bool:
    """Whether the answer holds every phrase of ``mentions`` and none of ``omits``.

    Case and the amount of white space do not matter.
    """
    text = _plain(answer)
    return all(_plain(phrase) in text for phrase in sample.mentions) and not any(
        _plain(phrase) in text for phrase in sample.omits
    )


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()
