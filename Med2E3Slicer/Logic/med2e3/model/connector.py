"""From an encoder's width to the language model's: pooling of 3D tokens and a small MLP."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class MLPConnector(nn.Module):
    """Linear, erf-GELU, Linear (``mlp2x_gelu`` of the reference)."""

    def __init__(self, input_width: int, output_width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(input_width, output_width)
        self.activation = nn.GELU()
        self.linear_2 = nn.Linear(output_width, output_width)

    def forward(self, features: Tensor) -> Tensor:
        """(..., input width) → (..., output width)."""
        out: Tensor = self.linear_2(self.activation(self.linear_1(features)))
        return out


def pool_patches(features: Tensor, grid: Sequence[int], pool: Sequence[int]) -> Tensor:
    """Average neighbouring 3D patches, before the connector's MLP.

    Args:
        features: (B, n·h·w, C), row-major over the grid.
        grid: patches along (slices, rows, columns).
        pool: patches averaged along each.

    Returns:
        (B, n·h·w / prod(pool), C), row-major over the coarser grid.
    """
    batch, _, width = features.shape
    (n, h, w), (pn, ph, pw) = grid, pool
    cells = features.view(batch, n // pn, pn, h // ph, ph, w // pw, pw, width)
    return cells.mean(dim=(2, 4, 6)).flatten(1, 3)
