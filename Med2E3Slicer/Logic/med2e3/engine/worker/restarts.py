"""When the process with the model is started again, and when no more.

Knows numbers of crashes and seconds; does not know processes.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Restarts:
    """Counts crashes in a row.

    Args:
        most: crashes without an answer in between after which it is given up.
        first_wait_s: seconds before the first new start; they double with each.
        longest_wait_s: seconds before a new start at most.
    """

    most: int = 5
    first_wait_s: float = 0.25
    longest_wait_s: float = 30.0
    #: since the beginning
    total: int = field(default=0, init=False)
    _in_a_row: int = field(default=0, init=False)

    def crashed(self) -> float | None:
        """Count a crash; returns the seconds to wait, or None when it is to be given up."""
        self._in_a_row += 1
        if self._in_a_row >= self.most:
            return None
        self.total += 1
        return min(self.first_wait_s * 2.0 ** (self._in_a_row - 1), self.longest_wait_s)

    def worked(self) -> None:
        """An answer was given: what comes next is another story."""
        self._in_a_row = 0
