"""Fused attention that is fast backwards on CPUs, too.

torch's own is slow there in bfloat16, slower than plain products, and fast in float32.  Knows that
one fact; knows nothing of models.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

#: name of :func:`_transformers_attention` among transformers' implementations of attention
FLOAT32_ON_CPU = "sdpa_float32_on_cpu"


def fused_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention of all tokens to all tokens.

    Args:
        query: (B, heads, L, width of a head).
        key: the same shape.
        value: the same shape.

    Returns:
        The same shape and type; computed in float32 on a CPU where gradients are wanted.
    """
    if not _is_slow(query):
        return F.scaled_dot_product_attention(query, key, value)
    with torch.autocast("cpu", enabled=False):
        mixed = F.scaled_dot_product_attention(query.float(), key.float(), value.float())
    return mixed.to(query.dtype)


def _transformers_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """As transformers' own ``sdpa``, with the exception of :func:`fused_attention`."""
    parts = (query, key, value)
    slow = _is_slow(query)
    with torch.autocast(query.device.type, enabled=False) if slow else nullcontext():
        if slow:
            parts = (query.float(), key.float(), value.float())
        mixed, _ = sdpa_attention_forward(module, *parts, attention_mask, **kwargs)
    return mixed.to(query.dtype), None


def _is_slow(query: Tensor) -> bool:
    halved = query.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
    return query.device.type == "cpu" and halved and torch.is_grad_enabled()


AttentionInterface.register(FLOAT32_ON_CPU, _transformers_attention)
AttentionMaskInterface.register(FLOAT32_ON_CPU, sdpa_mask)
