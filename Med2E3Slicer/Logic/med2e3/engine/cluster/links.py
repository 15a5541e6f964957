"""Replicas as Ray's actors: how they are started, reached, and told apart from lost ones.

The only module that imports Ray (the extra ``ray``).  Knows nothing of questions or of HTTP.
Nothing larger than a piece (see :mod:`med2e3.engine.cluster.replica`) is ever handed to Ray, so
that neither voxels nor words come into its object store, which may write to disk.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from med2e3.engine.backend import Job
from med2e3.engine.cluster.replica import Replica, in_pieces, packed, unpacked
from med2e3.engine.worker import wire
from med2e3.engine.worker.process import TOKEN_VARIABLE
from med2e3.errors import InputError, Med2E3Error
from med2e3.protocol import EngineUnreachable, error_of

#: pieces in one call; all of them together must stay below Ray's 10 MB
_PIECES = 64
#: calls that one replica takes at a time
_CALLS = 10_000
_CONNECT_S = 5.0
_STORE_BYTES = 80 << 20
#: the first version whose ports ask for the cluster's token
_OLDEST = (2, 52)


class ReplicaLost(EngineUnreachable):
    """A replica ended, or cannot be reached; what it held is gone."""


class RayLink:
    """One replica, wherever in the cluster it is; Ray starts it again when it ends."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def state(self) -> dict[str, Any]:
        """What :meth:`Replica.state` says.

        Raises:
            ReplicaLost: as all methods do.
        """
        state: dict[str, Any] = json.loads(await _reply(self._actor.state.remote()))
        return state

    async def load(self, model: str) -> None:
        """Load a model.

        Raises:
            Med2E3Error: when it cannot be loaded.
        """
        _check(await _reply(self._actor.load.remote(model)))

    async def unload(self) -> None:
        """Free the model's memory."""
        await _reply(self._actor.unload.remote())

    async def put(self, sha256: str, voxels: npt.NDArray[np.float32]) -> None:
        """Hand a volume over.

        Raises:
            Med2E3Error: when it is not what the model takes.
        """
        pieces = list(in_pieces(np.ascontiguousarray(voxels).data.cast("B")))
        begin = 0
        for first in range(0, len(pieces), _PIECES):
            some = pieces[first : first + _PIECES]
            await _reply(self._actor.put.remote(sha256, begin, *some))
            begin += sum(map(len, some))
        _check(await _reply(self._actor.keep.remote(sha256, list(voxels.shape))))

    async def drop(self, sha256: str) -> None:
        """Let it forget a volume."""
        await _reply(self._actor.drop.remote(sha256))

    async def ask(self, job: Job) -> AsyncIterator[Any]:
        """Events of a job, or the error that it ends with."""
        pieces: list[bytes] = []
        ray = _ray()
        try:
            async for reference in self._actor.ask.remote(*packed(wire.job_to_json(job))):
                last, piece = await reference
                pieces.append(piece)
                if last:
                    outcome = wire.outcome_from_json(unpacked(pieces))
                    pieces.clear()
                    if outcome is not None:
                        yield outcome
        except ray.exceptions.RayError as error:
            raise _lost(error) from None

    def cancel(self, job: str) -> None:
        """Stop a job, if the replica still has it."""
        self._actor.cancel.remote(job)

    def kill(self) -> None:
        """End it for good."""
        _ray().kill(self._actor)


@dataclass(frozen=True)
class Plan:
    """How many replicas there are, and what Ray keeps free for each of them.

    Args:
        count: of all computers together.
        cpus: processors of each; Ray lets a process use as many threads.
        gpus: GPUs of each, also a part of one.
    """

    count: int
    cpus: int
    gpus: float


