"""A short soak; the long one is ``python Testing/benchmarks/soak.py``."""

from __future__ import annotations

import argparse
import asyncio

from benchmarks.soak import problems, soak


def test_some_hundred_questions_lose_nothing() -> None:
    arguments = argparse.Namespace(
        requests=300, clients=6, volumes=3, model="embedded", device="cpu", seed=1
    )
    figures = asyncio.run(soak(arguments))
    assert problems(figures, growth=100) == []
    assert figures["ended"]["cancelled"] > 10 and figures["ended"]["left"] > 10
    assert sum(figures["ended"].values()) == 300
