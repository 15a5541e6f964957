"""Volumes, and services with and without a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import numpy as np
import pytest

from fixtures.engine_service import SIZE, Service, SteppedBackend, Voxels, running_service
from med2e3.engine.settings import Limits
from med2e3.protocol import volume_sha256


class Start(Protocol):
    def __call__(
        self, backend: SteppedBackend | None = None, limits: Limits | None = None, **more: Any
    ) -> Service: ...


def make_volume(seed: int = 0, size: tuple[int, ...] = SIZE) -> Voxels:
    voxels = np.random.default_rng(seed).random(size, dtype=np.float32)
    return Voxels(voxels, volume_sha256(size, voxels.tobytes()))


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a service with a backend that the test steps."""
    with ExitStack() as stack:

        def begin(
            backend: SteppedBackend | None = None, limits: Limits | None = None, **more: Any
        ) -> Service:
            return stack.enter_context(running_service(backend or SteppedBackend(), limits, **more))

        yield begin


@pytest.fixture
def volume() -> Voxels:
    return make_volume()
