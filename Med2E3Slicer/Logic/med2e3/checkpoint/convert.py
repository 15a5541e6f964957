"""A published checkpoint folder → one safetensors model that loads in one call.

Knows the order of the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from med2e3.checkpoint.check import match_weights
from med2e3.checkpoint.files import read_weights
from med2e3.checkpoint.lora import has_adapter, merge_adapter
from med2e3.checkpoint.tokenizers import language_tokenizer, load_tokenizer
from med2e3.checkpoint.variant import configuration, read_arguments
from med2e3.checkpoint.write import write_model
from med2e3.errors import CheckpointError, InputError
from med2e3.model.processing import Med2E3Processor

PARTS = ("llm", "vision2d_model", "vision2d_connector", "vision3d_model", "vision3d_connector")


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion did.

    Args:
        tensors: weights written.
        parameters: numbers in them.
        unused: published names that inference does not use.
        merged: LoRA matrices merged.
    """

    tensors: int
    parameters: int
    unused: tuple[str, ...]
    merged: int


def convert_checkpoint(
    source: Path,
    target: Path,
    *,
    question_tokenizer: Path,
    base_llm: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> ConversionReport:
    """Convert a published checkpoint.

    Args:
        source: folder with ``args/config.json`` and the five parts.
        target: new folder to write; it must not exist.
        question_tokenizer: folder of the BERT tokenizer (M3D-CLIP's, bert-base-uncased).
        base_llm: folder with the language model's base weights, for an adapter checkpoint that
            does not hold them itself.
        progress: told each step in words.

    Raises:
        InputError: when ``source`` is no checkpoint folder or ``target`` exists.
        CheckpointError: naming the key, shape or file that does not fit.
    """
    say = progress or (lambda _: None)
    if not (source / "args" / "config.json").is_file():
        raise InputError(
            "This folder is no published Med-2E3 checkpoint: it has no args/config.json.",
            hint="Give the folder that holds llm/, vision2d_model/, vision3d_model/ and args/.",
        )
    if target.exists():
        raise InputError("The output folder exists already.", hint="Give the name of a new one.")
    arguments = read_arguments(source)
    bert_tokenizer = load_tokenizer(question_tokenizer, "the question tokenizer")

    say("Reading weights")
    weights = {part: read_weights(_folder(source, part, base_llm)) for part in PARTS}
    merged = merge_adapter(source, weights) if has_adapter(source) else 0
    config = configuration(source, arguments, weights)
    if len(bert_tokenizer) > config.question.vocab_size:
        raise CheckpointError(
            "The question tokenizer does not belong to this model: it has "
            f"{len(bert_tokenizer)} tokens, the model's text encoder "
            f"{config.question.vocab_size}.",
            hint="Use the tokenizer files of M3D-CLIP (bert-base-uncased).",
        )
    tokenizer, habits = language_tokenizer(
        source,
        arguments["llm_type"],
        config.language.vocab_size,
        use_fast=bool(arguments.get("tokenizer_use_fast")),
    )

    say("Checking every weight")
    state, unused = match_weights(weights, arguments["vision2d_model_type"], config)

    say("Writing safetensors")
    uses_llm_text = config.text_feature == "llm_embedding"
    processor = Med2E3Processor(
        tokenizer,
        tokenizer if uses_llm_text else bert_tokenizer,
        image_token_id=config.image_token_id,
        num_image_tokens=config.num_image_tokens,
        prompt=config.prompt,
        text_habits=habits.to_dict(),
        question_reader="tokenizer" if uses_llm_text else "question_tokenizer",
    )
    write_model(target, config, state, processor)
    return ConversionReport(
        tensors=len(state),
        parameters=sum(t.numel() for t in state.values()),
        unused=tuple(unused),
        merged=merged,
    )


def _folder(source: Path, part: str, base_llm: Path | None) -> Path:
    if part == "llm" and base_llm is not None:
        return base_llm
    return source / part
