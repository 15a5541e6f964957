"""Which devices this machine has, and how much of their memory is free.

Knows nothing of models; what fits is decided in :mod:`med2e3.session.precision`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from med2e3.devices import AUTO, DEVICE_NAMES, DTYPE_NAMES
from med2e3.errors import InputError, ResourceError

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in DTYPE_NAMES}


def available_devices() -> list[str]:
    """Names that ``--device`` takes on this machine, best first."""
    names = []
    if torch.cuda.is_available():
        names.append("cuda")
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def free_memory(device: str) -> int:
    """Bytes free on a device."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    return int(psutil.virtual_memory().available)


def multiplies_bfloat16_fast() -> bool:
    """Whether this CPU multiplies bfloat16 about as fast as float32.

    Without AVX-512 it does not: on one AVX2 machine a large product took five times as long.
    """
    return str(torch.backends.cpu.get_cpu_capability()) not in ("DEFAULT", "AVX2")


@contextmanager
def memory_shortage_said() -> Iterator[None]:
    """Turn a failed allocation inside the block into a sentence.

    Raises:
        ResourceError: when memory ran out, on the CPU or a GPU.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        words = str(error).lower()
        signs = ("out of memory", "allocate memory", "not enough memory")
        if isinstance(error, MemoryError) or any(sign in words for sign in signs):
            raise ResourceError(
                "There is not enough free memory for the model and this question.",
                hint="Close other programs, or choose --precision int8, int4 or another --device.",
                detail=repr(error),
            ) from error
        raise


def choose_device(name: str) -> str:
    """The device to use.

    Args:
        name: ``auto``, ``cuda``, ``mps`` or ``cpu``.

    Raises:
        InputError: for another name.
        ResourceError: when this machine has no such device.
    """
    present = available_devices()
    if name == AUTO:
        return present[0]
    if name not in DEVICE_NAMES:
        raise InputError(
            f"There is no device {name!r}.", hint=f"Use {AUTO}, {', '.join(DEVICE_NAMES)}."
        )
    if name not in present:
        raise ResourceError(
            f"This computer has no {name} device that PyTorch can use.",
            hint=f"Use --device {present[0]}, or run 'med2e3 doctor' to see what was found.",
        )
    return name
