"""M3D-CLIP: the 3D encoder and the question encoder, trained on pairs of volume and caption.

Knows the contrastive model of Bai et al. (arXiv 2404.00578), its configuration and its loss.
``vision_3d`` and ``question_encoder`` have the names that they have in Med-2E3, which takes them
over as they are; the final norm, the projections and the scale serve the contrast only.  How
embeddings come from other processes is in :mod:`med2e3.model.gathering`; knows nothing of data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    BertConfig,
    BertModel,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers import initialization as init
from transformers.configuration_utils import SubConfigSpec
from transformers.modeling_outputs import ModelOutput

from med2e3.model.configuration import M3DVisionConfig
from med2e3.model.gathering import gather, gather_with_gradient
from med2e3.model.vision3d import M3DVisionModel

_CHOICES: dict[str, tuple[str, ...]] = {
    "text_feature": ("class_token", "pooled"),
    "identical_captions": ("left_out", "negatives"),
}


class M3DClipConfig(PretrainedConfig):
    """Sizes and choices of M3D-CLIP.

    Args:
        vision_3d_config: :class:`~med2e3.model.configuration.M3DVisionConfig`.
        question_config: BERT that reads the caption.
        projection_size: width of the common space; by default the 3D encoder's width, as
            published.
        logit_scale_init: first value of the learned scale; ln(1 / 0.07).
        exponential_scale: true: similarities are multiplied by exp(scale), as in CLIP.  False: by
            the scale itself, as M3D-CLIP was published (so it starts at 2.66, not at 14.3).
        largest_scale: the multiplier never grows beyond it (CLIP's 100); only if exponential.
        text_feature: ``class_token``: BERT's last hidden state of [CLS] (M3D-CLIP; BERT's pooler
            is then not trained).  ``pooled``: the pooler's output, which is what TG-IS reads in
            Med-2E3; for training from scratch, so that the pooler learns.
        identical_captions: what pairs of a batch with the same caption are to each other:
            ``left_out`` of each other's contrast, or ``negatives`` as published.
        gather_across_processes: contrast with the pairs of all processes.
        max_text_length: tokens of a caption that are to be given at most.
    """

    model_type = "m3d_clip_pair"
    sub_configs_defaults = {  # noqa: RUF012 (transformers reads this name on the class)
        "vision_3d_config": SubConfigSpec(config_class=M3DVisionConfig),
        "question_config": SubConfigSpec(config_class=BertConfig),
    }

    vision_3d_config: dict[str, Any] | PretrainedConfig | None = None
    question_config: dict[str, Any] | PretrainedConfig | None = None
    projection_size: int | None = None
    logit_scale_init: float = math.log(1 / 0.07)
    exponential_scale: bool = True
    largest_scale: float = 100.0
    text_feature: str = "class_token"
    identical_captions: str = "left_out"
    gather_across_processes: bool = True
    max_text_length: int = 128
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}")
        if self.max_text_length > self.question.max_position_embeddings:
            raise ValueError("max_text_length is beyond the text encoder's positions")

    @property
    def vision_3d(self) -> M3DVisionConfig:
        """The 3D encoder's configuration, typed."""
        return cast(M3DVisionConfig, self.vision_3d_config)

    @property
    def question(self) -> PretrainedConfig:
        """The text encoder's configuration, typed."""
        return cast(PretrainedConfig, self.question_config)

    @property
    def hidden_size(self) -> int:
        """What DeepSpeed sizes its buffers by."""
        return self.vision_3d.hidden_size

    @property
    def width(self) -> int:
        """Width of the common space."""
        return self.projection_size or self.vision_3d.hidden_size


@dataclass
class M3DClipOutput(ModelOutput):
    """What one pass gives.

    Args:
        loss: symmetric contrastive loss over the pairs of all processes.
        logits_per_image: (B, B) scaled similarities of this process's volumes (rows) and captions.
        image_embeds, text_embeds: (B, D), of length 1.
    """

    loss: Tensor | None = None
    logits_per_image: Tensor | None = None
    image_embeds: Tensor | None = None
    text_embeds: Tensor | None = None


