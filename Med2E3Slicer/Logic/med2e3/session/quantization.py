"""Linear layers whose weights are held in 8 or 4 bits.

Knows how weights are rounded and how they are multiplied: a few rows (decoding) by PyTorch's own
CPU kernels for such weights, many rows (the prompt) in blocks that are turned back into floating
point one after the other, which is faster there and never holds the whole matrix.  Knows nothing
of files, of free memory or of what the layers are for.

Only CPUs: a GPU is served by bitsandbytes (:mod:`med2e3.session.loading`).
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn

#: the kernels take and give this format; other activations are converted
_KERNEL_DTYPE = torch.bfloat16
#: weights that share a scale and a zero in 4 bits
GROUP = 64
#: rows of a matrix that are rounded, or turned back, at once
_BLOCK = 512
#: 4-bit kernels lay weights out in blocks of at most this many rows
_INT4_ROWS = 64
#: up to so many rows of activations the kernels are faster than turning weights back
_FEW_FOR_INT8 = 12
_FEW_FOR_INT4 = 48


class Int8Linear(nn.Module):
    """A linear layer with one scale for each row of its weight, symmetric.

    Args:
        weight: (out, in), of any floating format.
        bias: (out,) or None.
    """

    packed: Tensor
    scales: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        packed = torch.empty(weight.shape, dtype=torch.int8)
        scales = torch.empty(weight.shape[0], dtype=_KERNEL_DTYPE)
        for start in range(0, self.out_features, _BLOCK):
            part = weight[start : start + _BLOCK].float()
            scale = _usable((part.abs().amax(dim=1) / 127).to(_KERNEL_DTYPE))
            scales[start : start + _BLOCK] = scale
            rounded = (part / scale.float()[:, None]).round_().clamp_(-128, 127)
            packed[start : start + _BLOCK] = rounded.to(torch.int8)
        self.register_buffer("packed", packed)
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if bias is None else bias.clone())

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        """Of (..., in), (..., out), in the format of the input."""
        rows = inputs.reshape(-1, self.in_features)
        if rows.shape[0] <= _FEW_FOR_INT8:
            product = torch.ops.aten._weight_int8pack_mm(
                rows.to(_KERNEL_DTYPE), self.packed, self.scales
            ).to(inputs.dtype)
        else:
            product = rows.new_empty(rows.shape[0], self.out_features)
            for start in range(0, self.out_features, _BLOCK):
                end = min(start + _BLOCK, self.out_features)
                part = F.linear(rows, self.packed[start:end].to(rows.dtype))
                torch.mul(part, self.scales[start:end].to(part.dtype), out=product[:, start:end])
        return _with_bias(product, self.bias).view(*inputs.shape[:-1], self.out_features)


class Int4Linear(nn.Module):
    """A linear layer with a scale and a zero for each :data:`GROUP` weights of a row.

    A weight is ``(q - 8) * scale + zero`` with q in 0..15.

    Args:
        weight: (out, in) that :func:`fits_int4` says yes to.
        bias: (out,) or None.
    """

    packed: Tensor
    scales: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        packed = torch.empty(weight.shape[0], weight.shape[1] // 2, dtype=torch.uint8)
        groups = self.in_features // GROUP
        scales = torch.empty(groups, self.out_features, 2, dtype=_KERNEL_DTYPE)
        for start in range(0, self.out_features, _BLOCK):
            part = weight[start : start + _BLOCK].float().unflatten(1, (groups, GROUP))
            low, high = part.amin(dim=2), part.amax(dim=2)
            scale = _usable(((high - low) / 15).to(_KERNEL_DTYPE))
            # q is rounded with the scale and zero as they are stored, so their own rounding
            # costs nothing more
            zero = (low + 8 * scale.float()).to(_KERNEL_DTYPE)
            steps = (part - zero.float()[..., None]) / scale.float()[..., None]
            rounded = (steps.round_() + 8).clamp_(0, 15).flatten(1).to(torch.int32)
            packed[start : start + _BLOCK] = _pack(rounded)
            scales[:, start : start + _BLOCK, 0] = scale.t()
            scales[:, start : start + _BLOCK, 1] = zero.t()
        self.register_buffer("packed", packed)
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if bias is None else bias.clone())

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        """Of (..., in), (..., out), in the format of the input."""
        rows = inputs.reshape(-1, self.in_features)
        lanes = _lanes()
        if rows.shape[0] <= _FEW_FOR_INT4 or lanes is None:
            product = torch.ops.aten._weight_int4pack_mm_for_cpu(
                rows.to(_KERNEL_DTYPE), self.packed, GROUP, self.scales
            ).to(inputs.dtype)
        else:
            sums = rows.float().unflatten(1, (-1, GROUP)).sum(dim=2).to(rows.dtype)
            product = sums @ self.scales[..., 1].to(rows.dtype)  # what the zeros contribute
            for start in range(0, self.out_features, _BLOCK):
                end = min(start + _BLOCK, self.out_features)
                product[:, start:end] += rows @ self._without_zeros(start, end, lanes, rows.dtype)
        return _with_bias(product, self.bias).view(*inputs.shape[:-1], self.out_features)

    def _without_zeros(self, start: int, end: int, lanes: int, dtype: torch.dtype) -> Tensor:
        """``(q - 8) * scale`` of rows ``start`` to ``end``, transposed: (in, rows)."""
        numbers = _unpacked(self.packed[start:end], lanes).view(torch.int8).sub_(8).to(dtype)
        by_group = numbers.unflatten(0, (-1, GROUP))
        scales = self.scales[:, None, start:end, 0].to(dtype).contiguous()
        transposed: Tensor = by_group.mul_(scales).flatten(0, 1)
        return transposed


def quantized(weight: Tensor, bias: Tensor | None, precision: str) -> nn.Module:
    """A linear layer in ``int8`` or ``int4``; int8 where 4 bits do not fit its shape."""
    if precision == "int4" and fits_int4(*weight.shape):
        return Int4Linear(weight, bias)
    return Int8Linear(weight, bias)


def fits_int4(rows: int, columns: int) -> bool:
    """Whether the kernels take a matrix of this shape in 4 bits."""
    return rows % _INT4_ROWS == 0 and columns % GROUP == 0


def held_bytes(rows: int, columns: int, precision: str) -> int:
    """Bytes of a matrix in ``int8`` or ``int4``, scales included."""
    if precision == "int4" and fits_int4(rows, columns):
        return rows * columns // 2 + rows * (columns // GROUP) * 2 * _KERNEL_DTYPE.itemsize
    return rows * columns + rows * _KERNEL_DTYPE.itemsize


def _usable(scale: Tensor) -> Tensor:
    """A scale that can be divided by, also for weights that are all the same."""
    return torch.where(scale > 0, scale, torch.ones_like(scale))


def _with_bias(product: Tensor, bias: Tensor | None) -> Tensor:
    return product if bias is None else product + bias.to(product.dtype)


def _pack(numbers: Tensor) -> Tensor:
    packed: Tensor = torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers, 1)
    return packed


def _unpacked(packed: Tensor, lanes: int) -> Tensor:
    """Numbers 0..15 as bytes, transposed to (in, rows), from (rows, in / 2).

    A byte holds one weight of two rows of a block, half a block apart.
    """
    rows, half = packed.shape
    pairs = packed.view(rows // lanes, half * 2, lanes // 2)
    return torch.cat([pairs & 15, pairs >> 4], dim=2).transpose(0, 1).flatten(1)


@cache
def _lanes() -> int | None:
    """Rows that this CPU's kernel keeps together; None when its order is another one.

    The order is not documented, so it is tried out; without it the kernel does all products.
    """
    numbers = torch.arange(_INT4_ROWS * GROUP, dtype=torch.int32).view(_INT4_ROWS, GROUP) * 7 % 16
    packed = _pack(numbers)
    if packed.dtype != torch.uint8 or packed.shape != (_INT4_ROWS, GROUP // 2):
        return None
    for lanes in (64, 32, 16):
        if torch.equal(_unpacked(packed, lanes).t().to(torch.int32), numbers):
            return lanes
    return None
