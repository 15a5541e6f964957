"""What it gains to decode several answers as one batch.

Asks the same questions about the same volumes one after the other, as one batch, and one after the
other again, in one run, so that the ratio holds although seconds move with the machine.  Volumes
and prefixes are known before, so that only prompts and decoding are timed; decoding is also timed
by itself::

    python Testing/benchmarks/batching.py --json batching.json
    python Testing/benchmarks/batching.py --size full --dtype bfloat16 --device cuda

``--size`` and ``--clock`` are those of ``full_size.py``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import random_weights

from med2e3.asking import GenerationOptions, Question
from med2e3.devices import DTYPE_NAMES, QUANTIZED_NAMES
from med2e3.session import Session
from med2e3.session.batch import Batch
from med2e3.session.batch_answer import Answer

PRECISIONS = (*DTYPE_NAMES, *QUANTIZED_NAMES)
#: number formats of the weights on disk, for a precision that is no number format
_STORED = {"int8": "bfloat16", "int4": "bfloat16"}


@dataclass(frozen=True)
class RandomVolume:
    """Voxels without a meaning."""

    voxels: np.ndarray
    sha256: str


class Run:
    """One way of answering: seconds in all, and seconds of decoding."""

    def __init__(self) -> None:
        self.total_s: list[float] = []
        self.decode_s: list[float] = []
        self.tokens: list[tuple[int, ...]] = []

    def figures(self, tokens: int) -> dict[str, float]:
        """Medians; ``tokens`` were decoded after the first tokens."""
        decode = statistics.median(self.decode_s)
        return {
            "total_s": statistics.median(self.total_s),
            "decode_s": decode,
            "decoded_tokens_per_s": tokens / decode,
        }


class Bench:
    """A session, volumes that it knows, and questions."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.count, self.tokens = arguments.questions, arguments.tokens
        self.device = arguments.device
        self._clock = time.process_time if arguments.clock == "cpu" else time.perf_counter
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            model = Path(folder) / "model"
            dtype = arguments.dtype
            random_weights.write(model, arguments.size, _STORED.get(dtype, dtype))
            self.session = Session.load(model, device=arguments.device, dtype=dtype)
        self.session.model.generation_config.eos_token_id = -1  # never ends by itself
        rng = np.random.default_rng(0)
        self.volumes = [
            RandomVolume(rng.random(self.session.input_size, dtype=np.float32), str(number))
            for number in range(2)
        ]
        for volume in self.volumes:
            options = GenerationOptions(max_new_tokens=2)
            list(self.session.ask(volume, Question("Which organ is abnormal?"), options))

    def answers(self) -> list[Answer]:
        """The questions, not begun; their prompts differ in length."""
        return [
            Answer(
                self.session,
                self.volumes[number % len(self.volumes)],
                Question("Is there a nodule in the lung?" + " Where is it?" * (number % 5)),
                GenerationOptions(max_new_tokens=self.tokens),
                threading.Event(),
            )
            for number in range(self.count)
        ]

    def one_by_one(self, run: Run) -> None:
        """Each question alone, to its end."""
        self._time(run, [[answer] for answer in self.answers()])

    def together(self, run: Run) -> None:
        """All prompts, then one batch."""
        self._time(run, [self.answers()])

    def _time(self, run: Run, groups: list[list[Answer]]) -> None:
        decode, done = 0.0, []
        begun = self._now()
        for group in groups:
            for answer in group:
                for _ in answer.prepare():
                    pass
            start = self._now()
            batch = Batch(self.session)
            for answer in group:
                batch.join(answer)
            while batch.answers:
                batch.step()
            decode += self._now() - start
            done += [answer.done().token_ids for answer in group]
        run.total_s.append(self._now() - begun)
        run.decode_s.append(decode)
        run.tokens = done

    def _now(self) -> float:
        if self.device == "cuda":
            torch.cuda.synchronize()
        return self._clock()


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run every way in turn, several rounds; returns the figures."""
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    bench = Bench(arguments)
    before, together, after = Run(), Run(), Run()
    for _ in range(arguments.rounds):
        bench.one_by_one(before)
        bench.together(together)
        bench.one_by_one(after)
    decoded = bench.count * (bench.tokens - 1)
    alone = Run()
    alone.total_s = before.total_s + after.total_s
    alone.decode_s = before.decode_s + after.decode_s
    figures = {
        "one by one": alone.figures(decoded),
        "together": together.figures(decoded),
    }
    return {
        "benchmark": "batching",
        "machine": {
            "threads": torch.get_num_threads(),
            "device": arguments.device,
            "dtype": bench.session.dtype,
            "clock": arguments.clock,
            "torch": torch.__version__,
        },
        "model": arguments.size,
        "questions": bench.count,
        "tokens_each": bench.tokens,
        "rounds": arguments.rounds,
        "figures": figures,
        "one_by_one_over_together": {
            name: figures["one by one"][name] / figures["together"][name]
            for name in ("total_s", "decode_s")
        },
        "same_tokens": sum(a == b for a, b in zip(before.tokens, together.tokens, strict=True)),
    }


def main() -> None:
    """Parse arguments, measure, print and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    parser.add_argument("--dtype", default="float32", choices=PRECISIONS)
    parser.add_argument("--size", default="small", choices=("full", "half", "small", "tiny"))
    parser.add_argument("--clock", default="wall", choices=("wall", "cpu"))
    parser.add_argument("--questions", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=24, help="tokens of each answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments), indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
