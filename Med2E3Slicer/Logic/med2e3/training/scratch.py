"""A Med-2E3 made anew: sizes from a recipe, tokenizers from the training texts, random weights.

How the weights begin is said in :mod:`med2e3.training.beginning`; a model of public encoders is put
together elsewhere (:mod:`med2e3.checkpoint.assemble`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from med2e3.asking.question import IMAGE_MARK
from med2e3.data.sample import Sample
from med2e3.errors import InputError
from med2e3.model import Med2E3Config, Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.model.prompt import conversation
from med2e3.training.beginning import begin_at_scale, begin_with_brightness
from med2e3.training.tokenizers import learn_language_tokenizer, learn_question_tokenizer


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
    spoken = list(samples)
    prompt = str(sizes["config"].get("prompt", Med2E3Config.prompt))
    tokenizer = learn_language_tokenizer(
        (_whole_conversation(sample, prompt) for sample in spoken),
        int(sizes.get("vocabulary", 600)),
        prompt,
    )
    questions = learn_question_tokenizer(
        (text for s in spoken for text in (s.question, s.target, *s.choices)),
        int(sizes.get("question_vocabulary", 600)),
    )
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


def _whole_conversation(sample: Sample, prompt: str) -> str:
    """All that is said around a volume, so that what is said often becomes few tokens."""
    turns = sample.as_question().user_turns if sample.question.strip() else ("",)
    answers = [turn.answer for turn in sample.history]
    asked = conversation(prompt, turns, answers).replace(IMAGE_MARK, "")
    return f"{asked} {sample.target}"
