"""A Med-2E3 folder of safetensors that appears only when it is complete.

Knows files; knows nothing of where the weights come from.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from huggingface_hub import save_torch_state_dict
from torch import Tensor
from transformers import GenerationConfig

from med2e3.model.configuration import Med2E3Config
from med2e3.model.modeling import Med2E3ForConditionalGeneration
from med2e3.model.processing import Med2E3Processor


def write_model(
    target: Path,
    config: Med2E3Config,
    state: dict[str, Tensor],
    processor: Med2E3Processor,
    end_ids: Sequence[int] | None = None,
) -> None:
    """Write weights, configuration and processor, whole or not at all.

    Args:
        target: new folder.
        config: of the model; its architecture and number format are filled in.
        state: every weight by its name.
        processor: its tokenizers and wording.
        end_ids: tokens that end an answer; by default the tokenizer's end token.
    """
    config.architectures = [Med2E3ForConditionalGeneration.__name__]
    config.dtype = _main_dtype(state)
    generation = GenerationConfig(
        eos_token_id=list(end_ids) if end_ids else processor.tokenizer.eos_token_id,
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
