"""Fused attention that is fast backwards on CPUs, too.

torch's own is slow there in bfloat16, slower than plain products, and fast in float32.  Knows that
one fact; knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable
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
    return _attend(F.scaled_dot_product_attention, query, key, value)


def _transformers_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """As transformers' own ``sdpa``, with the exception of :func:`fused_attention`."""

    def attend(*parts: Tensor) -> Tensor:
        mixed: Tensor = sdpa_attention_forward(module, *parts, attention_mask, **kwargs)[0]
        return mixed

    return _attend(attend, query, key, value), None


def _attend(attend: Callable[..., Tensor], query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    if not _is_slow(query):
        return attend(query, key, value)
    with torch.autocast("cpu", enabled=False):
        return attend(query.float(), key.float(), value.float()).to(query.dtype)


def _is_slow(query: Tensor) -> bool:
    halved = query.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
    return query.device.type == "cpu" and halved and torch.is_grad_enabled()


AttentionInterface.register(FLOAT32_ON_CPU, _transformers_attention)
AttentionMaskInterface.register(FLOAT32_ON_CPU, sdpa_mask)
