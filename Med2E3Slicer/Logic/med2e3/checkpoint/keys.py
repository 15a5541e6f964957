"""Names of weights: from the published layout to ours.

Only data: for each part of a published checkpoint, an ordered list of (pattern, replacement); the
first full match renames a key, ``None`` marks a weight that inference does not use.  A key that
matches nothing is unknown, and the conversion refuses it by name.  For messages, also the way back.
"""

from __future__ import annotations

import re

Rules = tuple[tuple[str, str | None], ...]

_LANGUAGE_MODEL: Rules = ((r"(model\..+|lm_head\.\w+)", r"language_model.\1"),)

_SIGLIP: Rules = (
    (r"(?:vision_model\.)?head\..+", None),  # attention pooling head
    (r"(?:vision_model\.)?((?:embeddings|encoder|post_layernorm)\..+)", r"vision_2d.\1"),
)

_CLIP: Rules = (
    (
        r"(?:vision_model\.)?((?:embeddings|encoder|pre_layrnorm|post_layernorm)\..+)",
        r"vision_2d.\1",
    ),
)

_DINOV2: Rules = (
    (r"(encoder\.layer\.\d+\.attention)\.attention\.query\.(\w+)", r"vision_2d.\1.q_proj.\2"),
    (r"(encoder\.layer\.\d+\.attention)\.attention\.key\.(\w+)", r"vision_2d.\1.k_proj.\2"),
    (r"(encoder\.layer\.\d+\.attention)\.attention\.value\.(\w+)", r"vision_2d.\1.v_proj.\2"),
    (r"(encoder\.layer\.\d+\.attention)\.output\.dense\.(\w+)", r"vision_2d.\1.o_proj.\2"),
    (r"((?:embeddings|encoder|layernorm)\..+)", r"vision_2d.\1"),
)

_VISION_3D: Rules = (
    # MONAI >= 1.4 adds cross-attention to every block that nothing calls
    (r"vision_encoder\.blocks\.\d+\.(?:norm_cross_attn|cross_attn)\..+", None),
    (r"vision_encoder\.norm\.\w+", None),  # Med-2E3 reads the last block's own output
    (r"logit_scale|mm_vision_proj\.\w+|mm_language_proj\.\w+", None),  # contrastive training
    (r"vision_encoder\.cls_token", "vision_3d.cls_token"),
    (
        r"vision_encoder\.patch_embedding\.position_embeddings",
        "vision_3d.patch_embedding.position_embeddings",
    ),
    (
        r"vision_encoder\.patch_embedding\.patch_embeddings\.1\.(\w+)",
        r"vision_3d.patch_embedding.projection.\1",
    ),
    (
        r"vision_encoder\.(blocks\.\d+\.(?:norm1|norm2|attn|mlp)\..+)",
        r"vision_3d.\1",
    ),
    (r"language_encoder\.((?:embeddings|encoder|pooler)\..+)", r"question_encoder.\1"),
)

_CONNECTOR_2D: Rules = (
    (r"_connector\.0\.(\w+)", r"connector_2d.linear_1.\1"),
    (r"_connector\.2\.(\w+)", r"connector_2d.linear_2.\1"),
)

_CONNECTOR_3D: Rules = (
    (r"_connector\.0\.(\w+)", r"connector_3d.linear_1.\1"),
    (r"_connector\.2\.(\w+)", r"connector_3d.linear_2.\1"),
    (r"text_mlp\.(\w+)", r"tgis.question_projection.\1"),
    (r"scoring_module\.(\w+)", r"tgis.slice_score.\1"),
)

#: folder of the published layout → rules; the 2D encoder's depend on its kind
RULES: dict[str, Rules] = {
    "llm": _LANGUAGE_MODEL,
    "vision2d_connector": _CONNECTOR_2D,
    "vision3d_model": _VISION_3D,
    "vision3d_connector": _CONNECTOR_3D,
}
VISION_2D_RULES: dict[str, Rules] = {"siglip": _SIGLIP, "clip": _CLIP, "dinov2": _DINOV2}

