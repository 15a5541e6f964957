"""In which precision a model fits into the free memory.

Knows about how many bytes a model takes in each precision, its weights and what it needs beside
them; knows nothing of how weights are loaded or rounded.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from med2e3.devices import AUTO, DTYPE_BYTES, PRECISION_NAMES, QUANTIZED_NAMES
from med2e3.errors import CheckpointError, InputError, ResourceError
from med2e3.model import Med2E3Config
from med2e3.session.devices import DTYPES, free_memory, multiplies_bfloat16_fast
from med2e3.sizes import human_bytes

#: bytes of one weight with its share of scales; some above the formats' own 8 and 4.5 bits, since
#: the head, and what 4 bits do not fit, is held in 8
_QUANTIZED_BYTES = {"int8": 1.01, "int4": 0.6}
#: what the process takes besides tensors that are counted: buffers of kernels, fragmentation
_OVERHEAD_BYTES = 256 << 20
#: share of the free memory that the activations of one batch of slices may take
_SHARE_FOR_SLICES = 0.25


@dataclass(frozen=True)
class Needs:
    """What a model asks of the memory.

    Args:
        parameters: all its numbers.
        quantizable: those of them that int8 and int4 change.
        working: numbers beside the weights: features, keys and values, activations.
    """

    parameters: int
    quantizable: int
    working: int

    def num_bytes(self, precision: str, dtype: str) -> int:
        """Bytes to hold the model and to answer a question.

        Args:
            precision: one of ``PRECISION_NAMES``.
            dtype: number format of what is not quantized.
        """
        item = DTYPE_BYTES[dtype]
        size = (self.parameters + self.working) * item + _OVERHEAD_BYTES
        if precision in QUANTIZED_NAMES:
            size -= int(self.quantizable * (item - _QUANTIZED_BYTES[precision]))
        return size


#: of the published model; a test counts them
PUBLISHED_NEEDS = Needs(4_348_064_512, 3_722_379_264, 360_972_288)


@dataclass(frozen=True)
class Precision:
    """How a model is held.

    Args:
        name: one of ``PRECISION_NAMES``.
        dtype: number format of everything that is not quantized.
    """

    name: str
    dtype: str

    @property
    def torch_dtype(self) -> torch.dtype:
        """:attr:`dtype` as torch's."""
        return DTYPES[self.dtype]


def needs_of(folder: Path, config: Med2E3Config) -> Needs:
    """What a model folder's model asks of the memory; reads the heads of its files only.

    Raises:
        CheckpointError: when a file of weights cannot be read.
    """
    parameters = quantizable = 0
    for path in sorted(folder.glob("*.safetensors")):
        for name, shape in _shapes(path).items():
            size = prod(shape)
            parameters += size
            if len(shape) == 2 and name.startswith("language_model.") and "embed" not in name:
                quantizable += size
    return Needs(parameters, quantizable, working_numbers(config))


def _shapes(path: Path) -> dict[str, list[int]]:
    """Names and shapes of a safetensors file, from its JSON head."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > path.stat().st_size:
                raise ValueError("the head is longer than the file")
            head = json.loads(file.read(length))
        return {name: entry["shape"] for name, entry in head.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise CheckpointError(
            "The model's files cannot be loaded.",
            hint="Run 'med2e3 models verify', then download or convert the model again.",
            detail=repr(error),
        ) from error


def working_numbers(config: Med2E3Config) -> int:
    """Numbers that one volume and one question take beside the weights.

    The volume's features, the keys and values of the prompt's beginning and of the answer, and
    the larger of the activations of a batch of slices and of the prompt.
    """
    language = config.language
    width, inner = int(language.hidden_size), int(language.intermediate_size)
    features = config.num_3d_tokens * width
    if config.uses_2d:
        features += config.num_slices * config.tokens_per_slice * width
    heads = getattr(language, "num_key_value_heads", None) or language.num_attention_heads
    head = getattr(language, "head_dim", None) or width // language.num_attention_heads
    cached = 2 * language.num_hidden_layers * heads * head * config.context_length
    prompt = config.context_length * (3 * inner + 6 * width)
    slices = _slice_numbers(config) * config.slices_per_batch
    return int(features + 2 * cached + max(prompt, slices))


def slices_that_fit(config: Med2E3Config, dtype: torch.dtype, free: int) -> int:
    """Slices to encode at once: as many as the model asks for, fewer where memory is short.

    Args:
        config: of the model.
        dtype: number format of its activations.
        free: bytes that are free on its device.
    """
    if not config.uses_2d:
        return config.slices_per_batch
    one = _slice_numbers(config) * dtype.itemsize
    return max(1, min(config.slices_per_batch, int(free * _SHARE_FOR_SLICES) // one))


def _slice_numbers(config: Med2E3Config) -> int:
    """Numbers of one slice's activations that are held at once while it is encoded."""
    vision = config.slice_encoder
    width = int(vision.hidden_size)
    inner = int(getattr(vision, "intermediate_size", 0) or 4 * width)
    connector = 2 * int(config.language.hidden_size)
    return (config.tokens_per_slice + 1) * (6 * width + max(2 * inner, connector))


