"""Tokenizers of a published checkpoint.

The language model's tokenizer lies in the checkpoint's root; BERT's, which reads the question for
TG-IS, does not lie in the checkpoint at all and is given beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from med2e3.checkpoint.variant import LANGUAGE_MODELS
from med2e3.errors import CheckpointError


def load_tokenizer(folder: Path, what: str) -> Any:
    """A tokenizer from a folder, never from a hub and never with code of its own.

    Args:
        folder: holds the tokenizer's files.
        what: for the message.

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
        return AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # the library raises many kinds for a broken file
        raise CheckpointError(f"{what} cannot be read.", detail=repr(error)) from error


def language_tokenizer(source: Path, llm_type: str, vocabulary: int) -> Any:
    """The language model's tokenizer with the padding token that the reference uses.

    Raises:
        CheckpointError: when it has no end token, or more tokens than the model has rows.
    """
    tokenizer = load_tokenizer(source, "the language model's tokenizer")
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
    return tokenizer
