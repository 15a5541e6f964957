"""``med2e3 load-test``: how an engine behaves when many clients ask at once.

Knows clients in threads and what is measured of them; the volumes are noise that it makes itself,
so that no patient's data is needed.  Says nothing of how good the answers are.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from med2e3.asking import Done, GenerationOptions, Question, Token
from med2e3.cli.engine_elsewhere import TOKEN_VARIABLE
from med2e3.client import RemoteEngine
from med2e3.errors import InputError, Med2E3Error
from med2e3.protocol import volume_sha256

_QUESTION = "Describe the findings."
_PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class _Noise:
    """A volume that nobody has seen: (slices, rows, columns), float32 in 0..1."""

    voxels: npt.NDArray[np.float32]
    sha256: str

    @classmethod
    def make(cls, size: tuple[int, int, int], seed: int) -> _Noise:
        voxels = np.random.default_rng(seed).random(size, dtype=np.float32)
        return cls(voxels, volume_sha256(size, voxels.astype("<f4").tobytes()))


@dataclass
class Measured:
    """What one client saw; times in seconds."""

    first_token_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    tokens: int = 0
    errors: Counter[str] = field(default_factory=Counter)


def load_test(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="http(s)://host:port")],
    *,
    clients: Annotated[int, typer.Option(metavar="N", min=1, max=1000)] = 4,
    questions: Annotated[
        int, typer.Option(metavar="M", min=1, help="Of each client, one after the other.")
    ] = 10,
    volumes: Annotated[
        int, typer.Option(metavar="N", min=1, max=256, help="Different ones, shared by clients.")
    ] = 4,
    max_new_tokens: Annotated[int, typer.Option(metavar="N", min=1)] = 64,
) -> None:
    """Let many clients ask an engine at once and print latency, throughput and errors.

    The token is read from MED2E3_TOKEN.  The volumes are noise.
    """
    token = os.environ.get(TOKEN_VARIABLE)
    if not token:
        raise InputError(
            "The engine's token is missing.",
            hint=f"Set the environment variable {TOKEN_VARIABLE} to the token of the engine.",
        )
    model = RemoteEngine(address, token).wait_until_ready().model
    assert model is not None  # an engine that is ready has one
    noise = [_Noise.make(model.input_size, seed) for seed in range(volumes)]
    options = GenerationOptions(max_new_tokens=max_new_tokens)

    def client(number: int) -> Measured:
        order = [noise[(number + turn) % volumes] for turn in range(questions)]
        return _ask_in_turn(RemoteEngine(address, token), order, options)

    begun = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        measured = list(pool.map(client, range(clients)))
    seconds = time.perf_counter() - begun
    print(f"{clients} clients, {questions} questions each, {volumes} volumes, on {model.device}")
    for line in summary(measured, seconds):
        print(line)
    if any(one.errors for one in measured):
        raise typer.Exit(1)


def summary(measured: Sequence[Measured], seconds: float) -> list[str]:
    """The lines to print.

    Args:
        measured: of each client.
        seconds: that all of it took.
    """
    whole = [value for one in measured for value in one.whole_s]
    first = [value for one in measured for value in one.first_token_s]
    tokens = sum(one.tokens for one in measured)
    errors = sum((one.errors for one in measured), Counter[str]())
    lines = [f"{'seconds':<16}" + "".join(f"{f'p{p}':>10}" for p in _PERCENTILES) + f"{'max':>10}"]
    for name, values in (("first token", first), ("whole answer", whole)):
        if values:
            cells = [*np.percentile(values, _PERCENTILES), max(values)]
            lines.append(f"{name:<16}" + "".join(f"{value:>10.3f}" for value in cells))
    lines += [
        f"answers {len(whole)}, {len(whole) / seconds:.2f} per second",
        f"tokens {tokens}, {tokens / seconds:.1f} per second",
        f"errors {errors.total()}",
        *(f"  {code}: {count}" for code, count in errors.most_common()),
    ]
    return lines


def _ask_in_turn(
    engine: RemoteEngine, volumes: Sequence[_Noise], options: GenerationOptions
) -> Measured:
    found = Measured()
    for volume in volumes:
        begun = time.perf_counter()
        tokens, done = 0, False
        try:
            for event in engine.ask(volume, Question(_QUESTION), options):
                if isinstance(event, Token):
                    if not tokens:
                        found.first_token_s.append(time.perf_counter() - begun)
                    tokens += 1
                done = done or isinstance(event, Done)
        except Med2E3Error as error:
            found.errors[error.code] += 1
        else:
            if done:
                found.whole_s.append(time.perf_counter() - begun)
            else:
                found.errors["no-answer"] += 1
        found.tokens += tokens
    return found
