"""Parts of a model: which of them learn, and changing the variant between stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from med2e3.errors import InputError
from med2e3.model import Med2E3Config, Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.training.beginning import begin_at_scale


def train_only(model: nn.Module, parts: Sequence[str]) -> int:
    """Freeze everything but the named parts; those that the variant lacks are passed over.

    Returns:
        How many numbers learn.

    Raises:
        InputError: when nothing is left.
    """
    learning = 0
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.partition(".")[0] in parts
        learning += parameter.numel() * parameter.requires_grad
    if not learning:
        raise InputError(
            "Nothing of this model learns in this stage.",
            hint="Check the recipe's 'train' against the model's variant.",
        )
    return learning


def begin_anew(model: Med2E3ForConditionalGeneration, parts: Sequence[str], seed: int) -> None:
    """Give the named parts new random weights; those that the variant lacks are passed over."""
    if not parts:
        return
    torch.manual_seed(seed)
    other = Med2E3ForConditionalGeneration(model.config)
    begin_at_scale(other)
    for part in parts:
        if hasattr(model, part):
            getattr(model, part).load_state_dict(getattr(other, part).state_dict())


def with_variant(
    model: Med2E3ForConditionalGeneration,
    processor: Med2E3Processor,
    changes: Mapping[str, Any],
) -> tuple[Med2E3ForConditionalGeneration, Med2E3Processor]:
    """The model with some fields of its configuration changed; weights that fit are taken over.

    Parts that the new variant has and the old one lacks begin at random.

    Raises:
        InputError: for a field or a value that a configuration does not take.
    """
    if not changes:
        return model, processor
    fields = model.config.to_dict()
    unknown = sorted(set(changes) - set(fields) - set(Med2E3Config.__annotations__))
    if unknown:
        raise InputError(f"The model's configuration has no field {unknown[0]!r}.")
    for name in ("model_type", "transformers_version", "architectures"):
        fields.pop(name, None)
    try:
        changed = Med2E3ForConditionalGeneration(Med2E3Config(**(fields | dict(changes))))
    except (ValueError, TypeError) as error:
        raise InputError("The model cannot be changed in this way.", detail=repr(error)) from error
    changed.load_state_dict(model.state_dict(), strict=False)
    changed.generation_config = model.generation_config
    processor.num_image_tokens = changed.config.num_image_tokens
    if changed.config.text_feature == "llm_embedding":
        processor.question_reader = "tokenizer"
    return changed, processor
