"""A Med-2E3 to be trained, put together from public models.

Knows the order of the steps, what is taken over and what begins at random (the connectors, TG-IS,
and parts given by their sizes).  Where the parts come from is in
:mod:`med2e3.checkpoint.sources`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, BertModel

from med2e3.checkpoint.check import match_weights
from med2e3.checkpoint.keys import WITHOUT_TEXT
from med2e3.checkpoint.sources import (
    Source,
    language_source,
    locate,
    question_source,
    slice_source,
    volume_source,
)
from med2e3.checkpoint.tokenizers import language_tokenizer, load_tokenizer
from med2e3.checkpoint.variant import LANGUAGE_MODELS
from med2e3.checkpoint.write import write_model
from med2e3.errors import InputError
from med2e3.model.configuration import Med2E3Config
from med2e3.model.connector import MLPConnector
from med2e3.model.processing import Med2E3Processor
from med2e3.model.prompt import END_OF_ANSWER
from med2e3.model.tgis import TextGuidedInterSlice
from med2e3.model.tokenization import TokenizerHabits
from med2e3.model.vision3d import M3DVisionModel

_ALWAYS_FRESH = ("connector_2d", "connector_3d", "tgis")
_QUESTION_TOKENIZER = "the question tokenizer"


@dataclass(frozen=True)
class Parts:
    """What a Med-2E3 is made of: folders, names in the hub's cache, or JSON files of sizes.

    Args:
        llm: the language model.
        vision_2d: the slice encoder; None for a variant without.
        vision_3d: M3D-CLIP (the 3D and the question encoder); None for a variant without.
        question_encoder: a BERT; by default the one of M3D-CLIP.
        tokenizer: the language model's; by default the one in its folder.
        question_tokenizer: the question encoder's; by default the one in its folder.
    """

    llm: str
    vision_2d: str | None = None
    vision_3d: str | None = None
    question_encoder: str | None = None
    tokenizer: str | None = None
    question_tokenizer: str | None = None


@dataclass(frozen=True)
class AssemblyReport:
    """What was put together.

    Args:
        tensors: weights written.
        parameters: numbers in them.
        fresh_parameters: numbers that begin at random.
        fresh: parts that begin at random.
        unused: names of the public models' weights that were not taken.
    """

    tensors: int
    parameters: int
    fresh_parameters: int
    fresh: tuple[str, ...]
    unused: tuple[str, ...]


def assemble(
    target: Path,
    parts: Parts,
    *,
    variant: Mapping[str, Any] | None = None,
    prompt: str | None = None,
    seed: int = 2026,
    progress: Callable[[str], None] | None = None,
) -> AssemblyReport:
    """Write an untrained Med-2E3 of public encoders and a language model.

    Args:
        target: new folder; it must not exist.
        parts: what it is made of.
        variant: fields of :class:`~med2e3.model.configuration.Med2E3Config` besides the parts'.
        prompt: wording; by default that of the language model's family.
        seed: of what begins at random.
        progress: told each step in words.

    Raises:
        InputError: when a part is not there, is of a kind that is not known, or does not fit.
        CheckpointError: naming the weight or file that cannot be used.
    """
    say = progress or (lambda _: None)
    if target.exists():
        raise InputError("The output folder exists already.", hint="Give the name of a new one.")
    say("Reading weights")
    llm = language_source(parts.llm)
    vision_2d = slice_source(parts.vision_2d) if parts.vision_2d else None
    vision_3d = volume_source(parts.vision_3d) if parts.vision_3d else None
    question = question_source(parts.question_encoder) if parts.question_encoder else None
    tokenizer, habits, family = _language_tokenizer(parts, llm)
    wording = prompt or LANGUAGE_MODELS[family][0]
    end_ids = _end_ids(tokenizer, wording)
    config = _configuration(llm, vision_2d, vision_3d, question, wording, variant or {})
    question_tokenizer = _question_tokenizer(parts, question or vision_3d, config)
    processor = _processor(config, tokenizer, habits, question_tokenizer)

    say("Checking every weight")
    given = {
        folder: source
        for folder, source in (
            ("llm", llm),
            ("vision2d_model", vision_2d),
            ("vision3d_model", vision_3d),
            ("question_encoder", question),
        )
        if source is not None
    }
    rules = {folder: source.rules for folder, source in given.items()}
    if question is not None and vision_3d is not None:
        rules["vision3d_model"] = (*WITHOUT_TEXT, *vision_3d.rules)
    fresh = _fresh_parts(llm, vision_2d, vision_3d, question, config)
    state, unused = match_weights(
        {folder: source.weights for folder, source in given.items()},
        vision_2d.kind if vision_2d else "siglip",
        config,
        rules=rules,
        fresh=fresh,
    )
    new = _fresh_weights(config, fresh, seed)

    say("Writing safetensors")
    write_model(target, config, state | new, processor, end_ids)
    return AssemblyReport(
        tensors=len(state) + len(new),
        parameters=sum(t.numel() for t in (*state.values(), *new.values())),
        fresh_parameters=sum(t.numel() for t in new.values()),
        fresh=fresh,
        unused=tuple(unused),
    )


def _configuration(
    llm: Source,
    vision_2d: Source | None,
    vision_3d: Source | None,
    question: Source | None,
    prompt: str,
    variant: Mapping[str, Any],
) -> Med2E3Config:
    fields: dict[str, Any] = {"text_config": llm.config, "prompt": prompt, "untrained": True}
    if vision_2d is not None:
        fields["vision_2d_config"] = vision_2d.config
    if vision_3d is not None:
        fields |= vision_3d.config
    if question is not None:
        fields["question_config"] = question.config
    if variant.get("text_feature", "m3d_clip") != "m3d_clip":
        fields["score_temperature"] = 1.0  # as in paper v1
    try:
        config = Med2E3Config(**(fields | dict(variant)))
        tokens = config.num_image_tokens
    except (ValueError, TypeError, KeyError, ZeroDivisionError, StrictDataclassError) as error:
        raise InputError("The parts do not fit together.", detail=repr(error)) from error
    for part, needed, name in (
        (vision_2d, config.uses_2d, "slice encoder (--vision-2d)"),
        (vision_3d, config.uses_3d or config.uses_question_encoder, "3D encoder (--vision-3d)"),
    ):
        if needed and part is None:
            raise InputError(f"This variant needs a {name}.")
    if config.context_length <= tokens:
        raise InputError(
            f"A volume takes {tokens} tokens, and the context length is {config.context_length}.",
            hint="Give a longer one with --context-length.",
        )
    limit = getattr(config.language, "max_position_embeddings", None)
    if limit is not None and config.context_length > limit:
        raise InputError(
            f"The language model reads {limit} tokens at most, and the context length is "
            f"{config.context_length}."
        )
    return config


# ---- tokenizers ----------------------------------------------------------------------------


def _language_tokenizer(parts: Parts, llm: Source) -> tuple[Any, TokenizerHabits, str]:
    """The tokenizer, how it was used in training, and the reference's name for its family."""
    folder = locate(parts.tokenizer) if parts.tokenizer else llm.folder
    if folder is None:
        raise InputError(
            "A language model that begins at random needs a tokenizer.",
            hint="Give its folder with --tokenizer.",
        )
    family: str = llm.config.model_type
    tokenizer, habits = language_tokenizer(folder, family, llm.config.vocab_size)
    if family == "llama" and _has_token(tokenizer, END_OF_ANSWER["llama3"]):
        family = "llama3"
        tokenizer, habits = language_tokenizer(folder, family, llm.config.vocab_size)
    return tokenizer, habits, family


