"""How a volume arrives at a replica: in parts, whole or not at all."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

from med2e3.engine.backend import LoadedModel
from med2e3.engine.cluster.replica import PIECE_BYTES, Replica, in_pieces
from med2e3.record import ModelRecord

SIZE = (5, 64, 64)
VOLUME = "ab" * 32
VOXELS = np.random.default_rng(0).random(SIZE, dtype=np.float32)


@pytest.fixture
def replica(monkeypatch: pytest.MonkeyPatch) -> Replica:
    """One that has no process with a model yet; it leaves this process's log alone."""
    monkeypatch.setattr("med2e3.engine.cluster.replica.log_to_stderr", lambda: None)
    return Replica("cpu", "float32")


async def send(replica: Replica, pieces: list[bytes]) -> None:
    """Two pieces at a time."""
    begin = 0
    for first in range(0, len(pieces), 2):
        some = pieces[first : first + 2]
        await replica.put(VOLUME, begin, *some)
        begin += sum(map(len, some))


def problem(answer: bytes) -> str:
    return str(json.loads(answer)["code"])


def test_a_volume_arrives_in_pieces(replica: Replica) -> None:
    pieces = list(in_pieces(VOXELS.data.cast("B")))
    assert len(pieces) == 2 and max(map(len, pieces)) == PIECE_BYTES

    async def test() -> None:
        await send(replica, pieces)
        assert await replica.keep(VOLUME, list(SIZE)) == b""

    asyncio.run(test())
    np.testing.assert_array_equal(replica._backend._volumes[VOLUME], VOXELS)
    assert not replica._arriving


def test_parts_that_are_lost_are_told(replica: Replica) -> None:
    async def test() -> bytes:
        await send(replica, list(in_pieces(VOXELS.data.cast("B")))[1:])
        return await replica.keep(VOLUME, list(SIZE))

    assert problem(asyncio.run(test())) == "unreachable"
    assert not replica._backend._volumes


def test_a_volume_that_is_dropped_on_its_way_leaves_nothing(replica: Replica) -> None:
    async def test() -> None:
        await send(replica, list(in_pieces(VOXELS.data.cast("B")))[:1])
        await replica.drop(VOLUME)

    asyncio.run(test())
    assert not replica._arriving


def test_a_volume_of_another_size_is_refused_in_words(replica: Replica) -> None:
    record = ModelRecord("played", None, "0" * 64)
    replica._backend._model = LoadedModel(record, (5, 32, 32), 512, "cpu", "float32")

    async def test() -> bytes:
        await send(replica, list(in_pieces(VOXELS.data.cast("B"))))
        return await replica.keep(VOLUME, list(SIZE))

    assert problem(asyncio.run(test())) == "bad-input"
