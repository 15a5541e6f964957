"""LoRA adapters of a published checkpoint, merged into the weights they adapt.

W' = W + scale · B A, computed and kept in float32, since rounding it to the base's format would
change what the adapter learned; scale = alpha / r (or alpha / sqrt(r) for rank-stabilised LoRA).
Kinds of adapters that change more than that are refused by name.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from torch import Tensor

from med2e3.checkpoint.files import read_json, read_weights
from med2e3.errors import CheckpointError

#: name of the whole model inside a PEFT wrapper → folder of the published layout
_PLACES: tuple[tuple[str, str], ...] = (
    ("llm.", "llm"),
    ("vision2d_model.vision2d_encoder.", "vision2d_model"),
    ("vision2d_connector.", "vision2d_connector"),
    ("vision3d_model.vision3d_encoder.", "vision3d_model"),
    ("vision3d_connector.", "vision3d_connector"),
)


def has_adapter(source: Path) -> bool:
    """Whether the folder holds a LoRA adapter."""
    return (source / "adapter_config.json").is_file()


def merge_adapter(source: Path, weights: dict[str, dict[str, Tensor]]) -> int:
    """Merge the folder's adapter into ``weights`` (changed in place).

    Args:
        source: holds ``adapter_config.json`` and ``adapter_model.safetensors`` or ``.bin``.
        weights: weights by folder of the published layout.

    Returns:
        The number of matrices changed.

    Raises:
        CheckpointError: for an adapter that is no plain LoRA, a half pair, or one that fits no
            weight.
    """
    config = read_json(source / "adapter_config.json")
    _refuse_other_kinds(config)
    for part in weights.values():
        _strip_wrapper_names(part)

    pairs: dict[str, dict[str, Tensor]] = {}
    for key, tensor in read_weights(source, "adapter_model").items():
        match = re.fullmatch(
            r"(?:base_model\.model\.)?(.+)\.lora_([AB])(?:\.default)?\.weight", key
        )
        if match is None:
            raise CheckpointError(f"The adapter holds {key}, which is no LoRA matrix.")
        pairs.setdefault(match[1], {})[match[2]] = tensor

    for module, pair in pairs.items():
        if set(pair) != {"A", "B"}:
            raise CheckpointError(f"The adapter has only one of the two matrices of {module}.")
        place, name = _place(module)
        target = weights[place].get(f"{name}.weight")
        if target is None or not _fits(pair["A"], pair["B"], target):
            raise CheckpointError(f"The adapter's {module} fits no weight of the checkpoint.")
        delta = pair["B"].float() @ pair["A"].float() * _scale(config, module, pair["A"].shape[0])
        weights[place][f"{name}.weight"] = target.float() + delta
    return len(pairs)


def _fits(a: Tensor, b: Tensor, target: Tensor) -> bool:
    if a.ndim != 2 or b.ndim != 2:
        return False
    return a.shape[0] == b.shape[1] and target.shape == (b.shape[0], a.shape[1])


def _refuse_other_kinds(config: dict[str, Any]) -> None:
    if config.get("peft_type") != "LORA":
        raise CheckpointError(f"Adapters of type {config.get('peft_type')} are not supported.")
    for name in ("use_dora", "fan_in_fan_out", "modules_to_save", "lora_bias"):
        if config.get(name):
            raise CheckpointError(f"LoRA adapters with {name} are not supported.")
    if not isinstance(config.get("lora_alpha"), (int, float)):
        raise CheckpointError("The adapter_config.json of this checkpoint has no lora_alpha.")
    if config.get("bias", "none") != "none":
        raise CheckpointError("LoRA adapters that train biases are not supported.")


def _strip_wrapper_names(part: dict[str, Tensor]) -> None:
    """Names inside a PEFT wrapper: ``x.base_layer.weight`` is ``x.weight``."""
    for key in [k for k in part if ".base_layer." in k]:
        part[key.replace(".base_layer.", ".")] = part.pop(key)


def _place(module: str) -> tuple[str, str]:
    for prefix, part in _PLACES:
        if module.startswith(prefix):
            return part, module.removeprefix(prefix)
    raise CheckpointError(f"The adapter changes {module}, which is no part of the model.")


def _scale(config: dict[str, Any], module: str, rank: int) -> float:
    alpha = float(_for_module(config.get("alpha_pattern"), module, config["lora_alpha"]))
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _for_module(pattern: dict[str, Any] | None, module: str, default: Any) -> Any:
    for name, value in (pattern or {}).items():
        if re.fullmatch(rf"(?:.*\.)?{name}", module):
            return value
    return default
