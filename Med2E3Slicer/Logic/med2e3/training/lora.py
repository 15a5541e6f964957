"""Low-rank adapters (PEFT) on the linear layers of some parts, and merging them afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from med2e3.errors import ResourceError
from med2e3.model import Med2E3ForConditionalGeneration
from med2e3.training.recipe import Lora


def add_adapters(
    model: Med2E3ForConditionalGeneration, lora: Lora, train: Sequence[str]
) -> nn.Module:
    """Put an adapter on every linear layer of ``lora.parts``; other parts of ``train`` learn fully.

    Raises:
        ResourceError: when PEFT is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise ResourceError(
            "LoRA needs the package peft, which is not installed.",
            hint="Install it with: pip install 'med2e3[train]'",
        ) from error
    head = model.get_output_embeddings()
    targets = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and module is not head
        and name.partition(".")[0] in lora.parts
    ]
    whole = [part for part in train if part not in lora.parts and hasattr(model, part)]
    adapted = get_peft_model(
        model,
        LoraConfig(
            r=lora.r,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=targets,
        ),
    )
    for name, parameter in adapted.named_parameters():
        plain = name.removeprefix("base_model.model.").partition(".")[0]
        if plain in whole:
            parameter.requires_grad = True
    return adapted


def merge_adapters(adapted: nn.Module) -> Med2E3ForConditionalGeneration:
    """The plain model with the adapters added to its weights."""
    merge: Any = adapted.merge_and_unload
    merged: Med2E3ForConditionalGeneration = merge()
    return merged
