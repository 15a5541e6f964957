"""What every engine can do, be it in this process, its child, or on a department's server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from med2e3.asking import Event, GenerationOptions, Question
from med2e3.protocol import Capabilities


class VolumeInput(Protocol):
    """What an engine needs of a model input (``med2e3.volume.ModelInput`` has it)."""

    @property
    def voxels(self) -> npt.NDArray[np.float32]:
        """(slices, rows, columns), float32."""

    @property
    def sha256(self) -> str:
        """Hash of the content."""


class Engine(Protocol):
    """Answers questions about volumes; its methods may be called from several threads."""

    def capabilities(self) -> Capabilities:
        """The model, its device, and the engine's present state."""

    def put_volume(self, volume: VolumeInput) -> None:
        """Hand a volume over before the first question; without it, that question does."""

    def ask(
        self,
        volume: VolumeInput,
        question: Question,
        options: GenerationOptions | None = None,
        *,
        cancel: threading.Event | None = None,
    ) -> Iterator[Event]:
        """Answer a question: events in the order of :mod:`med2e3.asking.events`.

        Args:
            volume: what is asked about.
            question: what is asked.
            options: how to answer; greedy by default.
            cancel: set it from any thread: the events then end with
                ``Done(finish_reason="cancelled")``.  Closing the iterator stops it as well.

        Raises:
            Med2E3Error: when there is no answer, or it cannot be finished.
        """

    def drop_volume(self, sha256: str) -> None:
        """Let the engine forget a volume."""

    def close(self) -> None:
        """Give back what this engine uses."""
