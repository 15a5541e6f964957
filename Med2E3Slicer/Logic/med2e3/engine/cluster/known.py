"""What a pool knows of each of its replicas, and how it reaches one.

Knows states and counts; decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from med2e3.asking import Event
from med2e3.engine.backend import Job, LoadedModel, State
from med2e3.errors import Med2E3Error


class Link(Protocol):
    """One replica, as :class:`med2e3.engine.cluster.links.RayLink` reaches it.

    A replica that is lost raises ``EngineUnreachable``; the link goes on to its next life.
    """

    async def state(self) -> dict[str, Any]:
        """What it says of itself."""

    async def load(self, model: str) -> None:
        """Load a model; returns when it is ready or has failed."""

    async def unload(self) -> None:
        """Free the model's memory."""

    async def put(self, sha256: str, voxels: npt.NDArray[np.float32]) -> None:
        """Hand a volume over."""

    async def drop(self, sha256: str) -> None:
        """Let it forget a volume."""

    def ask(self, job: Job) -> AsyncIterator[Event | Med2E3Error]:
        """Events of a job, or the error that it ends with."""

    def cancel(self, job: str) -> None:
        """Stop a job; no error when it is not there."""

    def kill(self) -> None:
        """End it for good."""


@dataclass(eq=False)
class KnownReplica:
    """What is known of one replica; ``gone`` is done as soon as it is lost."""

    #: for the log
    name: str
    link: Link
    alive: bool = False
    #: time.monotonic() of when it was last known to be alive, or of the beginning
    seen_at: float = 0.0
    life: str = ""
    #: its process, and the one with the model
    pids: tuple[int | None, ...] = ()
    state: State = "unloaded"
    problem: str = ""
    model: LoadedModel | None = None
    memory: tuple[int, int] = (0, 0)
    #: the model that it was told to load in this life, and calls to load that are under way
    wanted: str | None = None
    loading: int = 0
    #: of the process with the model: in this life, and in earlier ones with the lives lost
    crashes: int = 0
    losses: int = 0
    volumes: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    jobs: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ready(self) -> bool:
        """Whether it answers now."""
        return self.alive and self.state == "ready"


def alike(one: LoadedModel, other: LoadedModel) -> bool:
    """Whether two replicas may answer one question: weights, numbers and kind of device."""
    return (one.record.sha256, one.dtype, one.device) == (
        other.record.sha256,
        other.dtype,
        other.device,
    )
