"""Which Med-2E3 a published folder holds: from its ``args/config.json`` to our configuration.

Knows the reference's names for connectors, encoders and language models, and which of them are
variants of the paper.  What it does not know is refused by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import AutoConfig, PretrainedConfig

from med2e3.checkpoint.files import read_json
from med2e3.checkpoint.keys import VISION_2D_RULES
from med2e3.errors import CheckpointError
from med2e3.model.configuration import Med2E3Config

#: 3D connector of the reference → fields of our configuration
CONNECTORS_3D: dict[str, dict[str, Any]] = {
    "spatial_pooling_mlp2x_gelu": {"image_features": "3d"},
    "spatial_pooling_score6_mlp2x_gelu": {
        "text_feature": "llm_embedding",
        "score_temperature": 1.0,
    },
    "spatial_pooling_score9_mlp2x_gelu": {"text_feature": "none", "score_temperature": 1.0},
    "spatial_pooling_score10_mlp2x_gelu": {"local_features": "3d"},
    "spatial_pooling_score11_mlp2x_gelu": {"local_features": "2d"},
    "spatial_pooling_score13_mlp2x_gelu": {
        "text_feature": "none",
        "local_features": "3d",
        "score_temperature": 1.0,
    },
    "spatial_pooling_score14_mlp2x_gelu": {
        "text_feature": "none",
        "local_features": "2d",
        "score_temperature": 1.0,
    },
    "spatial_pooling_score15_mlp2x_gelu": {},  # the released model
}

#: language model of the reference → (prompt, token that is used for padding)
LANGUAGE_MODELS: dict[str, tuple[str, str]] = {
    "phi3": ("phi", "pad"),
    "phi": ("phi", "unk"),
    "llama": ("llama", "pad"),
    "llama3": ("llama3", "eos"),
    "qwen2": ("qwen2", "pad"),
}

_VISION_2D_MODEL_TYPES = {
    "siglip": "siglip_vision_model",
    "clip": "clip_vision_model",
    "dinov2": "dinov2",
}

#: experiments of the reference whose forward pass is one of the paper's variants
_EXPERIMENTS = (0, 4)


def read_arguments(source: Path) -> dict[str, Any]:
    """``args/config.json``, checked to be a variant that is known.

    Raises:
        CheckpointError: naming what is unknown.
    """
    arguments = read_json(source / "args" / "config.json")
    for name, known in (
        ("exp_id", _EXPERIMENTS),
        ("llm_type", tuple(LANGUAGE_MODELS)),
        ("vision2d_model_type", tuple(VISION_2D_RULES)),
        ("vision2d_connector_type", ("mlp2x_gelu",)),
        ("vision3d_model_type", ("m3d",)),
        ("vision3d_model_select_feature", ("patch",)),
        ("vision3d_connector_type", tuple(CONNECTORS_3D)),
        ("vision2d_model_select_feature", ("cls_patch", "patch")),
    ):
        if arguments.get(name) not in known:
            raise CheckpointError(
                f"This checkpoint's {name} is {arguments.get(name)!r}, which is not supported.",
                hint=f"Supported: {', '.join(map(str, known))}.",
            )
    for name in (
        "llm_max_length",
        "vision2d_model_select_layer",
        "vision3d_model_select_layer",
    ):
        if type(arguments.get(name)) is not int:
            raise CheckpointError(f"args/config.json of the checkpoint has no number {name}.")
    return arguments


def configuration(
    source: Path, arguments: dict[str, Any], weights: dict[str, dict[str, Tensor]]
) -> Med2E3Config:
    """Our configuration for a published folder.

    Args:
        source: the folder.
        arguments: :func:`read_arguments`.
        weights: weights by folder; BERT's sizes are written nowhere but in their shapes.

    Raises:
        CheckpointError: when a part's configuration is missing or makes no sense.
    """
    fields: dict[str, Any] = {
        "text_config": language_config(_part_config(source, arguments, "llm")),
        "vision_3d_config": vision_3d_sizes(_part_config(source, arguments, "vision3d_model")),
        "vision_2d_config": vision_2d_fields(
            _part_config(source, arguments, "vision2d_model"), arguments["vision2d_model_type"]
        ),
        "question_config": question_sizes(weights["vision3d_model"]),
        "vision_2d_select_layer": arguments["vision2d_model_select_layer"],
        "vision_2d_select_feature": arguments["vision2d_model_select_feature"],
        "vision_3d_select_layer": _vision_3d_layer(arguments["vision3d_model_select_layer"]),
        "context_length": arguments["llm_max_length"],
        "slabs": 4,
        "prompt": LANGUAGE_MODELS[arguments["llm_type"]][0],
    }
    fields |= CONNECTORS_3D[arguments["vision3d_connector_type"]]
    try:
        config = Med2E3Config(**fields)
        _check_limits(config)
    except (ValueError, KeyError, TypeError, ZeroDivisionError, StrictDataclassError) as error:
        raise CheckpointError(
            "The sizes in this checkpoint's configuration do not fit together.", detail=str(error)
        ) from error
    return config


def _check_limits(config: Med2E3Config) -> None:
    for name, layer, depth in (
        ("2d", config.vision_2d_select_layer, int(config.slice_encoder.num_hidden_layers)),
        ("3d", config.vision_3d_select_layer, config.vision_3d.num_hidden_layers),
    ):
        if not -depth <= layer <= depth:
            raise CheckpointError(
                f"This checkpoint's vision{name}_model_select_layer does not fit its encoder, "
                f"which has {depth} blocks."
            )
    if config.context_length <= config.num_image_tokens:
        raise CheckpointError(
            f"This checkpoint's llm_max_length is {config.context_length}, but the image alone "
            f"takes {config.num_image_tokens} tokens."
        )


def _part_config(source: Path, arguments: dict[str, Any], part: str) -> dict[str, Any]:
    """The part's own ``config.json`` where there is one, else its copy in the arguments."""
    if (source / part / "config.json").is_file():
        return read_json(source / part / "config.json")
    name = f"{part}_config"
    if not isinstance(arguments.get(name), dict):
        raise CheckpointError(f"The checkpoint has neither {part}/config.json nor {name}.")
    copy: dict[str, Any] = arguments[name]
    return copy


