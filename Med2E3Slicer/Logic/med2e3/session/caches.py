"""What a session keeps between questions, bounded in bytes.

Two things do not depend on the question: a volume's features, and the language model's keys and
values for everything before the 2D tokens.  Attention is causal, so reusing the latter changes
nothing; a test proves it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from torch import Tensor

Value = TypeVar("Value")

#: keys and values of each layer, (1, heads, length, head width)
KeyValues = list[tuple[Tensor, Tensor]]


class ByteBoundedLRU(Generic[Value]):
    """Keeps the most recently used values whose sizes add up to at most ``max_bytes``.

    Args:
        max_bytes: the bound; a single larger value is not kept.
        size_of: bytes of a value.
    """

    def __init__(self, max_bytes: int, size_of: Callable[[Value], int]) -> None:
        self.max_bytes = max_bytes
        self._size_of = size_of
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        """The value, now the most recently used; None when it is not kept."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value, dropping the least recently used ones that no longer fit."""
        self._values.pop(key, None)
        self._values[key] = value
        while self._values and self.num_bytes > self.max_bytes:
            self._values.popitem(last=False)

    def drop(self, belongs: Callable[[Hashable], bool]) -> None:
        """Drop the values whose keys ``belongs`` says yes to."""
        for key in [key for key in self._values if belongs(key)]:
            del self._values[key]

    def clear(self) -> None:
        """Drop everything."""
        self._values.clear()

    @property
    def num_bytes(self) -> int:
        """Bytes held now."""
        return sum(self._size_of(value) for value in self._values.values())

    def __len__(self) -> int:
        return len(self._values)


def key_value_bytes(layers: KeyValues) -> int:
    """Memory held by keys and values."""
    return sum(t.numel() * t.element_size() for pair in layers for t in pair)
