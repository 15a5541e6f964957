"""Losses beside the published one: score grounding, and answers whose tokens count differently."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor


def grounding_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy between where a question's scores lie and where they should.

    Under the language model's loss alone TG-IS need not find what a question is about; with labels
    of the slices that matter it can be told.  Averaged over *all* rows, those without a target
    counting 0, so that the mean over processes of equal batches is the loss of the whole batch.

    Args:
        scores: (B, N) of TG-IS, each row sums to 1.
        targets: (B, N), each row sums to 1, or to 0 where nothing is known.

    Returns:
        A scalar.  Its minimum for targets uniform over k slices is log k, not 0.
    """
    tiny = torch.finfo(torch.float32).tiny
    return -(targets * scores.float().clamp_min(tiny).log()).sum(dim=-1).mean()


def weighted_answer_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of the next token where each token has a weight of its own.

    Args:
        logits: (B, L, vocabulary).
        labels: (B, L), tokens as they stand in the text; -100 is ignored.
        weights: (B, L) of the labels.

    Returns:
        A scalar: the mean over rows of the weighted sums.
    """
    costs = F.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), reduction="none"
    )
    return (costs.view(len(labels), -1) * weights[:, 1:]).sum(dim=-1).mean()
