"""Configurations of Med-2E3 and of M3D-CLIP's 3D vision transformer.

Knows sizes and choices, and what follows from them (token counts, grids).  Knows nothing of
tensors.  The paper's variants are fields here, not other classes: Tables 3 to 5 of the paper are
``text_feature``, ``local_features``, ``aggregation`` and ``image_features``.
"""

from __future__ import annotations

from math import prod
from typing import Any, cast

from transformers import AutoConfig, BertConfig, PretrainedConfig
from transformers.configuration_utils import SubConfigSpec

_CHOICES: dict[str, tuple[str, ...]] = {
    "text_feature": ("m3d_clip", "llm_embedding", "none"),
    "local_features": ("both", "3d", "2d"),
    "aggregation": ("tgis", "average", "max", "random"),
    "image_features": ("both", "3d", "2d"),
    "vision_2d_select_feature": ("cls_patch", "patch"),
}


class M3DVisionConfig(PretrainedConfig):
    """Sizes of the 3D vision transformer of M3D-CLIP.

    Args:
        image_size: model input, (slices, rows, columns).
        patch_size: one patch, (slices, rows, columns).
        num_channels: 1 for CT.
        hidden_size, intermediate_size, num_hidden_layers, num_attention_heads: the transformer.
        layer_norm_eps: 1e-5 in MONAI's blocks, which the published weights come from.
        hidden_dropout: dropout in training.
        initializer_range: standard deviation of new weights.
    """

    model_type = "m3d_vision"

    image_size: list[int] | tuple[int, ...] = (32, 256, 256)
    patch_size: list[int] | tuple[int, ...] = (4, 16, 16)
    num_channels: int = 1
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    layer_norm_eps: float = 1e-5
    hidden_dropout: float = 0.0
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if any(i % p for i, p in zip(self.image_size, self.patch_size, strict=True)):
            raise ValueError(f"image {self.image_size} is no multiple of patch {self.patch_size}")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"width {self.hidden_size} does not divide among {self.num_attention_heads} heads"
            )

    @property
    def grid(self) -> tuple[int, int, int]:
        """Patches along (slices, rows, columns); (8, 16, 16) as published."""
        d, h, w = (i // p for i, p in zip(self.image_size, self.patch_size, strict=True))
        return d, h, w


class Med2E3Config(PretrainedConfig):
    """Med-2E3: two encoders, TG-IS between them, one language model.

    Args:
        text_config: the language model; any causal LM of transformers (Phi-3, Llama, Qwen2).
        vision_2d_config: the slice encoder (SigLIP, CLIP or DINOv2 vision model).
        vision_3d_config: :class:`M3DVisionConfig`.
        question_config: BERT that reads the question for TG-IS (``text_feature="m3d_clip"``).
        text_feature: what TG-IS compares the slices with.  ``m3d_clip``: BERT's pooled output
            through one linear layer (paper v2, the released model).  ``llm_embedding``: mean of
            the LLM's token embeddings of the question (paper v1, Eq. 5).  ``none``: no text; one
            linear layer maps a slice to its score (the ablation without text guidance).
        local_features: what a slice's vector is averaged over (Eq. 4): 3D tokens, 2D tokens or
            both.
        aggregation: how the slices' 2D tokens become one set (Eq. 7 and Table 4).
        image_features: which features the LLM sees (Eq. 8 and Table 3).
        score_temperature: divides the dot products before the softmax; 5 in the released model,
            1 in paper v1.
        score_dropout: dropout on the scores while training.
        slabs: groups of neighbouring slices that share their 3D tokens in Eq. 4 (Algorithm 1); by
            default one for each layer of 3D tokens.  The reference always takes 4.
        pool_size: 3D patches averaged per token along (slices, rows, columns).
        vision_2d_select_layer, vision_3d_select_layer: which hidden state is taken; -1 is the
            output of the last block, before any final norm.
        vision_2d_select_feature: ``cls_patch`` keeps all tokens, ``patch`` drops the first.
        slices_per_batch: slices encoded at once by default.
        context_length: longest sequence, visual tokens and answer included.
        prompt: name of the conversation wording (:mod:`med2e3.model.prompt`).
        untrained: true for weights that were never trained; every output then says so.
        score_grounding: weight of the loss that told the scores which slices to find (0: the
            scores were learned from answers alone, as in the released model).
        title: a name for people.
        remark: a sentence that every output of this model carries, next to the general notice.
    """

    model_type = "med2e3"
    sub_configs_defaults = {  # noqa: RUF012 (transformers reads this name on the class)
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="phi3"),
        "vision_2d_config": SubConfigSpec(
            config_class=AutoConfig, model_type="siglip_vision_model"
        ),
        "vision_3d_config": SubConfigSpec(config_class=M3DVisionConfig),
        "question_config": SubConfigSpec(config_class=BertConfig, optional=True),
    }

    text_config: dict[str, Any] | PretrainedConfig | None = None
    vision_2d_config: dict[str, Any] | PretrainedConfig | None = None
    vision_3d_config: dict[str, Any] | PretrainedConfig | None = None
    question_config: dict[str, Any] | PretrainedConfig | None = None
    text_feature: str = "m3d_clip"
    local_features: str = "both"
    aggregation: str = "tgis"
    image_features: str = "both"
    score_temperature: float = 5.0
    score_dropout: float = 0.1
    slabs: int | None = None
    pool_size: list[int] | tuple[int, ...] = (2, 2, 2)
    vision_2d_select_layer: int = -1
    vision_2d_select_feature: str = "cls_patch"
    vision_3d_select_layer: int = -1
    slices_per_batch: int = 8
    context_length: int = 768
    prompt: str = "phi"
    untrained: bool = False
    score_grounding: float = 0.0
    title: str = "Med-2E3"
    remark: str = ""
    initializer_range: float = 0.02
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}")
        if self.uses_question_encoder and self.question_config is None:
            self.question_config = BertConfig()
        if any(g % p for g, p in zip(self.vision_3d.grid, self.pool_size, strict=True)):
            raise ValueError(f"grid {self.vision_3d.grid} is no multiple of {self.pool_size}")
        if self.num_slices % self.num_slabs or prod(self.pooled_grid) % self.num_slabs:
            raise ValueError("the slices do not divide evenly among the 3D tokens' slabs")
        self.tie_word_embeddings = bool(getattr(self.text_config, "tie_word_embeddings", False))

    @property
    def vision_3d(self) -> M3DVisionConfig:
        """The 3D encoder's configuration, typed."""
        return cast(M3DVisionConfig, self.vision_3d_config)

    @property
    def language(self) -> PretrainedConfig:
        """The language model's configuration, typed."""
        return cast(PretrainedConfig, self.text_config)

    @property
    def slice_encoder(self) -> PretrainedConfig:
        """The 2D encoder's configuration, typed."""
        return cast(PretrainedConfig, self.vision_2d_config)

    @property
    def question(self) -> PretrainedConfig:
        """The question encoder's configuration, typed."""
        return cast(PretrainedConfig, self.question_config)

    @property
    def scores_slices(self) -> bool:
        """Whether TG-IS scores exist: 2D features aggregated by the question (or a layer)."""
        return self.uses_2d and self.aggregation == "tgis"

    @property
    def uses_2d(self) -> bool:
        """Whether the slice encoder is part of the model."""
        return self.image_features != "3d"

    @property
    def uses_3d(self) -> bool:
        """Whether the 3D encoder is part of the model (as features, or only for the scores)."""
        return self.image_features != "2d" or (self.scores_slices and self.local_features != "2d")

    @property
    def uses_question_encoder(self) -> bool:
        """Whether BERT is part of the model."""
        return self.scores_slices and self.text_feature == "m3d_clip"

    @property
    def input_size(self) -> tuple[int, int, int]:
        """The model input, (slices, rows, columns)."""
        d, h, w = self.vision_3d.image_size
        return d, h, w

    @property
    def num_slices(self) -> int:
        """Model slices (32 as published)."""
        return self.input_size[0]

    @property
    def pooled_grid(self) -> tuple[int, int, int]:
        """3D tokens along (slices, rows, columns); (4, 8, 8) as published."""
        d, h, w = (g // p for g, p in zip(self.vision_3d.grid, self.pool_size, strict=True))
        return d, h, w

    @property
    def num_slabs(self) -> int:
        """Groups of slices that share their 3D tokens (4 as published)."""
        return self.slabs or self.pooled_grid[0]

    @property
    def num_3d_tokens(self) -> int:
        """3D tokens that the language model sees (256 as published)."""
        return prod(self.pooled_grid) if self.image_features != "2d" else 0

    @property
    def tokens_per_slice(self) -> int:
        """2D tokens of one slice (256 for SigLIP-large-patch16-256)."""
        vision = self.slice_encoder
        # DINOv2 takes the slice as it is; SigLIP and CLIP see it resized to their own size
        takes_any_size = vision.model_type == "dinov2"
        size = self.input_size[1:] if takes_any_size else (int(vision.image_size),) * 2
        patches = prod(side // int(vision.patch_size) for side in size)
        has_class_token = vision.model_type != "siglip_vision_model"
        dropped = self.vision_2d_select_feature == "patch"
        return patches + int(has_class_token) - int(dropped)

    @property
    def num_2d_tokens(self) -> int:
        """2D tokens that the language model sees."""
        return self.tokens_per_slice if self.uses_2d else 0

    @property
    def num_image_tokens(self) -> int:
        """Visual tokens of one volume: 3D tokens, then 2D tokens (512 as published)."""
        return self.num_3d_tokens + self.num_2d_tokens

    @property
    def image_token_id(self) -> int:
        """The id that stands for a visual token: one past the vocabulary, so never a word."""
        return int(self.language.vocab_size)


AutoConfig.register("m3d_vision", M3DVisionConfig)
AutoConfig.register("med2e3", Med2E3Config)
