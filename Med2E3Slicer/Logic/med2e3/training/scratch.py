"""A Med-2E3 made anew: sizes from a recipe, tokenizers from the training texts, random weights.

Knows how the weights begin; a model of public encoders is put together elsewhere
(:mod:`med2e3.checkpoint.assemble`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig

from med2e3.data.sample import Sample
from med2e3.errors import InputError
from med2e3.model import Med2E3Config, Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.model.prompt import SYSTEM
from med2e3.training.tokenizers import learn_language_tokenizer, learn_question_tokenizer

#: mean grey value of a foreground-cropped CT in the soft-tissue window, and how much brighter a
#: patch embedding sees it: LayerNorm right after would take away a common offset, and with it
#: most of the brightness that tells contrast phases apart
_MEAN_GREY = 0.35
_GAIN = 5.0


def build_from_scratch(
    folder: Path,
    sizes: Mapping[str, Any],
    samples: Iterable[Sample],
    *,
    title: str,
    seed: int,
    remark: str = "",
) -> None:
    """Write a new, untrained model with its processor.

    Args:
        folder: is created.
        sizes: ``config``: fields of ``Med2E3Config``; ``vocabulary`` and ``question_vocabulary``:
            tokens at most.
        samples: whose texts the tokenizers learn.
        title: the model's name for people.
        seed: of the weights.
        remark: see ``Med2E3Config``.

    Raises:
        InputError: when the sizes do not fit together.
    """
    spoken = [text for s in samples for text in (s.question, s.target, *s.choices)]
    spoken += [SYSTEM, "USER: ASSISTANT: Choices:"]
    tokenizer = learn_language_tokenizer(spoken, int(sizes.get("vocabulary", 600)))
    questions = learn_question_tokenizer(spoken, int(sizes.get("question_vocabulary", 600)))
    fields = {key: dict(value) if isinstance(value, Mapping) else value
              for key, value in sizes["config"].items()}  # fmt: skip
    fields["text_config"] = fields["text_config"] | {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }
    if fields.get("question_config") is not None:
        fields["question_config"] = fields["question_config"] | {"vocab_size": len(questions)}
    torch.manual_seed(seed)
    try:
        config = Med2E3Config(**fields, title=title, remark=remark, untrained=True)
        model = Med2E3ForConditionalGeneration(config)
    except (ValueError, TypeError) as error:
        raise InputError(
            "The sizes of the new model do not fit together.",
            hint="Check 'start' of the recipe.",
            detail=repr(error),
        ) from error
    begin_at_scale(model)
    begin_with_brightness(model)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    processor = Med2E3Processor(
        tokenizer,
        tokenizer if config.text_feature == "llm_embedding" else questions,
        image_token_id=config.image_token_id,
        num_image_tokens=config.num_image_tokens,
        prompt=config.prompt,
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


@torch.no_grad()
def begin_at_scale(model: Med2E3ForConditionalGeneration) -> None:
    """Give linear layers outside the slice encoder weights that keep the size of what comes in.

    The libraries' 0.02 is meant for layers some thousand wide; in one of a hundred it makes
    queries, keys and scores almost 0 at first, and attention that is the same everywhere hardly
    learns.
    """
    for name, part in model.named_children():
        if name == "vision_2d":  # SigLIP's own beginning depends on the width already
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
