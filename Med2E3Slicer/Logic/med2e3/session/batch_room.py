"""How many answers fit into the memory at once.

Knows the size of keys and values and the free memory; does not know who asks.
"""

from __future__ import annotations

import torch

from med2e3.model import Med2E3ForConditionalGeneration
from med2e3.session.devices import free_memory

#: share of the free memory that is left for activations and for other programs
_RESERVE = 0.2


def bytes_per_token(model: Med2E3ForConditionalGeneration) -> int:
    """Bytes of one token's keys and values in all layers."""
    config = model.config.language
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * width * model.dtype.itemsize)


def room_in_bytes(device: str) -> int:
    """Bytes that keys and values may still take on a device."""
    free = free_memory(device)
    if device == "cuda":  # what torch holds and does not use is free, too
        free += torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return int(free * (1 - _RESERVE))