def choose_precision(
    name: str,
    device: str,
    needs: Needs,
    *,
    free: int | None = None,
    fast_bfloat16: bool | None = None,
) -> Precision:
    """How to hold a model on a device.

    ``auto`` takes the most exact that fits: on a CPU float32 where it takes at most half of the
    free memory (nine tenths where bfloat16 is slow), then bfloat16, int8, int4; on a GPU bfloat16
    where the hardware has it, else float16, then int8 and int4.

    Args:
        name: ``auto`` or one of ``PRECISION_NAMES``.
        device: a device of this machine.
        needs: of the model.
        free: free bytes; measured when None.
        fast_bfloat16: see :func:`multiplies_bfloat16_fast`; measured when None.

    Raises:
        InputError: for another name, or one that the device does not run.
        ResourceError: when the model does not fit into the free memory.
    """
    if name not in (AUTO, *PRECISION_NAMES):
        raise InputError(
            f"There is no precision {name!r}.", hint=f"Use {AUTO}, {', '.join(PRECISION_NAMES)}."
        )
    if name in QUANTIZED_NAMES and device == "mps":
        raise InputError(
            f"{name} does not run on the mps device.", hint="Use float16, or --device cpu."
        )
    free = free_memory(device) if free is None else free
    slow = device == "cpu" and not (
        multiplies_bfloat16_fast() if fast_bfloat16 is None else fast_bfloat16
    )
    choices = _choices(name, device, slow)
    for choice in choices:
        share = (0.9 if slow else 0.5) if name == AUTO and choice.name == "float32" else 1.0
        if needs.num_bytes(choice.name, choice.dtype) <= free * share:
            return choice
    smallest = min(choices, key=lambda choice: needs.num_bytes(choice.name, choice.dtype))
    needed = human_bytes(needs.num_bytes(smallest.name, smallest.dtype))
    raise ResourceError(
        f"The model needs about {needed} of memory as {smallest.name}, but only "
        f"{human_bytes(free)} are free on the {device} device.",
        hint=_what_to_do(needs, smallest, device, free),
    )


def needed_in_each(needs: Needs, device: str) -> dict[str, int]:
    """Bytes that a model needs in each precision that ``auto`` may choose on a device."""
    sizes: dict[str, int] = {}
    for choice in _choices(AUTO, device, slow=False):
        sizes.setdefault(choice.name, needs.num_bytes(choice.name, choice.dtype))
    return sizes


def _choices(name: str, device: str, slow: bool) -> list[Precision]:
    """What may be tried, most exact first."""
    if name in DTYPES:
        return [Precision(name, name)]
    if device == "cpu":
        plain = ["float32", "bfloat16"]
    elif device == "cuda" and torch.cuda.is_bf16_supported():
        plain = ["bfloat16"]
    else:
        plain = ["float16"]
    rest = plain if slow else plain[-1:]  # where bfloat16 is slow the rest is float32, if it fits
    few_bits = [
        Precision(bits, dtype) for bits in QUANTIZED_NAMES if device != "mps" for dtype in rest
    ]
    if name in QUANTIZED_NAMES:
        return [choice for choice in few_bits if choice.name == name]
    return [*(Precision(dtype, dtype) for dtype in plain), *few_bits]


def _what_to_do(needs: Needs, tried: Precision, device: str, free: int) -> str:
    """What is smaller and fits, else what else there is."""
    for name, size in needed_in_each(needs, device).items():
        if size <= free and size < needs.num_bytes(tried.name, tried.dtype):
            return f"Use --precision {name}: it needs about {human_bytes(size)}."
    return "Close other programs, or use another --device or a computer with more memory."
