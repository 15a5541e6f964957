"""BLEU-1 and ROUGE-1 of one answer against one reference.

Knows the two definitions as the paper uses them: BLEU with single words, the tokenizer of
mteval-v13a and the brevity penalty; ROUGE-1 F1 on lower-case letters and digits, without stemming.
Knows nothing of data sets: the paper's figure is the mean of these over all samples.
"""

from __future__ import annotations

import math
import re
from collections import Counter

_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
#: signs that always stand alone; not among them are . , - and the apostrophe
_SIGN = re.compile(r'([!"#$%&()*+/:;<=>?@\[\\\]^_`{|}~])')
_MARK_AFTER_TEXT = re.compile(r"([^0-9])([.,])")
_MARK_BEFORE_TEXT = re.compile(r"([.,])([^0-9])")
_DASH_AFTER_DIGIT = re.compile(r"([0-9])-")
_WORD = re.compile(r"[a-z0-9]+")


def tokenize_13a(text: str) -> list[str]:
    """Words and signs as mteval-v13a separates them; letters keep their case.

    A period or comma between two digits stays inside the number.
    """
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, sign in _ENTITIES:
        text = text.replace(entity, sign)
    text = _SIGN.sub(r" \1 ", f" {text} ")
    text = _MARK_AFTER_TEXT.sub(r"\1 \2 ", text)
    text = _MARK_BEFORE_TEXT.sub(r" \1 \2", text)
    return _DASH_AFTER_DIGIT.sub(r"\1 - ", text).split()


def bleu_1(answer: str, reference: str) -> float:
    """BLEU of single words, 0 to 1: clipped precision times the brevity penalty.

    With c words in the answer and r in the reference the penalty is exp(1 - r/c) for c < r, else
    1.  An answer without a word gets 0.
    """
    said, wanted = tokenize_13a(answer), tokenize_13a(reference)
    if not said or not wanted:
        return 0.0
    precision = (Counter(said) & Counter(wanted)).total() / len(said)
    return precision * min(1.0, math.exp(1 - len(wanted) / len(said)))


def rouge_1(answer: str, reference: str) -> float:
    """ROUGE-1 F1, 0 to 1: the harmonic mean of precision and recall of single words.

    A text without a letter or digit of ASCII gives 0.
    """
    said, wanted = _WORD.findall(answer.lower()), _WORD.findall(reference.lower())
    common = (Counter(said) & Counter(wanted)).total()
    return 2 * common / (len(said) + len(wanted)) if common else 0.0
