"""Which words WordNet calls synonyms, read from WordNet's own database files.

Knows the files of WordNet 3.0 (``index.noun``, ``data.noun``, ``noun.exc`` and so on for verbs,
adjectives and adverbs) and how WordNet finds the base form of an inflected word.  Debian's package
``wordnet-base`` installs them in ``/usr/share/wordnet``; nltk's corpus ``wordnet`` has the same.
Knows nothing of METEOR.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from med2e3.errors import InputError

#: ending of an inflected word and what it is replaced by, for each part of speech
_ENDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "noun": (
        ("s", ""),
        ("ses", "s"),
        ("ves", "f"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    "verb": (
        ("s", ""),
        ("ies", "y"),
        ("es", "e"),
        ("es", ""),
        ("ed", "e"),
        ("ed", ""),
        ("ing", "e"),
        ("ing", ""),
    ),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}


class WordNet:
    """WordNet's database in one folder.

    Args:
        folder: holds ``index.noun`` and its kin.

    Raises:
        InputError: when a file is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in _ENDINGS:
            for name in (f"index.{part}", f"data.{part}", f"{part}.exc"):
                if not (folder / name).is_file():
                    raise InputError(
                        f"The folder {folder.name!r} holds no WordNet database: {name} is missing.",
                        hint="Debian's package wordnet-base installs it in /usr/share/wordnet; "
                        "of nltk's data it is the folder corpora/wordnet.",
                    )
        self._known: dict[str, frozenset[str]] = {}

    def synonyms(self, word: str) -> frozenset[str]:
        """Single words that share a meaning with ``word`` or its base form, spelt as WordNet does.

        Empty for a word that WordNet does not have.
        """
        word = word.lower()
        if word not in self._known:
            self._known[word] = frozenset(
                lemma
                for part in _ENDINGS
                for form in self._base_forms(word, part)
                for offset in self._index[part][form]
                for lemma in self._lemmas(part, offset)
                if "_" not in lemma
            )
        return self._known[word]

    def _base_forms(self, word: str, part: str) -> list[str]:
        """The word itself and what it may be a form of, as far as the index has them."""
        found = self._exceptions[part].get(word)
        if found is None:
            found = [
                word.removesuffix(old) + new for old, new in _ENDINGS[part] if word.endswith(old)
            ]
        index = self._index[part]
        return [form for form in dict.fromkeys([word, *found]) if form in index]

    def _lemmas(self, part: str, offset: int) -> list[str]:
        """The words of one synset: ``data.noun`` counts them in hexadecimal."""
        data = self._data[part]
        fields = data[offset : data.index(b"\n", offset)].decode("utf-8").split()
        count = int(fields[3], 16)
        return [fields[4 + 2 * i].partition("(")[0] for i in range(count)]

    @cached_property
    def _index(self) -> dict[str, dict[str, list[int]]]:
        """For each part of speech: where the synsets of a word begin in the data file."""
        found: dict[str, dict[str, list[int]]] = {}
        for part in _ENDINGS:
            words: dict[str, list[int]] = {}
            for line in self._lines(f"index.{part}"):
                fields = line.split()
                if line.startswith(" ") or not fields:
                    continue
                words[fields[0]] = [int(field) for field in fields[-int(fields[2]) :]]
            found[part] = words
        return found

    @cached_property
    def _exceptions(self) -> dict[str, dict[str, list[str]]]:
        """For each part of speech: irregular forms and what they are forms of."""
        return {
            part: {
                fields[0]: fields[1:]
                for fields in map(str.split, self._lines(f"{part}.exc"))
                if fields
            }
            for part in _ENDINGS
        }

    @cached_property
    def _data(self) -> dict[str, bytes]:
        return {part: (self.folder / f"data.{part}").read_bytes() for part in _ENDINGS}

    def _lines(self, name: str) -> list[str]:
        return (self.folder / name).read_text(encoding="utf-8").splitlines()
