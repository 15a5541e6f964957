"""A model of the released one's widths with random weights, written to a folder::

    python Testing/benchmarks/random_weights.py FOLDER --size small

``--size`` only changes how many layers there are; every matrix has the released model's size, so
the ratios of times hold and the seconds do not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import initialization

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fixtures.random_model import language_tokenizer, question_tokenizer
from med2e3.model import Med2E3Config, Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.session.devices import DTYPES

#: the released model's sizes: Phi-3-mini, SigLIP-large-patch16-256, M3D-CLIP, BERT-base
FULL_SIZE: dict[str, Any] = {
    "text_config": {"model_type": "phi3", "vocab_size": 32064, "eos_token_id": 0},
    "vision_2d_config": {
        "model_type": "siglip_vision_model",
        "image_size": 256,
        "patch_size": 16,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "vision_use_head": False,
    },
    "vision_3d_config": {},
    "question_config": {},
}
#: layers of the language model, the slice encoder, the 3D encoder, the question encoder
LAYERS = {"full": (32, 24, 12, 12), "half": (16, 12, 6, 6), "small": (4, 3, 2, 2)}
_PARTS = ("text_config", "vision_2d_config", "vision_3d_config", "question_config")


def config_of(size: str) -> Med2E3Config:
    """The configuration with as many layers as ``size`` says; ``tiny`` has small matrices, too."""
    fields = {part: dict(FULL_SIZE[part]) for part in _PARTS}
    layers = LAYERS["small" if size == "tiny" else size]
    for part, number in zip(_PARTS, layers, strict=True):
        fields[part]["num_hidden_layers"] = number
    if size == "tiny":  # to try the programs
        fields["text_config"] |= {
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_attention_heads": 8,
        }
        fields["vision_2d_config"] |= {"hidden_size": 128, "intermediate_size": 256}
    return Med2E3Config(**fields, untrained=True)


def processor_for(
    config: Med2E3Config, kind: type[Med2E3Processor] = Med2E3Processor
) -> Med2E3Processor:
    """A processor with small tokenizers."""
    return kind(
        language_tokenizer(),
        question_tokenizer(),
        image_token_id=config.image_token_id,
        num_image_tokens=config.num_image_tokens,
    )


def write(folder: Path, size: str, dtype: str) -> None:
    """Fill the model with one block of small random numbers over and over and save it.

    Drawing each number would take minutes and change no time or size that is measured.
    """
    config = config_of(size)
    torch.set_default_dtype(DTYPES[dtype])
    with initialization.no_init_weights():
        model = Med2E3ForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    block = torch.empty((1 << 20) - 3, dtype=DTYPES[dtype]).normal_(0, 0.02)
    for name, parameter in model.named_parameters():
        flat = parameter.data.view(-1)
        for start in range(0, flat.numel(), block.numel()):
            part = flat[start : start + block.numel()]
            part.copy_(block[: part.numel()])
        if "norm" in name.lower() and name.endswith("weight"):
            parameter.data.fill_(1)
    model.save_pretrained(folder)
    processor_for(config).save_pretrained(folder)


def main() -> None:
    """Parse arguments and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("::", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", default="full", choices=("full", "half", "small", "tiny"))
    parser.add_argument("--dtype", default="bfloat16", choices=tuple(DTYPES))
    arguments = parser.parse_args()
    write(arguments.folder, arguments.size, arguments.dtype)


if __name__ == "__main__":
    main()
