"""Types and volumes that the command line's tests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


RunCli = Callable[..., Ended]


def write_npy(path: Path, seed: int = 0, shape: tuple[int, ...] = (12, 24, 24)) -> Path:
    """An M3D array: noise in a frame of zeros."""
    rng = np.random.default_rng(seed)
    array = np.zeros(shape, np.float32)
    inner = tuple(slice(1, size - 1) for size in shape)
    array[inner] = rng.uniform(0.05, 1, array[inner].shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path
