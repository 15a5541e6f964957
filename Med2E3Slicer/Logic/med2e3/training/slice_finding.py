"""Slices' vectors that tell which slices hold a label, before any question is asked.

TG-IS sees a slice as the mean over its tokens.  Connectors that tell of a lesion in one token of
eighty do not yet tell of it there, and scores that look at wrong slices teach connectors to say
nothing of what lies in the right ones.  Here each label has a learned question of its own, scored
as TG-IS scores; it is thrown away afterwards.  Knows nothing of language.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from med2e3.model import Med2E3Config
from med2e3.model.tgis import slice_vectors


class SliceFinding(nn.Module):
    """For each label the slices that hold it, from slices' vectors.

    Args:
        config: of the model whose slices are scored.
        num_labels: label values, background (0) included; it is not looked for.
    """

    def __init__(self, config: Med2E3Config, num_labels: int) -> None:
        super().__init__()
        width = config.language.hidden_size
        self.num_slices = config.num_slices
        self.num_slabs = config.num_slabs
        self.local = config.local_features
        self.temperature = config.score_temperature
        self.questions = nn.Parameter(torch.randn(num_labels - 1, width) / width**0.5)

    def forward(
        self,
        tokens_3d: Tensor,
        tokens_2d: Tensor,
        chosen: Tensor,
        present: Tensor,
        known: Tensor,
        weights: Tensor,
    ) -> Tensor:
        """How far the scores are from the slices that hold each label (Kullback-Leibler).

        Args:
            tokens_3d: (V, tokens, D) after the connector.
            tokens_2d: (V, chosen slices, tokens, D) after the connector.
            chosen: (V, chosen slices), which of the model's slices these are.
            present: (V, chosen slices, patches, labels), see
                :func:`~med2e3.training.dense_targets.presence`.
            known: the same shape; a label that could be hidden in one of the slices is left out
                for that volume.
            weights: (labels,), how much each label counts.

        Returns:
            The weighted mean over volumes and labels that are in some of the slices and not in all.
        """
        row = torch.arange(len(chosen), device=chosen.device).unsqueeze(1)
        shape = (len(chosen), self.num_slices, *tokens_2d.shape[2:])
        every = tokens_2d.new_zeros(shape).index_put((row, chosen), tokens_2d)
        vectors = slice_vectors(tokens_3d, every, self.num_slabs, self.local)[row, chosen]
        relevance = vectors @ self.questions.T / self.temperature  # (V, slices, labels)
        holds = present[..., 1:].amax(dim=2)
        target = holds / holds.sum(dim=1, keepdim=True).clamp_min(1)
        missed = target * (target.clamp_min(1e-9).log() - relevance.log_softmax(dim=1))
        told = (known[..., 1:].amin(dim=2) > 0).all(dim=1)
        counts = told & (holds.amax(dim=1) > 0) & (holds.amin(dim=1) == 0)
        share = counts * weights[1:]
        return (missed.sum(dim=1) * share).sum() / share.sum().clamp_min(1e-9)
