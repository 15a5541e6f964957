"""A linear layer that multiplies a single row as a matrix by a vector.

Decoding one answer multiplies every weight by one row.  PyTorch's bfloat16 matrix product on CPUs
then reads the weights slower than the memory could give them; its matrix-vector product does not.
Both sum in float32 and round once, in another order.  Knows nothing of what the layers are for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SingleRowLinear(nn.Linear):
    """As ``nn.Linear``, with a product of its own for one row of bfloat16 without gradients."""

    def forward(self, input: Tensor) -> Tensor:
        """Of (..., in), (..., out)."""
        alone = (
            input.numel() == self.in_features
            and input.dtype == self.weight.dtype == torch.bfloat16
            and not torch.is_grad_enabled()
        )
        if not alone:
            return super().forward(input)
        product = torch.mv(self.weight, input.reshape(-1))
        if self.bias is not None:
            product = product + self.bias
        return product.view(*input.shape[:-1], self.out_features)


def multiply_single_rows_as_vectors(module: nn.Module) -> None:
    """Make every plain ``nn.Linear`` in a module a :class:`SingleRowLinear`; weights stay."""
    for part in module.modules():
        if type(part) is nn.Linear:
            part.__class__ = SingleRowLinear
