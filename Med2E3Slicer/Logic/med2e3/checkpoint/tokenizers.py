"""Tokenizers of a published checkpoint.

The language model's tokenizer lies in the checkpoint's root; BERT's, which reads the question for
TG-IS, does not lie in the checkpoint at all and is given beside it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from med2e3.checkpoint.files import read_json
from med2e3.checkpoint.variant import LANGUAGE_MODELS
from med2e3.errors import CheckpointError
from med2e3.model.tokenization import TokenizerHabits

_LANGUAGE_TOKENIZER = "the language model's tokenizer"

#: tokenizer class → the file that its Python version reads
_VOCABULARIES = {
    "LlamaTokenizer": "tokenizer.model",
    "Qwen2Tokenizer": "vocab.json",
    "CodeGenTokenizer": "vocab.json",
    "GPT2Tokenizer": "vocab.json",
}
_SENTENCEPIECE = ("LlamaTokenizer", "")


def load_tokenizer(folder: Path, what: str, *, as_written: bool = False) -> Any:
    """A tokenizer from a folder, never from a hub and never with code of its own.

    Args:
        folder: holds the tokenizer's files.
        what: for the message.
        as_written: take ``tokenizer.json`` to the letter, whatever class the settings name.

    Raises:
        CheckpointError: when there is none.
    """
    if not folder.is_dir():
        raise CheckpointError(f"The folder with {what} does not exist.")
    if not any(
        (folder / name).is_file()
        for name in ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json")
    ):
        raise CheckpointError(
            f"The folder given for {what} holds no tokenizer.",
            hint="It needs a tokenizer.json, a tokenizer.model or a vocab.txt.",
        )
    try:
        kind = PreTrainedTokenizerFast if as_written else AutoTokenizer
        return kind.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the library raises many kinds for a broken file
        raise CheckpointError(f"{what} cannot be read.", detail=repr(error)) from error


def language_tokenizer(
    source: Path, llm_type: str, vocabulary: int, *, use_fast: bool = False
) -> tuple[Any, TokenizerHabits]:
    """The language model's tokenizer with the padding token and the habits of the reference.

    Args:
        source: the published folder.
        llm_type: a key of :data:`LANGUAGE_MODELS`.
        vocabulary: rows of the language model's embedding.
        use_fast: ``tokenizer_use_fast`` of the published arguments.

    Raises:
        CheckpointError: when it has no end token, or more tokens than the model has rows.
    """
    settings = _settings(source)
    family = str(settings.get("tokenizer_class", "")).removesuffix("Fast")
    in_python = not use_fast and (source / _VOCABULARIES.get(family, "tokenizer.model")).is_file()
    if in_python and family in _SENTENCEPIECE:
        _check_sentencepiece(source / "tokenizer.model")
    if in_python or not (source / "tokenizer.json").is_file():
        tokenizer = load_tokenizer(source, _LANGUAGE_TOKENIZER)
    else:
        tokenizer = load_tokenizer(source, _LANGUAGE_TOKENIZER, as_written=True)
    padding = LANGUAGE_MODELS[llm_type][1]
    if padding != "pad" or tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token if padding == "unk" else tokenizer.eos_token
    if tokenizer.eos_token_id is None:
        raise CheckpointError("The language model's tokenizer has no end token.")
    if len(tokenizer) > vocabulary:
        raise CheckpointError(
            f"The tokenizer has {len(tokenizer)} tokens, the model only {vocabulary}.",
            hint="The tokenizer belongs to another model.",
        )
    habits = _python_habits(tokenizer, family, settings) if in_python else _fast_habits(tokenizer)
    return tokenizer, replace(habits, clean_up=_cleans_up(family, settings))


def _check_sentencepiece(path: Path) -> None:
    """The library takes a broken file for an empty vocabulary."""
    try:
        SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"{path.name} of the checkpoint cannot be read.",
            hint="Download it again.",
            detail=str(error),
        ) from error


def _settings(source: Path) -> dict[str, Any]:
    present = (source / "tokenizer_config.json").is_file()
    return read_json(source / "tokenizer_config.json") if present else {}


def _cleans_up(family: str, settings: dict[str, Any]) -> bool:
    return family != "Qwen2Tokenizer" and bool(settings.get("clean_up_tokenization_spaces"))


def _python_habits(tokenizer: Any, family: str, settings: dict[str, Any]) -> TokenizerHabits:
    """Habits of the tokenizers that transformers had in Python until version 4."""
    told = TokenizerHabits.of(tokenizer)
    more = settings.get("additional_special_tokens") or []
    names = [token["content"] if isinstance(token, dict) else token for token in more]
    skipped = {*told.skipped_ids, *tokenizer.convert_tokens_to_ids(names)}
    habits = replace(
        told,
        skipped_ids=tuple(sorted(skipped)),
        separate_ids=tuple(sorted(set(tokenizer.added_tokens_decoder) - skipped)),
        separator="" if family == "Qwen2Tokenizer" else " ",
    )
    if family not in _SENTENCEPIECE:
        return habits

    def setting(name: str, default: bool) -> bool:
        value = settings.get(name)
        return default if value is None else bool(value)

    return replace(
        habits,
        begins=setting("add_bos_token", True),
        ends=setting("add_eos_token", False),
        sentencepiece=True,
        legacy=setting("legacy", True),
        add_prefix_space=setting("add_prefix_space", True),
    )


def _fast_habits(tokenizer: Any) -> TokenizerHabits:
    """Habits of a tokenizer that was used through the tokenizers library then, too."""
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    return replace(
        TokenizerHabits.of(tokenizer), sentencepiece=False, skipped_ids=tuple(sorted(special))
    )
