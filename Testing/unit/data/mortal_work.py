"""Work for the pool of processes that ends its own process when it is told to."""

from __future__ import annotations

import os


def work_or_die(number: int) -> int:
    if number < 0:
        os._exit(9)
    return number * 10
