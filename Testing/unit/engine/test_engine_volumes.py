"""Volumes: addressed by content, checked, bounded, shared by clients, dropped in time."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading

import numpy as np
import pytest
from unit.engine.conftest import Start, make_volume

from fixtures.engine_service import SIZE, TOKEN, Service, SteppedBackend, Voxels, eventually
from med2e3.engine.settings import Limits
from med2e3.engine.shelf import Shelf
from med2e3.protocol import (
    UnknownVolume,
    deflate,
    request_headers,
    volume_path,
    volume_sha256,
)


def put(
    service: Service,
    volume: Voxels,
    body: bytes | None = None,
    client: str = "test",
    **headers: str,
) -> int:
    path = volume_path(volume.sha256, volume.voxels.shape)
    data = volume.voxels.tobytes() if body is None else body
    return service.request("PUT", path, data, headers, client=client)[0]


def held(service: Service, volume: Voxels) -> bool:
    return service.request("HEAD", volume_path(volume.sha256))[0] == 200


def ask(service: Service, volume: Voxels, client: str = "test", **more: object) -> tuple[int, str]:
    body = {"volume": volume.sha256, "question": {"text": "Where?"}, **more}
    status, _, answer = service.request(
        "POST", "/v1/questions", json.dumps(body).encode(), client=client
    )
    return status, answer.decode()


def test_a_volume_arrives_exactly(start: Start, volume: Voxels) -> None:
    service = start()
    assert not held(service, volume)
    assert put(service, volume) == 200
    assert held(service, volume)
    np.testing.assert_array_equal(service.backend.volumes[volume.sha256], volume.voxels)
    other = make_volume(1)
    packed = {"Content-Encoding": "deflate"}
    assert put(service, other, deflate(other.voxels.tobytes()), **packed) == 200
    np.testing.assert_array_equal(service.backend.volumes[other.sha256], other.voxels)


def test_a_second_put_is_free(start: Start, volume: Voxels) -> None:
    service = start()
    assert put(service, volume) == 200
    # nothing of the body is looked at: it could not be this volume
    assert put(service, volume, b"") == 200
    assert put(service, volume, client="another") == 200
    assert service.backend.puts == [volume.sha256]


@pytest.mark.parametrize(
    "damage", ["content", "short", "long", "packed", "encoding", "not finite", "HU"]
)
def test_what_is_not_the_volume_is_refused(start: Start, volume: Voxels, damage: str) -> None:
    service = start()
    body = bytearray(volume.voxels.tobytes())
    headers = {}
    if damage == "content":
        body[3] ^= 1
    elif damage == "short":
        body = body[:-4]
    elif damage == "long":
        body += bytes(4)
    elif damage == "packed":
        headers["Content-Encoding"] = "deflate"
    elif damage == "encoding":
        headers["Content-Encoding"] = "br"
    else:
        voxels = volume.voxels.copy()
        voxels[1, 1, 1] = -1000 if damage == "HU" else np.nan
        volume = Voxels(voxels, volume_sha256(voxels.shape, voxels.tobytes()))
        body = bytearray(voxels.tobytes())
    assert put(service, volume, bytes(body), **headers) == 400
    assert not held(service, volume)
    assert service.backend.volumes == {}


def test_the_hash_covers_the_shape(start: Start, volume: Voxels) -> None:
    slices, rows, columns = SIZE
    path = volume_path(volume.sha256, (rows, slices, columns))
    assert start().request("PUT", path, volume.voxels.tobytes())[0] == 400


def test_a_volume_that_is_too_large_is_refused_before_it_is_read(start: Start) -> None:
    service = start(limits=Limits(max_volume_bytes=1000))
    large = make_volume(0, (4, 9, 9))
    assert put(service, large) == 413
    assert put(service, make_volume(0, (2, 9, 9))) == 200
    path = volume_path(large.sha256, (2, 9, 9))
    assert service.request("PUT", path, bytes(50_000))[0] == 413


def test_memory_for_volumes_is_bounded(start: Start) -> None:
    size = make_volume().voxels.nbytes
    service = start(limits=Limits(max_held_bytes=2 * size))
    first, second, third = (make_volume(seed) for seed in range(3))
    assert [put(service, v) for v in (first, second, third)] == [200, 200, 429]
    assert service.request("DELETE", volume_path(first.sha256))[0] == 204
    assert put(service, third) == 200
    assert set(service.backend.volumes) == {second.sha256, third.sha256}


def test_a_clients_next_volume_takes_the_place_of_its_least_recently_used(start: Start) -> None:
    service = start(limits=Limits(volumes_per_client=2))
    first, second, third, fourth = (make_volume(seed) for seed in range(4))
    for volume in (first, second, first, third):
        assert put(service, volume) == 200
    assert [held(service, v) for v in (first, second, third)] == [True, False, True]
    assert put(service, fourth, client="another") == 200
    assert [held(service, v) for v in (first, third, fourth)] == [True, True, True]
    assert set(service.backend.volumes) == {first.sha256, third.sha256, fourth.sha256}


def test_a_volume_in_use_is_not_displaced(start: Start) -> None:
    backend = SteppedBackend(steps=threading.Semaphore(0))
    service = start(backend, Limits(volumes_per_client=1))
    volume = make_volume()
    put(service, volume)
    asking = threading.Thread(target=ask, args=(service, volume))
    asking.start()
    eventually(lambda: bool(backend.jobs), "the question runs")
    assert put(service, make_volume(1)) == 429
    # dropped by its owner, it stays until the question has ended
    assert service.request("DELETE", volume_path(volume.sha256))[0] == 204
    assert volume.sha256 in backend.volumes
    backend.steps.release(100)
    asking.join()
    eventually(lambda: put(service, make_volume(1)) == 200, "there is room again")
    eventually(lambda: volume.sha256 not in backend.volumes, "the dropped volume goes")


def test_a_volume_stays_while_another_client_uses_it(start: Start, volume: Voxels) -> None:
    service = start()
    put(service, volume, client="one")
    put(service, volume, client="two")
    for client, remains in (("one", True), ("one", True), ("two", False)):
        path = volume_path(volume.sha256)
        assert service.request("DELETE", path, client=client)[0] == 204
        assert held(service, volume) is remains
    assert service.backend.volumes == {}
    status, body = ask(service, volume)
    assert (status, json.loads(body)["code"]) == (404, "unknown-volume")


def test_asking_about_a_volume_makes_it_ones_own(start: Start, volume: Voxels) -> None:
    service = start()
    put(service, volume, client="one")
    assert ask(service, volume, client="two")[0] == 200
    service.request("DELETE", volume_path(volume.sha256), client="one")
    assert held(service, volume)


def test_idle_volumes_are_dropped() -> None:
    async def story() -> None:
        backend, now = SteppedBackend(), [0.0]
        shelf = Shelf(backend, Limits(idle_s=100), now=lambda: now[0])
        volumes = [make_volume(seed) for seed in range(3)]

        async def put_at(when: float, volume: Voxels) -> None:
            now[0] = when

            async def read(_: int) -> bytearray:
                return bytearray(volume.voxels.tobytes())

            await shelf.put("test", volume.sha256, SIZE, read)

        for when, volume in zip((0, 10, 20), volumes, strict=True):
            await put_at(when, volume)
        first, _, third = (volume.sha256 for volume in volumes)
        let_go = shelf.hold("test", first)
        now[0] = 50
        shelf.use("test", third)
        now[0] = 115
        await shelf.forget_idle()
        assert set(backend.volumes) == {first, third}, "in use, or used since"
        let_go()
        now[0] = 200
        await shelf.forget_idle()
        assert set(backend.volumes) == {first}, "a question ended at 115"
        now[0] = 300
        await shelf.forget_idle()
        assert backend.volumes == {}
        assert shelf.num_bytes == 0
        with pytest.raises(UnknownVolume):
            shelf.use("test", first)

    asyncio.run(story())


def test_the_service_sweeps_by_itself(start: Start, volume: Voxels) -> None:
    service = start(limits=Limits(idle_s=0.2))
    put(service, volume)
    eventually(lambda: service.backend.volumes == {}, "the idle volume goes")


def send_in_part(to: socket.socket, method: str, path: str, body: bytes) -> None:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{k}: {v}\r\n" for k, v in request_headers(TOKEN, "half").items())
    to.sendall(head.encode() + b"\r\n" + body[: len(body) // 2])


def test_a_client_that_falls_silent_within_a_small_body_is_told(start: Start) -> None:
    service = start(limits=Limits(stall_s=0.3))
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as half:
        send_in_part(half, "POST", "/v1/questions", b"{}" * 20)
        said = http.client.HTTPResponse(half)
        said.begin()
        assert (said.status, said.getheader("Connection")) == (408, "close")
        assert said.getheader("Content-Type") == "application/problem+json"
        problem = json.loads(said.read())
    assert (problem["status"], problem["code"]) == (408, "bad-input")


def test_a_client_that_stops_sending_gives_its_room_back(start: Start) -> None:
    volume = make_volume()
    service = start(limits=Limits(max_held_bytes=volume.voxels.nbytes, stall_s=0.3))
    for ending in ("hangs up", "falls silent"):
        with socket.create_connection(("127.0.0.1", service.port)) as half:
            send_in_part(half, "PUT", volume_path(volume.sha256, SIZE), volume.voxels.tobytes())
            if ending == "falls silent":
                said = http.client.HTTPResponse(half)
                said.begin()
                assert (said.status, said.getheader("Connection")) == (408, "close")
                assert json.loads(said.read())["code"] == "bad-input"
        eventually(lambda: put(service, volume) == 200, f"there is room after one that {ending}")
        service.request("DELETE", volume_path(volume.sha256))
