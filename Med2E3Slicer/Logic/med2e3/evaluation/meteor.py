"""METEOR of one answer against one reference, by nltk, with WordNet from a folder or without.

Knows how the paper's figure comes about: words as nltk separates them sentence by sentence, then
exact, Porter-stem and synonym matches with alpha 0.9, beta 3, gamma 0.5.  nltk's splitter of
sentences is trained data that is not shipped; here a rule takes its place
(:func:`split_sentences`).  Knows nothing of data sets.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from med2e3.evaluation.wordnet import WordNet

#: a word before white space that ends in . ? ! or an ellipsis, with what may follow it
_END = re.compile(r"(\S*[.?!][\"'”’)\]}]*)\s+(?=\S)")
#: words with a period after which a sentence goes on
_ABBREVIATIONS = frozenset(
    ["dr", "mr", "mrs", "ms", "prof", "st", "vs", "sr", "jr", "inc", "u.s", "a.m", "p.m"]
)


def available() -> bool:
    """Whether nltk is installed."""
    return importlib.util.find_spec("nltk") is not None


@dataclass(frozen=True)
class _Lemma:
    text: str

    def name(self) -> str:
        return self.text


@dataclass(frozen=True)
class _Synset:
    words: frozenset[str]

    def lemmas(self) -> list[_Lemma]:
        return [_Lemma(word) for word in self.words]


class _Synonyms:
    """What nltk's METEOR asks of WordNet."""

    def __init__(self, wordnet: WordNet | None) -> None:
        self._wordnet = wordnet

    def synsets(self, word: str) -> list[_Synset]:
        return [_Synset(self._wordnet.synonyms(word))] if self._wordnet else []


class Meteor:
    """METEOR with or without synonyms.

    Args:
        wordnet: None leaves the synonyms out; the result must then not be called METEOR.
    """

    def __init__(self, wordnet: WordNet | None) -> None:
        score: Any = importlib.import_module("nltk.translate.meteor_score")
        words: Any = importlib.import_module("nltk.tokenize.destructive")
        self._score: Callable[..., float] = score.single_meteor_score
        self._words: Callable[[str], list[str]] = words.NLTKWordTokenizer().tokenize
        self._synonyms = _Synonyms(wordnet)

    def tokenize(self, text: str) -> list[str]:
        """Words and signs, sentence by sentence."""
        return [word for sentence in split_sentences(text) for word in self._words(sentence)]

    def __call__(self, answer: str, reference: str) -> float:
        """METEOR, 0 to 1; 0 for an answer without a word."""
        said, wanted = self.tokenize(answer), self.tokenize(reference)
        if not said or not wanted:
            return 0.0
        return float(self._score(wanted, said, wordnet=self._synonyms))


def split_sentences(text: str) -> list[str]:
    """Cut a text after . ? and ! before white space, but not after an abbreviation or initial.

    It only decides whether a period inside the text is a sign of its own or part of its word.
    """
    sentences, start = [], 0
    for match in _END.finditer(text):
        word = match[1].rstrip("\"'”’)]}").lstrip("\"'“‘([{")
        bare = word.removesuffix(".").lower()
        initial = word.endswith(".") and len(bare) == 1 and bare.isalpha()
        if initial or (word.endswith(".") and bare in _ABBREVIATIONS):
            continue
        sentences.append(text[start : match.end(1)])
        start = match.end()
    return [*sentences, text[start:]] if text[start:].strip() else sentences
