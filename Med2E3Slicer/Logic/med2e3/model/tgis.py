"""Text-Guided Inter-Slice scoring (Med-2E3, arXiv 2411.12783, Sec. 3 and Algorithm 1).

Each slice gets a score that says how much its 2D features count for this question.  Knows slice
vectors, a text vector, scores and the weighted sum; knows nothing of encoders or of language
models.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from med2e3.model.configuration import Med2E3Config


def local_3d_features(features_3d: Tensor, num_slabs: int, num_slices: int) -> Tensor:
    """Give each slice the 3D tokens of the slab it lies in (Algorithm 1).

    Args:
        features_3d: (B, tokens, D), row-major over (slabs, rows, columns).
        num_slabs: 3D tokens along the slice axis (4 as published).
        num_slices: model slices (32 as published).

    Returns:
        (B, slices, tokens / slabs, D); neighbouring slices share a slab.
    """
    batch, _, width = features_3d.shape
    slabs = features_3d.view(batch, num_slabs, -1, width)
    return slabs.repeat_interleave(num_slices // num_slabs, dim=1)


def slice_vectors(
    features_3d: Tensor | None, features_2d: Tensor, num_slabs: int, local: str
) -> Tensor:
    """One vector per slice: the mean over its local tokens (Eq. 4).

    With both kinds it is *one* mean over all tokens (64 + 256 as published), not a mean of means.

    Args:
        features_3d: (B, tokens, D); may be None for ``2d``.
        features_2d: (B, slices, tokens, D).
        num_slabs: see :func:`local_3d_features`.
        local: ``both``, ``3d`` or ``2d``.

    Returns:
        (B, slices, D)
    """
    if local == "2d" or features_3d is None:
        return features_2d.mean(dim=2)
    local_3d = local_3d_features(features_3d, num_slabs, features_2d.shape[1])
    if local == "3d":
        return local_3d.mean(dim=2)
    return torch.cat([local_3d, features_2d], dim=2).mean(dim=2)


class TextGuidedInterSlice(nn.Module):
    """Scores slices against the question and aggregates their 2D features.

    Args:
        config: ``text_feature``, ``local_features``, ``aggregation`` and ``score_temperature``
            choose the paper's variant.
    """

    def __init__(self, config: Med2E3Config) -> None:
        super().__init__()
        width = config.language.hidden_size
        self.aggregation = config.aggregation
        self.local = config.local_features
        self.num_slabs = config.num_slabs
        self.temperature = config.score_temperature
        self.score_dropout = nn.Dropout(config.score_dropout)
        if config.aggregation == "tgis" and config.text_feature == "m3d_clip":
            self.question_projection = nn.Linear(config.question.hidden_size, width)
        if config.aggregation == "tgis" and config.text_feature == "none":
            self.slice_score = nn.Linear(width, 1)

    def scores(
        self,
        features_3d: Tensor | None,
        features_2d: Tensor,
        text: Tensor | None,
        volume_index: Tensor | None = None,
    ) -> Tensor:
        """How much each slice counts (Eqs. 4 to 6).

        Args:
            features_3d: (V, tokens, D) after the connector.
            features_2d: (V, slices, tokens, D) after the connector.
            text: (B, question width) for ``m3d_clip``, (B, D) for ``llm_embedding``, else None.
            volume_index: (B,), the volume of each question; by default question i is about
                volume i.

        Returns:
            (B, slices), each row sums to 1.
        """
        vectors = slice_vectors(features_3d, features_2d, self.num_slabs, self.local)
        vectors = _rows(vectors, volume_index)
        if text is None:
            relevance = self.slice_score(vectors).squeeze(-1)
        else:
            if hasattr(self, "question_projection"):
                text = self.question_projection(text)
            relevance = torch.bmm(vectors, text.to(vectors.dtype).unsqueeze(-1)).squeeze(-1)
        return torch.softmax(relevance / self.temperature, dim=-1)

    def forward(
        self,
        features_3d: Tensor | None,
        features_2d: Tensor,
        text: Tensor | None,
        volume_index: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Aggregate the slices' 2D features (Eq. 7, or its ablations of Table 4).

        Args:
            features_3d: (V, tokens, D) after the connector.
            features_2d: (V, slices, tokens, D) after the connector.
            text: see :meth:`scores`.
            volume_index: see :meth:`scores`.

        Returns:
            (B, tokens, D) and the scores (B, slices).  Scores are ``None`` unless they were
            computed from the question: an average, a maximum or a random draw attends to nothing.
        """
        if self.aggregation == "average":
            return _rows(features_2d.mean(dim=1), volume_index), None
        if self.aggregation == "max":
            return _rows(features_2d.amax(dim=1), volume_index), None
        if self.aggregation == "random":
            chance = torch.randn_like(_rows(features_2d[:, :, 0, 0], volume_index))
            weights = torch.softmax(chance, dim=-1)
            return _weighted_sum(weights, features_2d, volume_index), None
        scores = self.scores(features_3d, features_2d, text, volume_index)
        return _weighted_sum(self.score_dropout(scores), features_2d, volume_index), scores


def _rows(of_volumes: Tensor, volume_index: Tensor | None) -> Tensor:
    return of_volumes if volume_index is None else of_volumes[volume_index]


def _weighted_sum(weights: Tensor, features: Tensor, volume_index: Tensor | None) -> Tensor:
    """(B, tokens, D); a volume's features are read once, however many rows ask about it."""
    if volume_index is None:
        return torch.einsum("bn,bnld->bld", weights, features)
    order = volume_index.argsort(stable=True)
    rows = volume_index.bincount(minlength=len(features)).tolist()
    asked = zip(weights[order].split(rows), features.flatten(2), strict=True)
    sums = torch.cat([some @ slices for some, slices in asked])[order.argsort()]
    return sums.view(-1, *features.shape[2:])
