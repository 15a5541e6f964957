"""Published weights against the model that they must fill: nothing lacking, nothing left over.

Every weight is consumed, or known to be unused, or refused by its published name; shapes, number
formats and values are looked at.  Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from med2e3.checkpoint.keys import Rules, published_name, rename, rules_of
from med2e3.errors import CheckpointError
from med2e3.model.configuration import Med2E3Config
from med2e3.model.modeling import Med2E3ForConditionalGeneration

_FORMATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def match_weights(
    weights: dict[str, dict[str, Tensor]],
    vision_2d: str,
    config: Med2E3Config,
    *,
    rules: Mapping[str, Rules] | None = None,
    fresh: Collection[str] = (),
) -> tuple[dict[str, Tensor], list[str]]:
    """Give every published weight its place in the model.

    Args:
        weights: weights by folder of the published layout.
        vision_2d: kind of the 2D encoder, as the reference names it.
        config: the model that they must fill.
        rules: names by folder; by default those of the published layout.
        fresh: parts of the model that are not to be filled.

    Returns:
        Weights under our names, and the published names that inference does not use.

    Raises:
        CheckpointError: naming the weight that is unknown, lacking, double or does not fit.
    """
    origin: dict[str, str] = {}
    state: dict[str, Tensor] = {}
    unused: list[str] = []
    for part, tensors in weights.items():
        for key, tensor in tensors.items():
            published = f"{part}/{key}"
            known, name = rename(key, rules[part] if rules else rules_of(part, vision_2d))
            if not known:
                raise CheckpointError(
                    f"The checkpoint holds {published}, which Med-2E3 does not have.",
                    hint="It may belong to another version of the model.",
                )
            if name is None or not _is_part_of_variant(name, config):
                unused.append(published)
            elif name in state:
                raise CheckpointError(f"The checkpoint holds {published} and {origin[name]}.")
            else:
                state[name], origin[name] = tensor, published
    _check(state, origin, config, vision_2d, fresh)
    return state, unused


def _is_part_of_variant(name: str, config: Med2E3Config) -> bool:
    """Encoders that a variant leaves out are saved by the reference all the same."""
    owner = _owner(name)
    if owner in ("vision_2d", "connector_2d"):
        return config.uses_2d
    if owner in ("vision_3d", "connector_3d"):
        return config.uses_3d
    if owner == "question_encoder":
        return config.uses_question_encoder
    return True


def _owner(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def _check(
    state: dict[str, Tensor],
    origin: dict[str, str],
    config: Med2E3Config,
    vision_2d: str,
    fresh: Collection[str],
) -> None:
    expected = _expected_shapes(config)
    head = "language_model.lm_head.weight"
    if config.tie_word_embeddings:  # then the head is the embedding, stored once or twice
        expected.setdefault(head, expected["language_model.model.embed_tokens.weight"])
    missing = [
        published_name(name, vision_2d)
        for name in expected
        if name not in state
        and _owner(name) not in fresh
        and not (config.tie_word_embeddings and name == head)
    ]
    if missing:
        more = f" and {len(missing) - 1} other weights." if len(missing) > 1 else "."
        raise CheckpointError(
            f"The checkpoint lacks {missing[0]}{more}",
            hint="Check that the folder is complete.",
            detail=", ".join(missing),
        )
    for name, tensor in state.items():
        if name not in expected:
            raise CheckpointError(
                f"The checkpoint holds {origin[name]}, which this variant does not have."
            )
        if tensor.shape != expected[name]:
            raise CheckpointError(
                f"The weight {origin[name]} has the shape {tuple(tensor.shape)}, "
                f"not {tuple(expected[name])}."
            )
        if tensor.dtype not in _FORMATS:
            raise CheckpointError(
                f"The weight {origin[name]} is stored as {str(tensor.dtype).split('.')[-1]}, "
                "not as real numbers of 16 bits or more."
            )
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                f"The weight {origin[name]} holds values that are not finite.",
                hint="The file is damaged, or training failed.",
            )


def _expected_shapes(config: Med2E3Config) -> dict[str, torch.Size]:
    try:
        with torch.device("meta"):
            model = Med2E3ForConditionalGeneration(config)
    except Exception as error:  # each part of the library raises its own kind
        raise CheckpointError(
            "The sizes in this checkpoint's configuration do not fit together.",
            detail=repr(error),
        ) from error
    return {name: parameter.shape for name, parameter in model.named_parameters()}
