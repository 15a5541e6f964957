"""What the HTTP service needs of whatever holds the model.

Knows jobs, states and the promises of a backend; knows nothing of HTTP, of processes or of models.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from med2e3.asking import Event, GenerationOptions, Question
from med2e3.errors import InputError
from med2e3.record import ModelRecord

State = Literal["unloaded", "loading", "ready", "restarting", "failed"]


@dataclass(frozen=True)
class Job:
    """One question of one client about one volume.

    Args:
        id: unique while the backend lives.
        client: who asks, for fair turns; an opaque word, never a name or an address.
        volume: content hash of a volume that was put before.
        question: what is asked.
        options: how to generate.
    """

    id: str
    client: str
    volume: str
    question: Question
    options: GenerationOptions


@dataclass(frozen=True)
class LoadedModel:
    """The model that answers.

    Args:
        record: its identity and what must be said with its answers.
        input_size: (slices, rows, columns) of a volume.
        context_length: tokens of prompt and answer at most.
        device: name of the device (``cuda``, ``cpu``, ...).
        dtype: number format, or the quantization, of the weights.
        licence: the weights' licence, or an empty text when it is not known.
    """

    record: ModelRecord
    input_size: tuple[int, int, int]
    context_length: int
    device: str
    dtype: str
    licence: str = ""

    def check_takes(self, voxels: npt.NDArray[np.float32]) -> None:
        """Refuse a volume of another shape.

        Raises:
            InputError: when its shape is not ``input_size``.
        """
        if voxels.shape != self.input_size:
            raise InputError(
                f"The volume was prepared as {voxels.shape}, but this model takes "
                f"{self.input_size}.",
                hint="Prepare it with the model's own input size.",
            )


@dataclass(frozen=True)
class Status:
    """What a backend says of itself; costs nothing to ask.

    Args:
        state: of the model.
        model: None unless it is ready.
        problem: why it failed, a sentence for a person; empty otherwise.
        waiting: questions that wait for their turn.
        running: questions that are being answered.
        volumes: volumes held.
        memory_total: bytes of the device's memory, 0 when not known.
        memory_free: bytes of it that are free, 0 when not known.
        restarts: how often the process that holds the model was started again.
        replicas: processes that hold, or are to hold, the model.
        replicas_ready: those of them that answer now.
    """

    state: State
    model: LoadedModel | None = None
    problem: str = ""
    waiting: int = 0
    running: int = 0
    volumes: int = 0
    memory_total: int = 0
    memory_free: int = 0
    restarts: int = 0
    replicas: int = 1
    replicas_ready: int = 0


class Backend(Protocol):
    """Holds a model, takes volumes, answers questions; every method is called on one event loop."""

    async def start(self) -> None:
        """Begin to work; loads nothing."""

    async def close(self) -> None:
        """End everything that was started, within seconds, whatever is under way."""

    def status(self) -> Status:
        """The present state."""

    def check(self, model: str) -> None:
        """Whether there is a model of this name or folder; called on any thread, reads little.

        Raises:
            Med2E3Error: when there is none; nothing has changed.
        """

    async def load(self, model: str) -> None:
        """Load a model by its name or folder; returns when it is ready.

        Raises:
            Med2E3Error: when it cannot be loaded; the model before, if any, is then gone.
        """

    async def unload(self) -> None:
        """Free the model's memory; volumes stay."""

    async def put_volume(self, sha256: str, voxels: npt.NDArray[np.float32]) -> None:
        """Keep a model input (slices, rows, columns), values in 0..1, in memory only.

        It survives a crash of the process that holds the model, and unloading.

        Raises:
            InputError: when its shape is not what the loaded model takes.
        """

    async def drop_volume(self, sha256: str) -> None:
        """Forget a volume and everything computed from it; unknown ones are no error."""

    def ask(self, job: Job) -> AsyncIterator[Event]:
        """Answer a question: events in the order of :mod:`med2e3.asking.events`.

        Closing the iterator (``aclose``), or ``cancel``, frees the job's place at once.

        Raises:
            Med2E3Error: when the question cannot be answered, or its answer cannot be finished
                (out of memory, device lost, numbers that are not finite, a crash); other jobs and
                all volumes stay.
        """

    def cancel(self, job: str) -> None:
        """Stop a job: its events end with ``Done(finish_reason="cancelled")``, within a second."""
