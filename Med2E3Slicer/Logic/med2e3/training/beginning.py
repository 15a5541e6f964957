"""The weights that a new part of a model begins with.

Knows sizes and scales; knows nothing of recipes or of which parts are new.
"""

from __future__ import annotations

import torch
from torch import nn

from med2e3.model import Med2E3ForConditionalGeneration

#: mean grey value of a foreground-cropped CT in the soft-tissue window, and how much brighter a
#: patch embedding sees it: LayerNorm right after would take away a common offset, and with it
#: most of the brightness that tells contrast phases apart
_MEAN_GREY = 0.35
_GAIN = 5.0


@torch.no_grad()
def begin_at_scale(model: Med2E3ForConditionalGeneration) -> None:
    """Give linear layers and embeddings weights that keep the size of what comes in.

    The libraries' 0.02 is meant for layers some thousand wide; in one of a hundred it makes
    queries, keys and scores almost 0 at first, and attention that is the same everywhere hardly
    learns.  Some thousand wide it makes no difference.  Left alone are the slice encoder (SigLIP's
    own beginning depends on the width already) and TG-IS (its scores are to begin nearly uniform).
    """
    for name, part in model.named_children():
        if name in ("vision_2d", "tgis"):
            continue
        for module in part.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)


@torch.no_grad()
def begin_with_brightness(model: Med2E3ForConditionalGeneration) -> None:
    """Scale both patch embeddings and centre them on the mean grey value."""
    embeddings: list[nn.Conv2d | nn.Linear] = []
    if model.config.uses_2d and hasattr(model.vision_2d, "embeddings"):
        embeddings.append(model.vision_2d.embeddings.patch_embedding)
    if model.config.uses_3d:
        embeddings.append(model.vision_3d.patch_embedding.projection)
    for embedding in embeddings:
        weight, bias = embedding.weight, embedding.bias
        weight.mul_(_GAIN)
        if bias is not None:
            bias.copy_(-_MEAN_GREY * weight.flatten(1).sum(dim=1))
