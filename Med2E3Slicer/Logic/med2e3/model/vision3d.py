"""M3D-CLIP's 3D vision transformer (Bai et al., arXiv 2404.00578).

Knows how a volume becomes patch features.  Written from the published weights' shapes; the
parameter names follow M3D-CLIP's so that a conversion is a renaming.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init

from med2e3.model.attention import fused_attention
from med2e3.model.configuration import M3DVisionConfig


class PatchEmbedding(nn.Module):
    """Volume → patch vectors plus learned positions.

    Tokens run row-major over (slices, rows, columns) of patches; inside a patch the voxels are
    flattened (slice, row, column) with the channel last.
    """

    def __init__(self, config: M3DVisionConfig) -> None:
        super().__init__()
        self.patch_size = tuple(config.patch_size)
        d, h, w = self.patch_size
        num_patches = config.grid[0] * config.grid[1] * config.grid[2]
        self.projection = nn.Linear(d * h * w * config.num_channels, config.hidden_size)
        self.position_embeddings = nn.Parameter(torch.zeros(1, num_patches, config.hidden_size))

    def forward(self, volume: Tensor) -> Tensor:
        """(B, C, N, H, W) → (B, patches, hidden)."""
        batch, channels, *size = volume.shape
        n, h, w = (s // p for s, p in zip(size, self.patch_size, strict=True))
        pn, ph, pw = self.patch_size
        patches = volume.reshape(batch, channels, n, pn, h, ph, w, pw)
        patches = patches.permute(0, 2, 4, 6, 3, 5, 7, 1).reshape(batch, n * h * w, -1)
        embedded: Tensor = self.projection(patches) + self.position_embeddings
        return embedded


class Attention(nn.Module):
    """Multi-head self-attention; query, key and value in one projection without bias."""

    def __init__(self, config: M3DVisionConfig) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=False)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, L, hidden) → (B, L, hidden)."""
        batch, length, width = hidden.shape
        qkv = self.qkv(hidden).view(batch, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = fused_attention(query, key, value)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return out


class Block(nn.Module):
    """Pre-norm transformer block with an erf-GELU MLP."""

    def __init__(self, config: M3DVisionConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(config)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = nn.Sequential()
        self.mlp.add_module("linear1", nn.Linear(width, config.intermediate_size))
        self.mlp.add_module("activation", nn.GELU())
        self.mlp.add_module("linear2", nn.Linear(config.intermediate_size, width))
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, L, hidden) → (B, L, hidden)."""
        hidden = hidden + self.dropout(self.attn(self.norm1(hidden)))
        out: Tensor = hidden + self.dropout(self.mlp(self.norm2(hidden)))
        return out


class M3DVisionModel(PreTrainedModel):
    """The 3D encoder: patches, a class token in front (without a position), blocks.

    The final norm of M3D-CLIP is not part of it: Med-2E3 takes the last block's own output.
    """

    config_class = M3DVisionConfig
    base_model_prefix = "vision_3d"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _no_split_modules = ["Block"]  # noqa: RUF012 (transformers reads this name on the class)
    _supports_sdpa = True

    def __init__(self, config: M3DVisionConfig) -> None:
        super().__init__(config)
        self.patch_embedding = PatchEmbedding(config)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.gradient_checkpointing = False
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, PatchEmbedding):
            init.normal_(module.position_embeddings, mean=0.0, std=self.config.initializer_range)
        elif isinstance(module, M3DVisionModel):
            init.zeros_(module.cls_token)

    def forward(
        self,
        pixel_values: Tensor,
        select_layer: int = -1,
        with_class_token: bool = False,
        **_: Any,
    ) -> Tensor:
        """Features of one hidden state.

        Args:
            pixel_values: (B, C, N, H, W), values in 0..1.
            select_layer: index into [embeddings, block 1, ..., block L]; -1 is the last block.
            with_class_token: keep the class token, in front of the patches.

        Returns:
            (B, patches, hidden), or (B, 1 + patches, hidden) with the class token; no final norm.
        """
        hidden = self.patch_embedding(pixel_values.to(self.dtype))
        hidden = torch.cat([self.cls_token.expand(hidden.shape[0], -1, -1), hidden], dim=1)
        for block in self.blocks[: range(len(self.blocks) + 1)[select_layer]]:
            if self.gradient_checkpointing and self.training:
                hidden = self._gradient_checkpointing_func(block.__call__, hidden)
            else:
                hidden = block(hidden)
        kept: Tensor = hidden if with_class_token else hidden[:, 1:]
        return kept


AutoModel.register(M3DVisionConfig, M3DVisionModel)
