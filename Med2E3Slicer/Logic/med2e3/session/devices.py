"""Where and in which number format a model runs.

Knows the machine's devices and their free memory; knows nothing of what the model computes.
The CUDA and MPS branches choose only a name and a dtype; the code that then runs is the CPU's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from med2e3.devices import AUTO, DEVICE_NAMES, DTYPE_NAMES
from med2e3.errors import InputError, ResourceError
from med2e3.sizes import human_bytes

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in DTYPE_NAMES}

#: memory beside the weights: features, KV cache and activations of one question
_WORKING_BYTES = 1 << 30


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
                hint="Close other programs, or choose --dtype bfloat16 or another --device.",
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


def choose_dtype(
    name: str,
    device: str,
    parameters: int,
    *,
    free: int | None = None,
    fast_bfloat16: bool | None = None,
) -> str:
    """The number format to use.

    ``auto`` takes float32 on a CPU where it fits into half of the free memory (exact, and fast
    enough for small models), or into nine tenths where bfloat16 is slow, else bfloat16; on a GPU
    bfloat16 where the hardware has it, else float16.

    Args:
        name: ``auto`` or a key of :data:`DTYPES`.
        device: a device of this machine.
        parameters: numbers in the model.
        free: free bytes; measured when None.
        fast_bfloat16: see :func:`multiplies_bfloat16_fast`; measured when None.

    Raises:
        InputError: for another name.
        ResourceError: when the model does not fit into the free memory.
    """
    if name not in (AUTO, *DTYPES):
        raise InputError(f"There is no dtype {name!r}.", hint=f"Use {AUTO}, {', '.join(DTYPES)}.")
    free = free_memory(device) if free is None else free
    if name == AUTO:
        fast = multiplies_bfloat16_fast() if fast_bfloat16 is None else fast_bfloat16
        share = 0.5 if fast else 0.9
        if device == "cpu" and parameters * 4 + _WORKING_BYTES < free * share:
            name = "float32"
        elif device == "mps" or (device == "cuda" and not torch.cuda.is_bf16_supported()):
            name = "float16"
        else:
            name = "bfloat16"
    needed = parameters * DTYPES[name].itemsize + _WORKING_BYTES
    if needed > free:
        raise ResourceError(
            f"The model needs about {human_bytes(needed)} of memory as {name}, but only "
            f"{human_bytes(free)} are free on the {device} device.",
            hint="Close other programs, choose a smaller --dtype, or another --device.",
        )
    return name