_BUFFERS: Rules = ((r"(?:.+\.)?(?:position_ids|rotary_emb\.inv_freq)", None),)
_TEXT_PART: Rules = (
    (r"(?:text_model|text_projection|visual_projection)\..+|logit_scale|logit_bias", None),
)
_OWN_CLIP: Rules = (
    (r"(?:vision_norm|image_projection|text_projection)\.\w+|logit_scale", None),
    (r"((?:vision_3d|question_encoder)\..+)", r"\1"),
)
_BERT: Rules = (
    (r"cls\..+", None),  # heads of its pre-training
    (r"(?:bert\.)?(.+\.LayerNorm)\.gamma", r"question_encoder.\1.weight"),
    (r"(?:bert\.)?(.+\.LayerNorm)\.beta", r"question_encoder.\1.bias"),
    (r"(?:bert\.)?((?:embeddings|encoder|pooler)\..+)", r"question_encoder.\1"),
)
#: put before the rules of an M3D-CLIP whose text encoder another one replaces
WITHOUT_TEXT: Rules = ((r"(?:language_encoder|question_encoder)\..+", None),)

#: kind of a public model → rules for its own folder; what only serves its first use is known
SOURCE_RULES: dict[str, Rules] = {
    "language": (*_BUFFERS, *_LANGUAGE_MODEL),
    "siglip": (*_BUFFERS, *_TEXT_PART, *_SIGLIP),
    "clip": (*_BUFFERS, *_TEXT_PART, *_CLIP),
    "dinov2": _DINOV2,
    "bert": (*_BUFFERS, *_BERT),
    "m3d_clip": (*_BUFFERS, *_VISION_3D),  # as published
    "m3d_clip_pair": (*_BUFFERS, *_OWN_CLIP),  # ours
}

#: put in front of names by torch.compile
_COMPILED = "_orig_mod."


#: our names → published ones, the other way round, for messages about what is lacking
_PUBLISHED: tuple[tuple[str, str], ...] = (
    (r"language_model\.(.+)", r"llm/\1"),
    (r"connector_(2d|3d)\.linear_1\.(\w+)", r"vision\1_connector/_connector.0.\2"),
    (r"connector_(2d|3d)\.linear_2\.(\w+)", r"vision\1_connector/_connector.2.\2"),
    (r"tgis\.question_projection\.(\w+)", r"vision3d_connector/text_mlp.\1"),
    (r"tgis\.slice_score\.(\w+)", r"vision3d_connector/scoring_module.\1"),
    (
        r"vision_3d\.patch_embedding\.projection\.(\w+)",
        r"vision3d_model/vision_encoder.patch_embedding.patch_embeddings.1.\1",
    ),
    (r"vision_3d\.(.+)", r"vision3d_model/vision_encoder.\1"),
    (r"question_encoder\.(.+)", r"vision3d_model/language_encoder.\1"),
)
_PUBLISHED_DINOV2: tuple[tuple[str, str], ...] = (
    (r"vision_2d\.(.+\.attention)\.q_proj\.(\w+)", r"vision2d_model/\1.attention.query.\2"),
    (r"vision_2d\.(.+\.attention)\.k_proj\.(\w+)", r"vision2d_model/\1.attention.key.\2"),
    (r"vision_2d\.(.+\.attention)\.v_proj\.(\w+)", r"vision2d_model/\1.attention.value.\2"),
    (r"vision_2d\.(.+\.attention)\.o_proj\.(\w+)", r"vision2d_model/\1.output.dense.\2"),
    (r"vision_2d\.(.+)", r"vision2d_model/\1"),
)
_PUBLISHED_OTHER_2D = ((r"vision_2d\.(.+)", r"vision2d_model/vision_model.\1"),)


def rules_of(part: str, vision_2d: str) -> Rules:
    """The rules of one part, with the given kind of 2D encoder."""
    return VISION_2D_RULES[vision_2d] if part == "vision2d_model" else RULES[part]


def published_name(name: str, vision_2d: str) -> str:
    """Folder and key that one of our weights has in the published layout."""
    of_2d = _PUBLISHED_DINOV2 if vision_2d == "dinov2" else _PUBLISHED_OTHER_2D
    for pattern, replacement in (*_PUBLISHED, *of_2d):
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(replacement)
    return name


def rename(key: str, rules: Rules) -> tuple[bool, str | None]:
    """Our name for a published one.

    Returns:
        ``(known, name)``; ``name`` is None for a weight that is known and not used.
    """
    plain = key.replace(_COMPILED, "")
    for pattern, replacement in rules:
        match = re.fullmatch(pattern, plain)
        if match:
            return True, None if replacement is None else match.expand(replacement)
    return False, None
