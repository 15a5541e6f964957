"""Whose turn it is: clients one after the other, each client's questions in their order.

Knows names of clients and the order in which things came; does not know what they are.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """A line of items for each client; the clients take turns."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[Item]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def __iter__(self) -> Iterator[Item]:
        for line in self._lines.values():
            yield from line

    def add(self, client: str, item: Item, *, first: bool = False) -> None:
        """Put an item at the end of a client's line, or in front of it."""
        line = self._lines.setdefault(client, deque())
        if first:
            line.appendleft(item)
        else:
            line.append(item)

    def remove(self, client: str, item: Item) -> None:
        """Take an item out of a client's line."""
        line = self._lines[client]
        line.remove(item)
        if not line:
            del self._lines[client]

    def heads(self) -> list[tuple[str, Item]]:
        """The first item of each client, the client whose turn it is first."""
        return [(client, line[0]) for client, line in self._lines.items()]

    def had_its_turn(self, client: str) -> None:
        """Send a client behind the others."""
        if client in self._lines:
            self._lines.move_to_end(client)
