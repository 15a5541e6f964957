"""Keys and values of answers that are decoded together, one row for each.

Every row has its own length, so rows join and leave without moving the others: a new token is
written at the end of its row, and the attention mask says how far each row reaches.  Knows
nothing of tokens, questions or models.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from med2e3.session.caches import KeyValues

#: tokens by which the room of every row grows
_TOKENS = 64


class _RowsLayer(CacheLayerMixin):
    """One layer's keys and values, (places, heads, room, width).

    Args:
        owner: knows where each row's next token goes.
    """

    def __init__(self, owner: BatchCache) -> None:
        super().__init__()
        self._owner = owner
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing to do: rows bring their own keys and values."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Write one token of every row (rows, heads, 1, width) at the end of the row."""
        rows, ends = self._owner.rows, self._owner.ends
        self.keys[rows, :, ends] = key_states[:, :, 0]
        self.values[rows, :, ends] = value_states[:, :, 0]
        count, room = len(rows), self._owner.room
        return self.keys[:count, :, :room], self.values[:count, :, :room]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset of the mask (the batch brings its own mask)."""
        return self._owner.room, 0

    def get_seq_length(self) -> int:
        """Tokens of the longest row."""
        return max(self._owner.lengths, default=0)

    def get_max_length(self) -> int:
        """Rows have no bound of their own."""
        return -1

    get_max_cache_shape = get_max_length  # its name in earlier versions of transformers


class BatchCache(Cache):  # type: ignore[misc]
    """Rows of keys and values; a row is named by its place, and the last row fills a gap.

    Args:
        window: tokens that a token sees, itself included; None for all before it.
    """

    def __init__(self, window: int | None = None) -> None:
        super().__init__(layers=[])
        self.layers: list[_RowsLayer]
        self._window = window
        self._places = 0
        #: tokens that a row can hold before it is moved to a larger place
        self.room = 0
        #: tokens of each row
        self.lengths: list[int] = []
        #: places of the rows, and where each row's next token goes, both (rows,)
        self.rows = self.ends = torch.empty(0, dtype=torch.long)

    @property
    def num_bytes(self) -> int:
        """Memory held."""
        tensors = [t for layer in self.layers for t in (layer.keys, layer.values)]
        return sum(t.numel() * t.element_size() for t in tensors)

    def join(self, row: KeyValues) -> None:
        """Add a row, copied from (1, heads, length, width) of each layer, behind the others.

        When memory runs out the rows before it are as they were.
        """
        length = row[0][0].shape[2]
        if not self.layers:
            layers = [_RowsLayer(self) for _ in row]
            for layer, pair in zip(layers, row, strict=True):
                layer.keys, layer.values = (t[:, :, :0] for t in pair)
            self.layers = layers
        self._make_room(len(self.lengths) + 1, length + 1)
        place = len(self.lengths)
        for layer, (keys, values) in zip(self.layers, row, strict=True):
            for mine, theirs in ((layer.keys, keys), (layer.values, values)):
                mine[place, :, :length] = theirs[0]
                mine[place, :, length:] = 0  # what was there may not be finite
        self.lengths.append(length)

    def row(self, place: int) -> KeyValues:
        """A copy of one row."""
        end = self.lengths[place]
        return [
            (layer.keys[place : place + 1, :, :end].clone(),
             layer.values[place : place + 1, :, :end].clone())
            for layer in self.layers
        ]  # fmt: skip

    def leave(self, place: int) -> None:
        """Remove a row; the last row takes its place."""
        last = len(self.lengths) - 1
        if place != last:
            for layer in self.layers:
                layer.keys[place] = layer.keys[last]
                layer.values[place] = layer.values[last]
            self.lengths[place] = self.lengths[last]
        self.lengths.pop()
        if not self.lengths:
            self.layers, self.room, self._places = [], 0, 0

    def open_step(self) -> tuple[Tensor, Tensor]:
        """Prepare for one more token in every row.

        Returns:
            The tokens' positions (rows, 1), and the mask (rows, 1, 1, room) of what they see.
        """
        self._make_room(len(self.lengths), max(self.lengths) + 1)
        device = self.layers[0].keys.device
        self.ends = torch.tensor(self.lengths, device=device)
        self.rows = torch.arange(len(self.lengths), device=device)
        ends, place = self.ends[:, None], torch.arange(self.room, device=device)[None]
        seen = place <= ends
        if self._window is not None:
            seen &= place > ends - self._window
        return ends, seen[:, None, None]

    def close_step(self) -> None:
        """Count the tokens that the step wrote; a step that failed is simply opened again."""
        self.lengths = [length + 1 for length in self.lengths]

    def _make_room(self, rows: int, tokens: int) -> None:
        if rows <= self._places and tokens <= self.room:
            return
        room = max(self.room, -(-tokens // _TOKENS) * _TOKENS)
        places = (
            max(rows, self._places + self._places // 2) if rows > self._places else self._places
        )
        count = len(self.lengths)
        for layer in self.layers:  # one after the other: only one is held twice
            layer.keys = _moved(layer.keys, count, places, room)
            layer.values = _moved(layer.values, count, places, room)
        self.room, self._places = room, places


def _moved(old: Tensor, rows: int, places: int, room: int) -> Tensor:
    """``old`` (.., heads, .., width) in a larger tensor; what is not a row's is zero.

    Masked places are multiplied by zero, so they must be finite.
    """
    if old.shape[0] >= places and old.shape[2] >= room:
        return old
    new = old.new_zeros(places, old.shape[1], room, old.shape[3])
    new[:rows, :, : old.shape[2]] = old[:rows]
    return new