def _has_token(tokenizer: Any, token: str) -> bool:
    return token in tokenizer.get_vocab()


def _end_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Tokens that end an answer: the wording's, which is learned, and the tokenizer's own."""
    if prompt not in END_OF_ANSWER:
        raise InputError(
            f"There is no wording {prompt!r}.", hint=f"Known: {', '.join(END_OF_ANSWER)}."
        )
    end = END_OF_ANSWER[prompt]
    if not _has_token(tokenizer, end):
        raise InputError(
            f"The tokenizer has no {end}, which ends an answer in the wording {prompt!r}.",
            hint="Choose another wording with --prompt, or the model's own tokenizer.",
        )
    learned: int = tokenizer.convert_tokens_to_ids(end)
    return list(dict.fromkeys([learned, tokenizer.eos_token_id]))


def _question_tokenizer(parts: Parts, encoder: Source | None, config: Med2E3Config) -> Any:
    """BERT's tokenizer, or None where nothing reads the question with it."""
    if not config.uses_question_encoder:
        return None
    folder = locate(parts.question_tokenizer) if parts.question_tokenizer else None
    if folder is None and encoder is not None:
        folder = encoder.folder
    if folder is None:
        raise InputError(
            "The question encoder needs a tokenizer.",
            hint="Give its folder with --question-tokenizer.",
        )
    tokenizer = load_tokenizer(folder, _QUESTION_TOKENIZER)
    if len(tokenizer) > config.question.vocab_size:
        raise InputError(
            "The question tokenizer does not belong to the question encoder: it has "
            f"{len(tokenizer)} tokens, the encoder {config.question.vocab_size}.",
            hint="Use the tokenizer files of M3D-CLIP (bert-base-uncased).",
        )
    return tokenizer


