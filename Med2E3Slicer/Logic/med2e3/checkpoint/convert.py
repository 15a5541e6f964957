"""A published checkpoint folder → one safetensors model that loads in one call.

Every weight is consumed, or known to be unused, or refused by name; every weight of the model is
filled; every shape is compared.  The result appears only when it is complete.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import save_torch_state_dict
from torch import Tensor
from transformers import GenerationConfig

from med2e3.checkpoint.files import read_weights
from med2e3.checkpoint.keys import RULES, VISION_2D_RULES, rename
from med2e3.checkpoint.lora import has_adapter, merge_adapter
from med2e3.checkpoint.tokenizers import language_tokenizer, load_tokenizer
from med2e3.checkpoint.variant import configuration, read_arguments
from med2e3.errors import CheckpointError, InputError
from med2e3.model.configuration import Med2E3Config
from med2e3.model.modeling import Med2E3ForConditionalGeneration
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
    state, unused = _renamed(weights, arguments["vision2d_model_type"], config)
    _check_complete(state, config)

    say("Writing safetensors")
    uses_llm_text = config.text_feature == "llm_embedding"
    processor = Med2E3Processor(
        tokenizer,
        tokenizer if uses_llm_text else bert_tokenizer,
        image_token_id=config.image_token_id,
        num_image_tokens=config.num_image_tokens,
        prompt=config.prompt,
        text_habits=habits.to_dict(),
    )
    _write(target, config, state, processor)
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


def _renamed(
    weights: dict[str, dict[str, Tensor]], vision_2d: str, config: Med2E3Config
) -> tuple[dict[str, Tensor], list[str]]:
    """Weights under our names, and the published names that are not used."""
    state: dict[str, Tensor] = {}
    unused: list[str] = []
    for part, tensors in weights.items():
        rules = VISION_2D_RULES[vision_2d] if part == "vision2d_model" else RULES[part]
        for key, tensor in tensors.items():
            known, name = rename(key, rules)
            if not known:
                raise CheckpointError(
                    f"The checkpoint holds {part}/{key}, which Med-2E3 does not have.",
                    hint="It may belong to another version of the model.",
                )
            if name is None or not _is_part_of_variant(name, config):
                unused.append(f"{part}/{key}")
            else:
                state[name] = tensor
    return state, unused


def _is_part_of_variant(name: str, config: Med2E3Config) -> bool:
    """Encoders that a variant leaves out are saved by the reference all the same."""
    owner = name.split(".", maxsplit=1)[0]
    if owner in ("vision_2d", "connector_2d"):
        return config.uses_2d
    if owner == "question_encoder":
        return config.uses_question_encoder
    return True


def _check_complete(state: dict[str, Tensor], config: Med2E3Config) -> None:
    with torch.device("meta"):
        expected = dict(Med2E3ForConditionalGeneration(config).named_parameters())
    tied = config.tie_word_embeddings
    missing = [
        n for n in expected if n not in state and not (tied and n.endswith("lm_head.weight"))
    ]
    if missing:
        raise CheckpointError(
            f"The checkpoint lacks {missing[0]}"
            + (f" and {len(missing) - 1} other weights." if len(missing) > 1 else "."),
            hint="Check that the folder is complete.",
            detail=", ".join(missing),
        )
    for name, tensor in state.items():
        if name not in expected:
            if tied and name.endswith("lm_head.weight"):
                continue
            raise CheckpointError(f"The checkpoint holds {name}, which this variant does not have.")
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"The weight {name} has the shape {tuple(tensor.shape)}, "
                f"not {tuple(expected[name].shape)}."
            )
        if not tensor.is_floating_point():
            raise CheckpointError(f"The weight {name} holds {tensor.dtype}, not real numbers.")


def _write(
    target: Path, config: Med2E3Config, state: dict[str, Tensor], processor: Med2E3Processor
) -> None:
    config.architectures = [Med2E3ForConditionalGeneration.__name__]
    config.dtype = _main_dtype(state)
    generation = GenerationConfig(
        eos_token_id=processor.tokenizer.eos_token_id,
        pad_token_id=processor.tokenizer.pad_token_id,
        do_sample=False,
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        config.save_pretrained(staging)
        generation.save_pretrained(staging)
        processor.save_pretrained(staging)
        contiguous = {name: tensor.contiguous() for name, tensor in state.items()}
        save_torch_state_dict(contiguous, staging, max_shard_size="2GB", metadata={"format": "pt"})
        staging.rename(target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _main_dtype(state: dict[str, Tensor]) -> torch.dtype:
    """The number format that takes most of the space; parts of a checkpoint may differ."""
    sizes: Counter[torch.dtype] = Counter()
    for tensor in state.values():
        sizes[tensor.dtype] += tensor.numel() * tensor.element_size()
    return sizes.most_common(1)[0][0]
