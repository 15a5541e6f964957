"""Many small questions from several clients, some cancelled, some left, through one worker.

Counts replies and watches the memory of this process and of the one with the model::

    python Testing/benchmarks/soak.py --requests 10000

Every question must end in exactly one way: answered, cancelled because it was, or left by its
client.  Memory is flat when neither process grows by more than ``--growth`` megabytes from the
first third of the run (after which nothing new is kept) to its end.  Exit code 1 says that a reply
was lost, an answer differed from the first one to the same question, or memory grew.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import statistics
import sys
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from med2e3.asking import Done, GenerationOptions, Question
from med2e3.engine.backend import Job
from med2e3.engine.worker import WorkerBackend

TEXTS = (
    "Where is the nodule?",
    "Is there free fluid?",
    "Which plane is this?",
    "Which organ is abnormal?",
)
_SAMPLES = 60


@dataclass
class Watch:
    """What was counted."""

    ended: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    different: int = 0
    known: dict[tuple[str, int, int], tuple[int, ...]] = field(default_factory=dict)
    memory: list[tuple[int, int]] = field(default_factory=list)

    def end(self, how: str) -> None:
        """One question ended."""
        self.ended[how] = self.ended.get(how, 0) + 1

    def measure(self, backend: WorkerBackend) -> None:
        """Resident memory of both processes."""
        gc.collect()
        here = psutil.Process().memory_info().rss
        there = psutil.Process(backend.worker_pid).memory_info().rss if backend.worker_pid else 0
        self.memory.append((here, there))

    def growth(self) -> tuple[float, float]:
        """Megabytes that each process grew by from the first third's end to the run's end."""
        third = len(self.memory) // 3
        begin = self.memory[third : third + max(1, third // 2)]
        end = self.memory[-max(1, third // 2) :]
        here, there = (
            (statistics.median(m[i] for m in end) - statistics.median(m[i] for m in begin)) / 1e6
            for i in (0, 1)
        )
        return here, there


class Client:
    """One client who asks question after question.

    Args:
        name: an opaque word.
        backend: answers.
        watch: counts.
        chance: the client's own dice.
        volumes: names of volumes that were put.
    """

    def __init__(
        self,
        name: str,
        backend: WorkerBackend,
        watch: Watch,
        chance: random.Random,
        volumes: list[str],
    ) -> None:
        self.name, self.backend, self.watch = name, backend, watch
        self.chance, self.volumes = chance, volumes

    async def ask(self, number: int) -> None:
        """One question, with a random end."""
        text = self.chance.randrange(len(TEXTS))
        volume = self.chance.randrange(len(self.volumes))
        tokens = self.chance.choice((1, 2, 4, 8))
        what = self.chance.choices(("answer", "cancel", "leave"), (0.7, 0.15, 0.15))[0]
        after = self.chance.randrange(1, 6)
        if what != "answer":
            tokens = 64
        job = Job(
            f"{self.name} {number}", self.name, self.volumes[volume], Question(TEXTS[text]),
            GenerationOptions(max_new_tokens=tokens),
        )  # fmt: skip
        count, said = 0, None
        async with aclosing(self.backend.ask(job)) as events:  # type: ignore[type-var]
            async for event in events:
                count += 1
                if isinstance(event, Done):
                    assert said is None, "nothing follows the end"
                    said = event
                elif count == after and what == "cancel":
                    self.backend.cancel(job.id)
                elif count == after and what == "leave":
                    self.watch.end("left")
                    return
        if said is None:
            self.watch.lost.append(job.id)
            return
        self.watch.end(said.finish_reason)
        if what == "answer":
            first = self.watch.known.setdefault((TEXTS[text], volume, tokens), said.token_ids)
            self.watch.different += first != said.token_ids


async def soak(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run it; returns the figures."""
    backend = WorkerBackend(device=arguments.device, precision="float32")
    await backend.start()
    watch, chance = Watch(), random.Random(arguments.seed)
    try:
        await backend.load(arguments.model)
        model = backend.status().model
        assert model is not None
        rng = np.random.default_rng(arguments.seed)
        volumes = [f"volume {n}" for n in range(arguments.volumes)]
        for name in volumes:
            await backend.put_volume(name, rng.random(model.input_size, dtype=np.float32))
        numbers = iter(range(arguments.requests))
        begun = time.perf_counter()
        every = max(1, arguments.requests // _SAMPLES)

        async def work(client: Client) -> None:
            for number in numbers:
                await client.ask(number)
                if number % every == 0:
                    watch.measure(backend)

        await asyncio.gather(
            *(
                work(Client(f"client {n}", backend, watch, random.Random(chance.random()), volumes))
                for n in range(arguments.clients)
            )
        )
        seconds = time.perf_counter() - begun
        watch.measure(backend)
        status = backend.status()
    finally:
        await backend.close()
    here, there = watch.growth()
    counted = sum(watch.ended.values())
    return {
        "requests": arguments.requests,
        "clients": arguments.clients,
        "seconds": seconds,
        "requests_per_second": arguments.requests / seconds,
        "ended": dict(sorted(watch.ended.items())),
        "lost": arguments.requests - counted,
        "different_answers": watch.different,
        "restarts": status.restarts,
        "left_over": status.waiting + status.running,
        "memory_mb": {
            "service": [round(m[0] / 1e6, 1) for m in (watch.memory[0], watch.memory[-1])],
            "model": [round(m[1] / 1e6, 1) for m in (watch.memory[0], watch.memory[-1])],
            "service_growth": round(here, 2),
            "model_growth": round(there, 2),
        },
    }


def problems(figures: dict[str, Any], growth: float) -> list[str]:
    """What is wrong with the figures; empty when nothing is."""
    memory = figures["memory_mb"]
    wrong = {
        "lost replies": figures["lost"] != 0,
        "answers that differ": figures["different_answers"] != 0,
        "a crash": figures["restarts"] != 0,
        "questions left over": figures["left_over"] != 0,
        "the service's memory grew": memory["service_growth"] > growth,
        "the model's memory grew": memory["model_growth"] > growth,
    }
    return [name for name, is_so in wrong.items() if is_so]


def main() -> int:
    """Parse arguments, run, print; the exit code says whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--volumes", type=int, default=4)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--growth", type=float, default=30.0, help="megabytes allowed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = asyncio.run(soak(arguments))
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    found = problems(figures, arguments.growth)
    if found:
        print(f"Not well: {', '.join(found)}.", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    raise SystemExit(main())