def _processor(
    config: Med2E3Config, tokenizer: Any, habits: TokenizerHabits, question_tokenizer: Any
) -> Med2E3Processor:
    alone = question_tokenizer is None
    limit = 512 if alone else int(config.question.max_position_embeddings)
    return Med2E3Processor(
        tokenizer,
        tokenizer if alone else question_tokenizer,
        image_token_id=config.image_token_id,
        num_image_tokens=config.num_image_tokens,
        prompt=config.prompt,
        max_question_length=min(512, limit),
        text_habits=habits.to_dict(),
        question_reader="tokenizer" if alone else "question_tokenizer",
    )


# ---- what begins at random -----------------------------------------------------------------


def _fresh_parts(
    llm: Source,
    vision_2d: Source | None,
    vision_3d: Source | None,
    question: Source | None,
    config: Med2E3Config,
) -> tuple[str, ...]:
    random = {
        "language_model": _is_random(llm),
        "vision_2d": config.uses_2d and _is_random(vision_2d),
        "vision_3d": config.uses_3d and _is_random(vision_3d),
        "question_encoder": config.uses_question_encoder and _is_random(question or vision_3d),
        "connector_2d": config.uses_2d,
        "connector_3d": config.uses_3d,
        "tgis": config.scores_slices and config.text_feature != "llm_embedding",
    }
    return tuple(name for name, is_random in random.items() if is_random)


def _is_random(source: Source | None) -> bool:
    return source is not None and not source.weights


def _fresh_weights(config: Med2E3Config, parts: tuple[str, ...], seed: int) -> dict[str, Tensor]:
    """Random weights of some parts, as a model that is built anew has them."""
    width = config.language.hidden_size
    makers: dict[str, Callable[[], nn.Module]] = {
        "language_model": lambda: AutoModelForCausalLM.from_config(config.language),
        "vision_2d": lambda: AutoModel.from_config(config.slice_encoder),
        "vision_3d": lambda: M3DVisionModel(config.vision_3d),
        "question_encoder": lambda: BertModel(config.question),
        "connector_2d": lambda: MLPConnector(config.slice_encoder.hidden_size, width),
        "connector_3d": lambda: MLPConnector(config.vision_3d.hidden_size, width),
        "tgis": lambda: TextGuidedInterSlice(config),
    }
    torch.manual_seed(seed)
    weights: dict[str, Tensor] = {}
    for part in parts:
        module = makers[part]()
        if part in _ALWAYS_FRESH:
            _initialise(module, config.initializer_range)
        weights |= {f"{part}.{name}": value.data for name, value in module.named_parameters()}
    return weights


def _initialise(module: nn.Module, deviation: float) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.zeros_(layer.bias)