class M3DClipModel(PreTrainedModel):
    """A 3D encoder and BERT with one projection each into a common space."""

    config_class = M3DClipConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["Block", "BertLayer"]  # noqa: RUF012 (read by transformers)

    def __init__(self, config: M3DClipConfig) -> None:
        super().__init__(config)
        vision, question = config.vision_3d, config.question
        self.vision_3d = M3DVisionModel(vision)
        self.vision_norm = nn.LayerNorm(vision.hidden_size, eps=vision.layer_norm_eps)
        self.question_encoder = BertModel(question)
        self.image_projection = nn.Linear(vision.hidden_size, config.width)
        self.text_projection = nn.Linear(question.hidden_size, config.width)
        # of one entry, not of none: what shards weights over processes takes no plain number
        self.logit_scale = nn.Parameter(torch.full((1,), config.logit_scale_init))
        self.post_init()
        self.freeze_unused()

    def get_input_embeddings(self) -> nn.Module:
        """The text encoder's token embeddings."""
        module: nn.Module = self.question_encoder.get_input_embeddings()
        return module

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the text encoder's token embeddings."""
        self.question_encoder.set_input_embeddings(value)

    def freeze_unused(self) -> None:
        """Freeze what no gradient reaches; DDP would wait for it."""
        if self.config.text_feature == "class_token" and self.question_encoder.pooler is not None:
            self.question_encoder.pooler.requires_grad_(False)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, M3DClipModel):
            init.constant_(module.logit_scale, self.config.logit_scale_init)

    def encode_image(self, pixel_values: Tensor) -> Tensor:
        """Volumes → the common space: the class token after the final norm, projected.

        Args:
            pixel_values: (B, 1, N, H, W), values in 0..1.

        Returns:
            (B, D), each of length 1, in float32.
        """
        hidden = self.vision_3d(pixel_values, with_class_token=True)
        projected = self.image_projection(self.vision_norm(hidden[:, 0]))
        return F.normalize(projected.float(), dim=-1)

    def encode_text(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Captions → the common space.

        Args:
            input_ids: (B, L) of the BERT tokenizer.
            attention_mask: (B, L), 1 for real tokens.

        Returns:
            (B, D), each of length 1, in float32.
        """
        output = self.question_encoder(input_ids=input_ids, attention_mask=attention_mask)
        uses_class_token = self.config.text_feature == "class_token"
        feature = output.last_hidden_state[:, 0] if uses_class_token else output.pooler_output
        return F.normalize(self.text_projection(feature).float(), dim=-1)

    @property
    def scale(self) -> Tensor:
        """What similarities are multiplied by, (1,)."""
        scale = self.logit_scale.float()
        return scale.exp().clamp(max=self.config.largest_scale) if self._exponential else scale

    @property
    def _exponential(self) -> bool:
        return bool(self.config.exponential_scale)

    def forward(
        self,
        pixel_values: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor,
        return_loss: bool = True,
        **_: Any,
    ) -> M3DClipOutput:
        """Embed pairs and contrast them.

        Args:
            pixel_values: (B, 1, N, H, W), values in 0..1.
            input_ids: (B, L), row i is the caption of volume i.
            attention_mask: (B, L), 1 for real tokens.
            return_loss: with several processes the loss waits for all of them.
        """
        image = self.encode_image(pixel_values)
        text = self.encode_text(input_ids, attention_mask)
        loss = self._loss(image, text, input_ids, attention_mask) if return_loss else None
        with torch.autocast(image.device.type, enabled=False):
            logits = self.scale * image @ text.T
        return M3DClipOutput(
            loss=loss, logits_per_image=logits, image_embeds=image, text_embeds=text
        )

    def _loss(self, image: Tensor, text: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        captions = None
        if self.config.identical_captions == "left_out":
            captions = F.pad(
                ids.masked_fill(mask == 0, -1),
                (0, self.config.question.max_position_embeddings - ids.shape[1]),
                value=-1,
            )
        if self.config.gather_across_processes:
            image, text = gather_with_gradient(image), gather_with_gradient(text)
            captions = None if captions is None else gather(captions)
        return contrastive_loss(image, text, self.scale, same_captions(captions))


def same_captions(captions: Tensor | None) -> Tensor | None:
    """Which captions of a batch are the same, (B, B); None without captions.

    Args:
        captions: (B, L) token ids with one value for all padding.
    """
    if captions is None:
        return None
    return (captions.unsqueeze(0) == captions.unsqueeze(1)).all(dim=-1)


def contrastive_loss(
    image: Tensor, text: Tensor, scale: Tensor, same: Tensor | None = None
) -> Tensor:
    """Symmetric InfoNCE: each volume finds its caption among all, and each caption its volume.

    A pair with the same caption as another is no negative of it; each is a positive of its own.
    (Sharing a row's probability among same captions would be no help: their embeddings are the
    same, so that value and gradient would be those of the plain loss.)

    Args:
        image: (B, D), of length 1.
        text: (B, D), of length 1; row i belongs to volume i.
        scale: multiplies the similarities.
        same: (B, B), true where captions i and j are the same; by default only i = j.

    Returns:
        The mean of both directions.
    """
    own = torch.arange(len(image), device=image.device)
    with torch.autocast(image.device.type, enabled=False):
        logits = scale * image.float() @ text.float().T
        if same is not None:
            others = same & (own.unsqueeze(0) != own.unsqueeze(1))
            logits = logits.masked_fill(others, float("-inf"))
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


AutoConfig.register("m3d_clip_pair", M3DClipConfig)
AutoModel.register(M3DClipConfig, M3DClipModel)
