"""The 2D branch: features of single slices from a SigLIP, CLIP or DINOv2 vision model.

Knows how to take one hidden state out of the three kinds of encoder, *before* any final norm
(what ``hidden_states[-1]`` means differs between transformers versions, so the blocks are run
here).  Knows nothing of volumes' meaning.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn
from transformers import PreTrainedModel


def encode_slices(
    encoder: PreTrainedModel,
    slices: Tensor,
    *,
    select_layer: int,
    select_feature: str,
) -> Tensor:
    """Features of a batch of grey slices.

    The values go in as they are, copied to the encoder's channels: Med-2E3 was trained without
    SigLIP's (x - 0.5) / 0.5.  DINOv2 interpolates its positions to any size; for SigLIP and CLIP,
    slices of another size than the encoder's are resized (bilinear).

    Args:
        encoder: a SigLIP, CLIP or DINOv2 vision model of transformers.
        slices: (S, H, W), values in 0..1.
        select_layer: index into [embeddings, block 1, ..., block L]; -1 is the last block.
        select_feature: ``cls_patch`` keeps all tokens, ``patch`` drops the first.

    Returns:
        (S, tokens, hidden)
    """
    config = encoder.config
    pixels = slices.to(encoder.dtype).unsqueeze(1)
    side = (config.image_size, config.image_size)
    if config.model_type != "dinov2" and pixels.shape[-2:] != side:
        pixels = F.interpolate(pixels, size=side, mode="bilinear", antialias=True)
    hidden: Tensor = encoder.embeddings(pixels.expand(-1, config.num_channels, -1, -1))
    if hasattr(encoder, "pre_layrnorm"):  # CLIP (the name is transformers')
        hidden = encoder.pre_layrnorm(hidden)
    blocks = _blocks(encoder)
    for block in blocks[: range(len(blocks) + 1)[select_layer]]:
        hidden = block(hidden, None)
    return hidden[:, 1:] if select_feature == "patch" else hidden


def _blocks(encoder: PreTrainedModel) -> nn.ModuleList:
    stack = encoder.encoder
    blocks: nn.ModuleList = stack.layer if hasattr(stack, "layer") else stack.layers
    return blocks
