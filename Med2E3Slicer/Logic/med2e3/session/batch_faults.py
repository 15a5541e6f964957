"""What can break while a model computes, told apart and said in words.

Knows the signs of memory that ran out and of a device that is gone; does not know what was
computed, nor what becomes of the question.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from med2e3.errors import DeviceLostError
from med2e3.session.devices import memory_shortage_said

_DEVICE_LOST = (
    "cuda error",
    "hip error",
    "cublas_status",
    "cudnn_status",
    "device-side assert",
    "mps backend",
    "device lost",
)


def is_device_lost(error: BaseException) -> bool:
    """Whether an exception means that this process can no longer use its device."""
    kind = getattr(torch, "AcceleratorError", None)
    words = str(error).lower()
    return (kind is not None and isinstance(error, kind)) or any(
        sign in words for sign in _DEVICE_LOST
    )


@contextmanager
def faults_said() -> Iterator[None]:
    """Turn what breaks inside the block into a sentence.

    Raises:
        ResourceError: when memory ran out, on the CPU or a GPU.
        DeviceLostError: when the device stopped working.
    """
    try:
        with memory_shortage_said():
            yield
    except RuntimeError as error:
        if not is_device_lost(error):
            raise
        raise DeviceLostError(
            "The graphics device stopped working while the model was computing.",
            hint="Ask again; if it happens again, update the graphics driver or use the CPU.",
            detail=repr(error),
        ) from error


def release_unused() -> None:
    """Give memory that nothing refers to any more back to the device and the system."""
    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
