"""Text to token ids and back, exactly as the language model saw it in training.

The published models were trained with tokenizers written in Python; the tokenizers library, which
reads the same files today, differs from them in blanks, in broken characters and in which special
tokens it leaves out.  The differences are named here as habits, found out once at conversion and
kept with the model.  Knows nothing of images or of prompts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tokenizers.pre_tokenizers import Metaspace

_BLANK = "▁"  # SentencePiece's mark for a space
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # SentencePiece's spelling of a byte
_BROKEN = "\ufffd"

#: what "clean up" takes a blank away from
_TIGHT = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")


@dataclass(frozen=True)
class TokenizerHabits:
    """How a tokenizer was used in training, where the library's own way differs.

    Args:
        begins: a begin token stands before the first piece of text.
        ends: an end token stands after every piece of text.
        sentencepiece: the tokenizer was SentencePiece's own; the next two belong to it.
        legacy: the blank is put before every run of text between added tokens, not only before
            the piece.
        add_prefix_space: a blank is put before every piece, and taken away when decoding.
        skipped_ids: tokens that do not appear in an answer's text.
        separate_ids: added tokens that do appear; what stands between them is decoded by itself.
        separator: stands between those parts.
        clean_up: blanks before punctuation are removed from an answer.
    """

    begins: bool = False
    ends: bool = False
    sentencepiece: bool = False
    legacy: bool = False
    add_prefix_space: bool = True
    skipped_ids: Sequence[int] = ()
    separate_ids: Sequence[int] = ()
    separator: str = " "
    clean_up: bool = False

    @classmethod
    def of(cls, tokenizer: Any) -> TokenizerHabits:
        """What can be told from a tokenizer alone, for a model that was not converted."""
        splitter = tokenizer.backend_tokenizer.pre_tokenizer
        ids = tokenizer("test").input_ids
        named = {
            tokenizer.unk_token_id,
            tokenizer.bos_token_id,
            tokenizer.eos_token_id,
            tokenizer.pad_token_id,
        } - {None}
        return cls(
            begins=bool(ids) and ids[0] == tokenizer.bos_token_id,
            sentencepiece=isinstance(splitter, Metaspace) and splitter.prepend_scheme == "first",
            skipped_ids=tuple(sorted(named)),
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a JSON file."""
        values = asdict(self)
        return values | {k: list(v) for k, v in values.items() if isinstance(v, tuple)}


class TextCodec:
    """Encodes pieces of a prompt and decodes answers.

    Args:
        tokenizer: the language model's, of the tokenizers library.
        habits: how it was used in training.
    """

    def __init__(self, tokenizer: Any, habits: TokenizerHabits) -> None:
        self.tokenizer = tokenizer
        self.habits = habits
        self._skipped = frozenset(habits.skipped_ids)
        self._separate = frozenset(habits.separate_ids)

    @property
    def unsettled(self) -> int:
        """Characters at the end of a decoded text that later tokens may still change."""
        return max(map(len, _TIGHT)) if self.habits.clean_up else 0

    def encode(self, piece: str) -> list[int]:
        """Token ids of one piece of text, without a begin token."""
        if not self.habits.sentencepiece:
            ids = self._ids(piece)
        elif self.habits.legacy:
            ids = self._encode_runs(piece)
        else:
            ids = self._encode_whole(piece)
        return [*ids, self.tokenizer.eos_token_id] if self.habits.ends else ids

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _encode_whole(self, piece: str) -> list[int]:
        start = _BLANK if self.habits.add_prefix_space else ""
        ids = self._ids(start + piece.replace(_BLANK, " "))
        blank = self.tokenizer.convert_tokens_to_ids(_BLANK)
        if len(ids) > 1 and ids[0] == blank and ids[1] in self._skipped:
            return ids[1:]
        return ids

    def _encode_runs(self, piece: str) -> list[int]:
        """Each run of text between added tokens by itself, with a blank before it."""
        added = self.tokenizer.added_tokens_decoder
        found = self.tokenizer.backend_tokenizer.encode(piece, add_special_tokens=False)
        ids: list[int] = []
        start = 0
        for token, (begin, end) in zip(found.ids, found.offsets, strict=True):
            if token in added:
                ids += self._encode_run(piece[start:begin])
                ids.append(token)
                start = end
        return ids + self._encode_run(piece[start:])

    def _encode_run(self, run: str) -> list[int]:
        return self._ids(_BLANK + run) if run else []

    def decode(self, ids: Sequence[int]) -> str:
        """The text of an answer's ids; ids beyond the tokenizer's are left out."""
        size = len(self.tokenizer)
        kept = [i for i in ids if i not in self._skipped and i < size]
        text = self.habits.separator.join(self._parts(kept))
        if self.habits.clean_up:
            for tight in _TIGHT:
                text = text.replace(tight, tight.strip())
        return text

    def _parts(self, ids: list[int]) -> Iterator[str]:
        run: list[int] = []
        for token in ids:
            if token in self._separate:
                before = self._decode_run(run)
                if before:
                    yield before
                yield self.tokenizer.convert_ids_to_tokens(token)
                run = []
            else:
                run.append(token)
        if run:
            yield self._decode_run(run)

    def _decode_run(self, ids: list[int]) -> str:
        if not self.habits.sentencepiece:
            text: str = self.tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=False)
            return text
        pieces: list[str] = self.tokenizer.convert_ids_to_tokens(ids)
        if pieces and self.habits.add_prefix_space:
            pieces[0] = pieces[0].removeprefix(_BLANK)
        return join_pieces(pieces, drop_first_blank=self.habits.legacy)


def join_pieces(pieces: Sequence[str], *, drop_first_blank: bool) -> str:
    """SentencePiece's pieces as text.

    Bytes become the characters that they spell; each byte that is part of none becomes U+FFFD.

    Args:
        pieces: as in the vocabulary, ``▁`` for a blank and ``<0x41>`` for a byte.
        drop_first_blank: a blank at the very beginning is not part of the text.
    """
    text = ""
    spelled = bytearray()
    for piece in pieces:
        byte = _BYTE.fullmatch(piece)
        if byte:
            spelled.append(int(byte[1], 16))
            continue
        text += _characters(spelled)
        spelled.clear()
        shown = piece.replace(_BLANK, " ")
        if drop_first_blank and not text and shown.startswith(" "):
            shown = shown[1:]
            drop_first_blank = False
        text += shown
    return text + _characters(spelled)


def _characters(spelled: bytearray) -> str:
    text = ""
    start = 0
    while start < len(spelled):
        for size in range(1, 5):
            try:
                text += spelled[start : start + size].decode()
            except UnicodeDecodeError:
                continue
            start += size
            break
        else:
            text += _BROKEN
            start += 1
    return text
