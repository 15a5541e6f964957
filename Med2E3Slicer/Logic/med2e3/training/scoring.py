"""TG-IS alone: scores of slices, without the language model that reads what they weight."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from med2e3.model import Med2E3ForConditionalGeneration
from med2e3.model.modeling import Med2E3Output


class Scoring(nn.Module):
    """A Med-2E3 as far as its scores, for a stage in which answers count nothing.

    The language model takes most of a small model's time.

    Args:
        model: is trained in place.
    """

    def __init__(self, model: Med2E3ForConditionalGeneration) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        pixel_values: Tensor,
        volume_index: Tensor,
        question_ids: Tensor | None = None,
        question_mask: Tensor | None = None,
        **_: Any,
    ) -> Med2E3Output:
        """The scores of a batch of :class:`~med2e3.training.collate.Collator`."""
        volume = self.model.encode_volume(pixel_values)
        image = self.model.image_features(volume, question_ids, question_mask, volume_index)
        return Med2E3Output(slice_scores=image.scores)
