"""METEOR against nltk's own recipe, and WordNet's files as WordNet reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.tokenize import word_tokenize
from nltk.translate.meteor_score import single_meteor_score

from med2e3.errors import InputError
from med2e3.evaluation.meteor import Meteor, split_sentences
from med2e3.evaluation.wordnet import WordNet

WORDS = st.sampled_from(
    [
        *("the", "a", "mass", "masses", "lung", "lungs", "is", "are", "large", "big"),
        *("growing", "grew", "no", "effusion", ",", "Right", "3.5", "cm"),
    ]
)
SENTENCE = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
#: what our small WordNet calls the same
SYNSETS = {
    "noun": [("mass", "lump"), ("lung",), ("tumor", "tumour", "new_growth")],
    "verb": [("grow", "Increase")],
    "adj": [("large(a)", "big"), ("well",)],
    "adv": [("right", "correctly")],
}
EXCEPTIONS = {"verb": "grew grow\n", "adj": "better well\n"}
_POS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}


@pytest.fixture(scope="module")
def wordnet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in WordNet's format, with lines of licence at the top as in the real one."""
    folder = tmp_path_factory.mktemp("wordnet")
    for part, synsets in SYNSETS.items():
        data = "  1 licence\n  2 licence\n"
        index: dict[str, list[int]] = {}
        for words in synsets:
            offset = len(data)
            fields = " ".join(f"{word} 0" for word in words)
            data += f"{offset:08d} 03 {_POS[part]} {len(words):02x} {fields} 000 | a gloss\n"
            for word in words:
                index.setdefault(word.partition("(")[0].lower(), []).append(offset)
        (folder / f"data.{part}").write_text(data)
        lines = "".join(
            f"{word} {_POS[part]} {len(at)} 1 @ {len(at)} 0 {' '.join(f'{o:08d}' for o in at)}  \n"
            for word, at in sorted(index.items())
        )
        (folder / f"index.{part}").write_text("  1 licence\n" + lines)
        (folder / f"{part}.exc").write_text(EXCEPTIONS.get(part, ""))
    return folder


class NoSynonyms:
    def synsets(self, word: str) -> list[object]:
        return []


@given(SENTENCE, SENTENCE)
@settings(deadline=None, max_examples=150)
def test_without_wordnet_it_is_nltks_without_synonyms(answer: str, reference: str) -> None:
    words = (word_tokenize(text, preserve_line=True) for text in (reference, answer))
    theirs = single_meteor_score(*words, wordnet=NoSynonyms())
    assert Meteor(None)(answer, reference) == pytest.approx(theirs, abs=1e-12)


def test_a_synonym_counts_as_the_word_itself(wordnet_folder: Path) -> None:
    """nltk asks for the synonyms of what Porter's stemmer left, so of "mass" but not of "large"."""
    meteor, without = Meteor(WordNet(wordnet_folder)), Meteor(None)
    same = without("the big mass", "the big mass")
    assert meteor("the big lump", "the big mass") == pytest.approx(same)
    assert without("the big lump", "the big mass") < same
    assert meteor("the large mass", "the big mass") < same


def test_no_word_is_worth_nothing() -> None:
    assert Meteor(None)("", "the lungs are clear") == Meteor(None)("clear", " ") == 0


@pytest.mark.parametrize(
    ("word", "synonyms"),
    [
        ("mass", {"mass", "lump"}),
        ("masses", {"mass", "lump"}),
        ("grew", {"grow", "Increase"}),
        ("growing", {"grow", "Increase"}),
        ("LARGE", {"large", "big"}),
        ("bigger", set()),  # WordNet's rules take "-er" off, which leaves "bigg"
        ("larger", {"large", "big"}),
        ("tumors", {"tumor", "tumour"}),
        ("better", {"well"}),
        ("correctly", {"right", "correctly"}),
        ("unknown", set()),
        ("", set()),
    ],
)
def test_wordnet_finds_base_forms(wordnet_folder: Path, word: str, synonyms: set[str]) -> None:
    assert WordNet(wordnet_folder).synonyms(word) == synonyms


def test_a_folder_without_wordnet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"index\.noun is missing"):
        WordNet(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("The lungs are clear. No effusion.", ["The lungs are clear.", "No effusion."]),
        ("Dr. Smith saw 3.5 cm vs. 4 cm.", ["Dr. Smith saw 3.5 cm vs. 4 cm."]),
        ("The S. aureus abscess.", ["The S. aureus abscess."]),
        ("Benign! Follow up? (Yes.) End", ["Benign!", "Follow up?", "(Yes.)", "End"]),
        ("one line\nno end", ["one line\nno end"]),
        (" ", []),
    ],
)
def test_sentences_end_where_they_end(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_a_period_inside_a_text_is_a_sign_of_its_own() -> None:
    words = Meteor(None).tokenize("The lungs are clear. No effusion.")
    assert words == ["The", "lungs", "are", "clear", ".", "No", "effusion", "."]