def plan_replicas(
    nodes: Sequence[Mapping[str, float]], count: int | None, *, uses_gpus: bool
) -> Plan:
    """Share out computers so that all replicas find room at the same time.

    Args:
        nodes: of each computer ``CPU`` and ``GPU``, where it has any for Ray.
        count: None for one on each GPU, or one on each computer without any.
        uses_gpus: whether replicas may run on GPUs.
    """
    gpus = int(sum(node.get("GPU", 0) for node in nodes)) if uses_gpus else 0
    # a replica needs a processor, too; a computer that only holds the cluster together has none
    used = [n for n in nodes if n.get("CPU", 0) >= 1 and (not gpus or n.get("GPU", 0) >= 1)]
    places = [int(node["GPU"]) if gpus else 1 for node in used] or [1]
    count = sum(places) if count is None else count
    at_one = -(-count // sum(places))  # replicas on one GPU, or on one computer
    most = (min(place * at_one, count) for place in places)  # on each computer
    free = [int(node["CPU"]) // here for node, here in zip(used, most, strict=False)]
    # rounded down to what Ray counts in, or a last one would find no room
    part = 10_000 // at_one / 10_000 if gpus else 0.0
    return Plan(count, max(1, min(free, default=1)), part)


def start_replicas(
    count: int | None, *, device: str, precision: str, address: str | None
) -> list[RayLink]:
    """Replicas on a cluster of its own on this computer, or on a running one.

    Args:
        count: None for one on each GPU, or one on each computer without any.
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        precision: of the weights.
        address: ``HOST:PORT`` of a running cluster; None starts one here that ends with this
            process.

    Raises:
        InputError: when Ray is not installed, or too old.
        EngineUnreachable: when the cluster cannot be reached or started.
    """
    ray = _ray()
    _join(address, count or 1)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    plan = plan_replicas(nodes, count, uses_gpus=device not in ("cpu", "mps"))
    actor = ray.remote(Replica).options(
        num_cpus=plan.cpus,
        num_gpus=plan.gpus,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=_CALLS,
        scheduling_strategy="SPREAD",
    )
    return [RayLink(actor.remote(device, precision)) for _ in range(plan.count)]


def leave() -> None:
    """Leave the cluster; one that was started here ends."""
    _ray().shutdown()


def _ray() -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if "ray" not in sys.modules:  # it is read while Ray is imported, and must not change later
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # its ports are open to the network
    try:
        import ray  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise InputError(
            "Ray is not installed, which several replicas need.",
            hint='Install it: pip install "med2e3[ray]".',
            detail=repr(error),
        ) from error
    if tuple(map(int, ray.__version__.split(".")[:2])) < _OLDEST:
        raise InputError(
            f"Ray {ray.__version__} cannot guard its ports, which are open to the network.",
            hint='Install a newer one: pip install --upgrade "med2e3[ray]".',
        )
    return ray


def _join(address: str | None, least_cpus: int) -> None:
    ray = _ray()
    common = {"log_to_driver": False, "configure_logging": False, "namespace": "med2e3"}
    try:
        with _without_token():
            if address is None:
                # none is written to the home folder, which a system user may not have
                os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
                ray.init(
                    address="local",
                    include_dashboard=False,
                    _node_ip_address="127.0.0.1",
                    num_cpus=max(least_cpus, os.cpu_count() or 1),
                    object_store_memory=_STORE_BYTES,
                    _system_config={"automatic_object_spilling_enabled": False},
                    **common,
                )
            else:
                _knock(address)
                ray.init(address=address, **common)
    except Med2E3Error:
        raise
    except Exception as error:  # Ray raises many kinds, some of them its own
        raise EngineUnreachable(
            "Ray could not be started on this computer."
            if address is None
            else "The Ray cluster cannot be joined.",
            hint="Try again, since it gives up after some seconds on a busy computer; its logs are "
            "in /tmp/ray, or below RAY_TMPDIR."
            if address is None
            else "See that Ray and Python have the same versions on all computers, that one of "
            "them runs here, too (ray start), and that the cluster's token is known here.",
            detail=repr(error),
        ) from error


def _knock(address: str) -> None:
    """Ray itself waits for minutes before it says that nobody answers."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise EngineUnreachable(
            "No Ray cluster answers at that address.",
            hint="Give --ray-address HOST:PORT as 'ray start --head' printed it.",
            detail=repr(error),
        ) from error


@contextmanager
def _without_token() -> Iterator[None]:
    """The service's token is no business of Ray's processes, which take over the environment."""
    token = os.environ.pop(TOKEN_VARIABLE, None)
    try:
        yield
    finally:
        if token is not None:
            os.environ[TOKEN_VARIABLE] = token


def _check(problem: bytes) -> None:
    """Raise what a replica answered instead of nothing."""
    if problem:
        raise error_of(json.loads(problem))


async def _reply(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except _ray().exceptions.RayError as error:
        raise _lost(error) from None


def _lost(error: Exception) -> ReplicaLost:
    return ReplicaLost(
        "The computer or process that answered was lost.",
        hint="Ask again.",
        detail=type(error).__name__,
    )
