"""All replicas of a pool: looked at again and again, the model loaded into each of their lives.

Knows which of them are there and what they hold; knows nothing of questions.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Coroutine, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from med2e3.engine.backend import LoadedModel, State
from med2e3.engine.cluster.known import KnownReplica, Link, alike
from med2e3.engine.worker import wire
from med2e3.errors import Med2E3Error

_log = logging.getLogger(__name__)
#: seconds between two looks at a replica
LOOKS_S = 0.25


class Replicas:
    """Used on one event loop.

    Args:
        links: to each of them.
        held: hashes of the volumes that are not dropped, as they change.
        silence_s: a replica that says nothing for so long is lost.
        patience_s: one that was lost is given so long to come back before it counts as failed.

    Attributes:
        named: the model that was named last; None when there is to be none.
        model: what the first one that is ready has loaded; all others must have the same.
    """

    def __init__(
        self,
        links: Sequence[Link],
        held: Collection[str],
        *,
        silence_s: float,
        patience_s: float,
    ) -> None:
        self._all = [KnownReplica(f"replica {n}", link) for n, link in enumerate(links)]
        self._held = held
        self._silence_s, self.patience_s = silence_s, patience_s
        self.named: str | None = None
        self.model: LoadedModel | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    def __iter__(self) -> Iterator[KnownReplica]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def start(self) -> None:
        """Begin to look at them; loads nothing."""
        for replica in self._all:
            replica.seen_at = time.monotonic()
            self.spawn(self._tend(replica))

    async def close(self) -> None:
        """Stop everything that was spawned, and end them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for replica in self._all:
            replica.link.kill()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that ends with them at the latest."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def next_news(self) -> None:
        """Wait until one of them was looked at."""
        await self._news.wait()

    def name_model(self, model: str) -> None:
        """Let all of them load a model, those that are not there as soon as they are."""
        self.named, self.model = model, None
        for replica in self._all:
            if replica.alive:
                self._want(replica, model)

    async def unload(self) -> None:
        """Let all of them free the model's memory."""
        self.named = self.model = None
        for replica in self._all:
            replica.wanted = None
        await asyncio.gather(*map(self._unload_at, self._all))

    def put(
        self, replica: KnownReplica, sha256: str, voxels: npt.NDArray[np.float32]
    ) -> asyncio.Task[None]:
        """Hand a volume (slices, rows, columns) to one of them, once in its life."""
        putting = replica.volumes.get(sha256)
        if putting is None or (putting.done() and (putting.cancelled() or putting.exception())):
            putting = replica.volumes[sha256] = self.spawn(replica.link.put(sha256, voxels))
        return putting

    async def drop(self, sha256: str) -> None:
        """Let all of them forget a volume."""
        having = [replica for replica in self._all if sha256 in replica.volumes]
        await asyncio.gather(*(self._drop_at(replica, sha256) for replica in having))

    def state(self) -> tuple[State, str]:
        """The state of all replicas as one, and why it failed."""
        if self.named is None:
            return "unloaded", ""
        if any(replica.ready for replica in self._all):
            return "ready", ""
        if any(self._may_become_ready(replica) for replica in self._all):
            return ("restarting" if self.model else "loading"), ""
        problems = [replica.problem for replica in self._all if replica.alive]
        return "failed", next(
            iter(problems), "No replica of the model is left, and none came back."
        )

    def _may_become_ready(self, replica: KnownReplica) -> bool:
        if replica.alive:
            return replica.state != "failed"
        return time.monotonic() - replica.seen_at <= self.patience_s

    async def _tend(self, replica: KnownReplica) -> None:
        while True:
            try:
                async with asyncio.timeout(self._silence_s):
                    said = await replica.link.state()
                self._see(replica, said)
            except (TimeoutError, Med2E3Error):
                self.lose(replica)
            except Exception:
                _log.exception("%s said what cannot be understood", replica.name)
                self.lose(replica)
            self._news.set()
            self._news = asyncio.Event()
            await asyncio.sleep(LOOKS_S)

    def lose(self, replica: KnownReplica) -> None:
        """What it had is lost; it is there again when it is next heard."""
        if replica.alive:
            replica.alive = False
            replica.losses += 1
            replica.seen_at = time.monotonic()
            _log.warning("%s is lost", replica.name)
        replica.gone.set()
        replica.gone = asyncio.Event()

    def _see(self, replica: KnownReplica, said: dict[str, Any]) -> None:
        if said["life"] != replica.life:
            if replica.alive:  # it ended and was started between two looks
                self.lose(replica)
            replica.life, replica.wanted = said["life"], None
            replica.volumes.clear()
            replica.losses += replica.crashes
            replica.crashes = 0
        elif not replica.alive:  # it was silent, perhaps while volumes were dropped
            for sha256 in replica.volumes.keys() - set(self._held):
                self.spawn(self._drop_at(replica, sha256))
        if not replica.alive:
            _log.info("%s is there", replica.name)
        replica.alive = True
        replica.seen_at = time.monotonic()
        if said["restarts"] > replica.crashes:
            _log.warning(
                "the process with the model of %s ended and is started again", replica.name
            )
        replica.crashes = said["restarts"]
        replica.pids = tuple(said["pids"])
        replica.memory = (said["memory"][0], said["memory"][1])
        replica.state, replica.problem = said["state"], said["problem"]
        replica.model = wire.model_from_json(said["model"]) if said["model"] else None
        if self.named is None:
            return
        if replica.wanted != self.named:
            self._want(replica, self.named)
        if replica.loading:
            replica.state = "loading"
        if replica.ready and replica.model is not None:
            self.model = self.model or replica.model
            if not alike(replica.model, self.model):
                replica.state = "failed"
                replica.problem = (
                    "A replica has other weights, another number format or another kind of device "
                    "than the first one, so its answers would differ."
                )

    def _want(self, replica: KnownReplica, model: str) -> None:
        """Let a replica load a model; until it has answered, what it says may be of another one."""
        replica.wanted, replica.state = model, "loading"
        replica.loading += 1
        self.spawn(self._load_at(replica, model))

    async def _load_at(self, replica: KnownReplica, model: str) -> None:
        try:
            await replica.link.load(model)
        except Med2E3Error as error:  # its state tells it, too
            _log.warning("%s does not load the model: %s", replica.name, error.code)
        finally:
            replica.loading -= 1

    async def _unload_at(self, replica: KnownReplica) -> None:
        with suppress(TimeoutError, Med2E3Error):  # one that is lost holds no model any more
            async with asyncio.timeout(self._silence_s):
                await replica.link.unload()

    async def _drop_at(self, replica: KnownReplica, sha256: str) -> None:
        """Let a replica forget a volume; one that is silent does so when it is heard again."""
        putting = replica.volumes.get(sha256)
        if putting is None:  # its life is over, or it was told already
            return
        putting.cancel()
        with suppress(TimeoutError, Med2E3Error):
            async with asyncio.timeout(self._silence_s):
                await replica.link.drop(sha256)
            if replica.volumes.get(sha256) is putting:
                del replica.volumes[sha256]
