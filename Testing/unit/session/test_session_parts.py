"""The small parts of a session: what is kept, text that grows, devices and formats."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from med2e3.errors import ResourceError
from med2e3.session.caches import ByteBoundedLRU
from med2e3.session.decoding import GrowingText
from med2e3.session.devices import choose_device, memory_shortage_said


def test_the_least_recently_used_goes_first() -> None:
    kept = ByteBoundedLRU[bytes](10, len)
    kept.put("a", b"1234")
    kept.put("b", b"1234")
    assert kept.get("a") == b"1234"
    kept.put("c", b"1234")
    assert kept.get("b") is None
    assert kept.get("a") is not None and kept.get("c") is not None
    assert kept.num_bytes == 8


def test_what_is_larger_than_the_bound_is_not_kept() -> None:
    kept = ByteBoundedLRU[bytes](10, len)
    kept.put("a", b"12345678901")
    assert kept.get("a") is None and len(kept) == 0
    kept.put("a", b"12")
    kept.put("a", b"123")
    assert kept.num_bytes == 3


def bytes_of(ids: list[int]) -> str:
    return bytes(ids).decode("utf-8", errors="replace")


def test_a_character_appears_when_all_its_bytes_are_there() -> None:
    text = GrowingText(bytes_of)
    pieces = [text.add(b) for b in "5 µm ≥".encode()]
    assert "\ufffd" not in "".join(pieces)
    assert "".join(pieces) == "5 µm ≥"


def test_bytes_that_never_become_a_character_are_part_of_the_answer() -> None:
    text = GrowingText(bytes_of)
    shown = "".join(text.add(b) for b in b"a\xff")
    assert shown == "a"
    assert text.text == "a\ufffd"


def test_a_stop_text_is_never_shown_even_in_part() -> None:
    text = GrowingText(bytes_of, stop=("END",))
    pieces = []
    for b in b"an ENemy ENDS":
        pieces.append(text.add(b))
        if text.stopped:
            break
    assert text.stopped
    assert "".join(pieces) == text.text == "an ENemy "


def test_the_beginning_of_a_stop_text_is_shown_when_nothing_follows() -> None:
    text = GrowingText(bytes_of, stop=("END",))
    pieces = [text.add(b, last=i == 3) for i, b in enumerate(b"an E")]
    assert "".join(pieces) == text.text == "an E"


def test_what_later_tokens_change_waits_for_them() -> None:
    words = ["it", " is", " n't", " so", " good", " ."]

    def cleaned(ids: Sequence[int]) -> str:
        text = "".join(words[i] for i in ids)
        return text.replace(" n't", "n't").replace(" .", ".")

    text = GrowingText(cleaned, unsettled=4)
    shown = "".join(text.add(i, last=i == 5) for i in range(6))
    assert shown == text.text == "it isn't so good."


def test_a_failed_allocation_is_a_sentence() -> None:
    with pytest.raises(ResourceError, match="not enough free memory"), memory_shortage_said():
        torch.empty(1 << 60)
    with pytest.raises(ResourceError), memory_shortage_said():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    with pytest.raises(RuntimeError, match="size"), memory_shortage_said():
        torch.ones(2) @ torch.ones(3)


def test_the_best_device_is_taken() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    if not torch.backends.mps.is_available():
        assert choose_device("auto") == expected