def language_config(values: dict[str, Any]) -> PretrainedConfig:
    """A language model's configuration, without the remote code it may name."""
    plain = {k: v for k, v in values.items() if k not in ("auto_map", "_name_or_path")}
    model_type = plain.pop("model_type", None)
    scaling = plain.get("rope_scaling")
    if isinstance(scaling, dict) and scaling.get("type") == "su":  # Phi-3's first name for it
        plain["rope_scaling"] = scaling | {"type": "longrope"}
    try:
        config: PretrainedConfig = AutoConfig.for_model(model_type, **plain)
    except (ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise CheckpointError(
            f"The language model {model_type!r} of this checkpoint cannot be built.",
            detail=str(error),
        ) from error
    return config


def vision_3d_sizes(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of our :class:`M3DVisionConfig` from those of M3D-CLIP as published."""
    try:
        return {
            "image_size": values["img_size"],
            "patch_size": values["patch_size"],
            "num_channels": values.get("in_channels", 1),
            "hidden_size": values["hidden_size"],
            "intermediate_size": values["mlp_dim"],
            "num_hidden_layers": values["num_layers"],
            "num_attention_heads": values["num_heads"],
        }
    except KeyError as error:
        raise CheckpointError(
            f"The configuration of this checkpoint's 3D encoder lacks {error.args[0]}."
        ) from error


def vision_2d_fields(values: dict[str, Any], kind: str) -> dict[str, Any]:
    """A slice encoder's configuration, without its attention-pooling head and remote code.

    Args:
        values: its ``config.json``.
        kind: ``siglip``, ``clip`` or ``dinov2``.
    """
    if values.get("use_swiglu_ffn"):
        raise CheckpointError("DINOv2 with gated blocks (its giant size) is not supported.")
    extra = {"vision_use_head": False} if kind == "siglip" else {}
    plain = {k: v for k, v in values.items() if k not in ("auto_map", "_name_or_path")}
    return plain | {"model_type": _VISION_2D_MODEL_TYPES[kind]} | extra


def _vision_3d_layer(layer: int) -> int:
    """The reference counts the 3D encoder's blocks from 0; here 0 is what goes into them."""
    return layer + 1 if layer >= 0 else layer


def question_sizes(weights: dict[str, Tensor]) -> dict[str, Any]:
    """BERT's sizes from its tensors; heads are 64 wide as in every BERT of the family."""

    def shape(name: str) -> tuple[int, ...]:
        key = f"language_encoder.{name}"
        if key not in weights:
            raise CheckpointError(f"The checkpoint's vision3d_model lacks {key}.")
        return tuple(weights[key].shape)

    vocabulary, hidden = shape("embeddings.word_embeddings.weight")
    prefix = "language_encoder.encoder.layer."
    layers = {key.removeprefix(prefix).split(".")[0] for key in weights if key.startswith(prefix)}
    return {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(1, hidden // 64),
        "intermediate_size": shape("encoder.layer.0.intermediate.dense.weight")[0],
        "max_position_embeddings": shape("embeddings.position_embeddings.weight")[0],
        "type_vocab_size": shape("embeddings.token_type_embeddings.weight")[0],
    }
