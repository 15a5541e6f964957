"""Rows of a batch from all processes of a distributed training.

Knows process groups; a single process is the case that changes nothing.  Knows nothing of what
the rows mean.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def process_count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if process_count() > 1 else 0


def gather(rows: Tensor) -> Tensor:
    """The rows of all processes, in the order of the processes, without a gradient.

    Args:
        rows: (B, ...), the same shape on every process.

    Returns:
        (processes · B, ...)
    """
    if process_count() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(process_count())]
    dist.all_gather(parts, rows.detach().contiguous())
    return torch.cat(parts)


def gather_with_gradient(rows: Tensor) -> Tensor:
    """As :func:`gather`; the gradient of a row is summed over the processes' losses.

    When every process computes the same loss of all rows, and gradients of parameters are then
    averaged over the processes (as DDP, FSDP and DeepSpeed do), what results is the gradient that
    one process with the whole batch would have.
    """
    if process_count() == 1:
        return rows
    gathered: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.batch = rows.shape[0]
        return gather(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        start = process_rank() * ctx.batch
        return total[start : start + ctx.batch]
