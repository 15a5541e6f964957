"""Batches for contrastive pre-training: volumes and what their reports say (M3D-CLIP)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from med2e3.model import Med2E3Processor
from med2e3.training.collate import pad_right, stack_voxels
from med2e3.training.examples import Example


class ContrastiveCollator:
    """Pairs each volume with one text: the answer of its first sample.

    Args:
        processor: its question tokenizer reads the texts.
        max_length: tokens of a text at most, its end token included.
    """

    def __init__(self, processor: Med2E3Processor, max_length: int) -> None:
        self.tokenizer = processor.question_tokenizer
        self.max_length = max_length

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor | bool]:
        """``pixel_values`` (B, 1, N, H, W), ``input_ids`` and ``attention_mask`` (B, L)."""
        texts = self.tokenizer(
            [example.samples[0].answer for example in examples],
            max_length=self.max_length,
            truncation=True,
        ).input_ids
        return {
            "pixel_values": stack_voxels(examples),
            "input_ids": pad_right(texts, 0),
            "attention_mask": pad_right([[1] * len(ids) for ids in texts], 0),
            "return_loss": True,
        }
