"""The volumes that clients have put: whose they are, how much memory they take, when they go.

Knows hashes, owners, sizes and times; the voxels are with the backend, and HTTP is not known here.
A volume goes when its last owner drops it or leaves it idle, but never while a question about it
is under way.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from med2e3.engine.backend import Backend
from med2e3.engine.settings import Limits
from med2e3.errors import VolumeError
from med2e3.protocol import VOXEL_BYTES, TooLarge, TooMany, UnknownVolume, volume_sha256

Shape = tuple[int, int, int]
#: an M3D array is taken as it is, a little beyond 0..1, too; see med2e3.volume.m3d_npy
_LARGEST = 10.0


@dataclass
class _Held:
    """A volume: its size, who put it and when each used it last, and the questions about it."""

    num_bytes: int
    owners: dict[str, float] = field(default_factory=dict)
    questions: int = 0


class Shelf:
    """Which volumes the backend holds for whom.

    Args:
        backend: keeps the voxels.
        limits: sizes, counts and times.
        now: clock in seconds.
    """

    def __init__(
        self, backend: Backend, limits: Limits, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._backend = backend
        self._limits = limits
        self._now = now
        self._held: dict[str, _Held] = {}
        self._arriving = 0
        self._one_change = asyncio.Lock()
        self._forgetting: set[asyncio.Task[None]] = set()

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._held

    @property
    def num_bytes(self) -> int:
        """Bytes of voxels held or on their way."""
        return self._arriving + sum(held.num_bytes for held in self._held.values())

    def use(self, client: str, sha256: str) -> None:
        """Note that a client uses a volume, which from now on is also its own.

        Raises:
            UnknownVolume: when it is not held.
        """
        held = self._held.get(sha256)
        if held is None:
            raise UnknownVolume(
                "The engine does not hold this volume (any more).", hint="Send the volume again."
            )
        held.owners[client] = self._now()

    async def put(
        self,
        client: str,
        sha256: str,
        shape: Shape,
        read: Callable[[int], Awaitable[bytearray]],
    ) -> None:
        """Take a volume that is not held yet.

        Args:
            client: whose it is.
            sha256: what its content hash must be.
            shape: (slices, rows, columns).
            read: gives the voxels, once the number of bytes is known to be acceptable.

        Raises:
            TooLarge: when it is larger than one volume may be.
            TooMany: when there is no room for it.
            VolumeError: when the content is not what its hash says, or holds no proper numbers.
            InputError: when the loaded model takes another size.
        """
        size = shape[0] * shape[1] * shape[2] * VOXEL_BYTES
        if size > self._limits.max_volume_bytes:
            raise TooLarge(
                f"The volume has {size} bytes; this engine takes at most "
                f"{self._limits.max_volume_bytes}.",
                hint="Send the model input, not the whole scan.",
            )
        await self._make_room(client, size)
        self._arriving += size
        try:
            body = await read(size)
            voxels = await asyncio.to_thread(checked_voxels, body, sha256, shape)
            async with self._one_change:
                if sha256 not in self._held:
                    await self._backend.put_volume(sha256, voxels)
                self._held.setdefault(sha256, _Held(size)).owners[client] = self._now()
        finally:
            self._arriving -= size

    async def drop(self, client: str, sha256: str) -> None:
        """Take a client's claim to a volume back; unknown ones are no error."""
        held = self._held.get(sha256)
        if held is not None:
            held.owners.pop(client, None)
            await self._forget_ownerless()

    def hold(self, client: str, sha256: str) -> Callable[[], None]:
        """Keep a volume while a question about it is under way; call what this gives to let go.

        Raises:
            UnknownVolume: when it is not held.
        """
        self.use(client, sha256)
        held = self._held[sha256]
        held.questions += 1

        def let_go() -> None:
            held.questions -= 1
            if client in held.owners:
                held.owners[client] = self._now()
            elif not held.questions:  # dropped meanwhile
                task = asyncio.get_running_loop().create_task(self._forget_ownerless())
                self._forgetting.add(task)
                task.add_done_callback(self._forgetting.discard)

        return let_go

    async def forget_idle(self) -> None:
        """Drop what nobody used for long, and what was dropped while a question was under way."""
        if self._limits.idle_s:
            oldest = self._now() - self._limits.idle_s
            for held in self._held.values():
                if not held.questions:
                    held.owners = {c: used for c, used in held.owners.items() if used >= oldest}
        await self._forget_ownerless()

    async def _make_room(self, client: str, size: int) -> None:
        own = {s: h.owners[client] for s, h in self._held.items() if client in h.owners}
        if len(own) >= self._limits.volumes_per_client:
            free = [s for s in own if not self._held[s].questions]
            if not free:
                raise TooMany(
                    f"Questions about {len(own)} volumes of yours are under way, "
                    "which is as many as this engine holds for one client.",
                    hint="Wait until one of them is answered.",
                )
            await self.drop(client, min(free, key=lambda sha256: own[sha256]))
        if self.num_bytes + size > self._limits.max_held_bytes:
            await self.forget_idle()
        if self.num_bytes + size > self._limits.max_held_bytes:
            raise TooMany(
                "The engine's memory for volumes is full.",
                hint="Try again later, or drop volumes that are no longer needed.",
            )

    async def _forget_ownerless(self) -> None:
        async with self._one_change:
            for sha256 in [s for s, h in self._held.items() if not h.owners and not h.questions]:
                del self._held[sha256]
                await self._backend.drop_volume(sha256)


def checked_voxels(body: bytearray, sha256: str, shape: Shape) -> npt.NDArray[np.float32]:
    """The voxels of a body, (slices, rows, columns).

    Raises:
        VolumeError: when the content is not what its hash says, or holds a number that is not
            finite, or is plainly not scaled to 0..1.
    """
    if volume_sha256(shape, body) != sha256:
        raise VolumeError(
            "The volume that arrived is not the one that was announced: its checksum differs.",
            hint="Send it again; the checksum covers the shape and the voxels.",
        )
    voxels = np.frombuffer(body, dtype="<f4").reshape(shape)
    if sys.byteorder == "big":
        voxels = voxels.astype(np.float32)
    if not np.isfinite(voxels).all():
        raise VolumeError(
            "The volume holds a number that is not finite.", hint="Prepare the volume again."
        )
    if np.abs(voxels).max() > _LARGEST:
        raise VolumeError(
            "The volume holds numbers that are far from 0 to 1.",
            hint="Send the model input, windowed and scaled to 0..1, not Hounsfield units.",
        )
    return voxels
