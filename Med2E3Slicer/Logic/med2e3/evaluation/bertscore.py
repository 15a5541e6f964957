"""BERTScore F1 with a local language encoder.

Knows the definition: the cosine of contextual token vectors of one chosen layer, greedy matching
both ways, no inverse document frequency, no rescaling; the first and the last special token count
as partners but not in the means.  Knows nothing of downloads: the encoder is a folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from med2e3.errors import InputError

#: (model type, its layers): the layer whose vectors BERTScore's authors chose on WMT16
_BEST_LAYER = {
    ("roberta", 24): 17,
    ("roberta", 12): 10,
    ("bert", 24): 18,
    ("bert", 12): 9,
    ("distilbert", 6): 5,
}
_BATCH = 32
#: tokenizers that know no limit of their own say a number above this
_NO_LIMIT = 10**6


class BertScore:
    """An encoder that compares answers with references.

    Args:
        folder: a transformers model with its tokenizer; ``roberta-large`` for the paper's figure.
        layer: whose output is compared, 1 for the first; by default the one that BERTScore's
            authors chose for this kind of model.
        device: torch's name of the device.

    Raises:
        InputError: when the folder holds no such model, or no layer is known for it.
    """

    def __init__(self, folder: Path, layer: int | None = None, device: str = "cpu") -> None:
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            layers = int(config.num_hidden_layers)
            self.layer = layer or _BEST_LAYER.get((config.model_type, layers), 0)
            if not 1 <= self.layer <= layers:
                raise InputError(
                    f"No layer of the BERTScore model {folder.name!r} is known to be the best one."
                    if layer is None
                    else f"The BERTScore model {folder.name!r} has {layers} layers, not {layer}.",
                    hint="Give --bertscore-layer.",
                )
            config.num_hidden_layers = self.layer  # what comes after is not needed
            self.tokenizer: Any = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, **_word_start(config.model_type)
            )
            self.model: Any = AutoModel.from_pretrained(
                folder, config=config, local_files_only=True, use_safetensors=True
            )
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(
                f"The folder {folder.name!r} holds no encoder for BERTScore.",
                hint="Give a folder of transformers with model.safetensors, such as roberta-large.",
                detail=repr(error),
            ) from error
        self.model.eval().to(device)
        self.device = device
        # RoBERTa's positions begin after its padding id
        positions = config.max_position_embeddings - 2 * (config.model_type == "roberta")
        limits = (self.tokenizer.model_max_length, positions)
        self.longest = min(limit for limit in limits if 0 < limit < _NO_LIMIT)

    @torch.inference_mode()
    def f1(self, answers: Sequence[str], references: Sequence[str]) -> list[float]:
        """F1 of each answer with its reference; 0 where either has no word.

        F1 = 2PR/(P + R), with P the mean over the answer's tokens of the largest cosine with a
        token of the reference, and R the same with their parts exchanged.
        """
        pairs = [(a.strip(), r.strip()) for a, r in zip(answers, references, strict=True)]
        scores = dict.fromkeys(pairs, 0.0)
        full = sorted((pair for pair in scores if all(pair)), key=lambda p: len(p[0]) + len(p[1]))
        for start in range(0, len(full), _BATCH):
            part = full[start : start + _BATCH]
            vectors = self._encode(sorted({text for pair in part for text in pair}))
            scores |= {pair: _f1(vectors[pair[0]], vectors[pair[1]]) for pair in part}
        return [scores[pair] for pair in pairs]

    def _encode(self, texts: list[str]) -> dict[str, Tensor]:
        """Unit vectors (tokens, width) of each text, special tokens first and last."""
        batch = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.longest, return_tensors="pt"
        ).to(self.device)
        hidden = self.model(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask
        ).last_hidden_state.float()
        unit = torch.nn.functional.normalize(hidden, dim=-1)
        masks = batch.attention_mask.bool()
        return {text: row[mask].cpu() for text, row, mask in zip(texts, unit, masks, strict=True)}


def _word_start(model_type: str) -> dict[str, bool]:
    """RoBERTa's tokenizer reads the first word as it reads any other."""
    return {"add_prefix_space": True} if model_type == "roberta" else {}


def _f1(said: Tensor, wanted: Tensor) -> float:
    cosines = said @ wanted.T
    parts = cosines.max(dim=1).values[1:-1], cosines.max(dim=0).values[1:-1]
    if not all(len(part) for part in parts):
        return 0.0
    precision, recall = (float(part.mean()) for part in parts)
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0
