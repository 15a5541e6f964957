"""What is added to the language model's loss: score grounding."""

from __future__ import annotations

import torch
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
