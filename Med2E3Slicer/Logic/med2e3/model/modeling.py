"""Med-2E3: a 3D and a 2D encoder, TG-IS between them, a language model after them.

Reading order: :meth:`~Med2E3ForConditionalGeneration.encode_volume` (question-independent),
:meth:`~Med2E3ForConditionalGeneration.encode_question` and ``tgis`` (question-dependent),
:meth:`~Med2E3ForConditionalGeneration.forward` (Eqs. 8 and 9).  The encoders and the language
model are transformers' own; only the 3D transformer, the connectors and TG-IS are ours.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    BertModel,
    PreTrainedModel,
)
from transformers.cache_utils import Cache
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import ModelOutput

from med2e3.model.configuration import Med2E3Config
from med2e3.model.connector import MLPConnector, pool_patches
from med2e3.model.slices import encode_slices
from med2e3.model.tgis import TextGuidedInterSlice
from med2e3.model.vision3d import M3DVisionModel


@dataclass
class VolumeFeatures:
    """What does not depend on the question: computed once per volume.

    Args:
        features_3d: (B, tokens, D) after the 3D connector, or None without a 3D encoder.
        features_2d: (B, slices, tokens, D) after the 2D connector, or None for 3D only.
    """

    features_3d: Tensor | None
    features_2d: Tensor | None

    @property
    def num_bytes(self) -> int:
        """Memory held."""
        parts = (self.features_3d, self.features_2d)
        return sum(p.numel() * p.element_size() for p in parts if p is not None)


@dataclass
class ImageFeatures:
    """The visual tokens of one question.

    Args:
        tokens: (B, visual tokens, D): 3D tokens first, then the aggregated 2D tokens (Eq. 8).
        scores: (B, slices) TG-IS scores, or None where the variant has none.
    """

    tokens: Tensor
    scores: Tensor | None


@dataclass
class Med2E3Output(ModelOutput):
    """As transformers' causal LM output, with the slices' scores."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    slice_scores: Tensor | None = None


class Med2E3ForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """The whole model, with the conventions of transformers.

    ``from_pretrained`` / ``save_pretrained`` (safetensors), ``dtype``, ``device_map``,
    ``quantization_config``, ``Trainer`` and PEFT work as for any model of the library.
    """

    config_class = Med2E3Config
    base_model_prefix = "model"
    main_input_name = "input_ids"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012 (read by transformers)
    _no_split_modules = [  # noqa: RUF012 (read by transformers)
        "Block",
        "SiglipEncoderLayer",
        "CLIPEncoderLayer",
        "Dinov2Layer",
        "BertLayer",
        "Phi3DecoderLayer",
        "LlamaDecoderLayer",
        "Qwen2DecoderLayer",
    ]

    def __init__(self, config: Med2E3Config) -> None:
        super().__init__(config)
        width = config.language.hidden_size
        if config.uses_3d:
            self.vision_3d = M3DVisionModel(config.vision_3d)
            self.connector_3d = MLPConnector(config.vision_3d.hidden_size, width)
        if config.uses_2d:
            self.vision_2d = AutoModel.from_config(config.slice_encoder)
            self.connector_2d = MLPConnector(config.slice_encoder.hidden_size, width)
            self.tgis = TextGuidedInterSlice(config)
        if config.uses_question_encoder:
            self.question_encoder = BertModel(config.question_config)
        self.language_model = AutoModelForCausalLM.from_config(config.language)
        self._tied_weights_keys = {
            f"language_model.{target}": f"language_model.{source}"
            for target, source in (self.language_model._tied_weights_keys or {}).items()
        }
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The language model's token embeddings."""
        module: nn.Module = self.language_model.get_input_embeddings()
        return module

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the language model's token embeddings."""
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The language model's head."""
        module: nn.Module = self.language_model.get_output_embeddings()
        return module

    # ---- question-independent ------------------------------------------------------------

    def encode_volume(
        self, pixel_values: Tensor, *, slices_per_batch: int | None = None
    ) -> VolumeFeatures:
        """Encode volumes with both encoders and their connectors.

        Args:
            pixel_values: (B, 1, N, H, W), values in 0..1, of ``config.input_size``.
            slices_per_batch: slices that the 2D encoder takes at once.
        """
        steps = self.encode_volume_in_steps(pixel_values, slices_per_batch=slices_per_batch)
        while True:
            try:
                next(steps)
            except StopIteration as finished:
                features: VolumeFeatures = finished.value
                return features

    def encode_volume_in_steps(
        self, pixel_values: Tensor, *, slices_per_batch: int | None = None
    ) -> Generator[int, None, VolumeFeatures]:
        """As :meth:`encode_volume`, pausing after each step so that it can be shown or stopped.

        Yields:
            How many slices the 2D encoder has done (0 after the 3D encoder).
        """
        config: Med2E3Config = self.config
        features_3d = features_2d = None
        if config.uses_3d:
            patches = self.vision_3d(pixel_values, select_layer=config.vision_3d_select_layer)
            pooled = pool_patches(patches, config.vision_3d.grid, config.pool_size)
            features_3d = self.connector_3d(pooled)
            yield 0
        if config.uses_2d:
            slices = pixel_values.flatten(0, 2)
            step = slices_per_batch or config.slices_per_batch
            done = []
            for start in range(0, slices.shape[0], step):
                done.append(self._encode_slices(slices[start : start + step]))
                yield min(start + step, slices.shape[0])
            batch, num_slices = pixel_values.shape[0], pixel_values.shape[2]
            features_2d = torch.cat(done).unflatten(0, (batch, num_slices))
        return VolumeFeatures(features_3d, features_2d)

    def _encode_slices(self, slices: Tensor) -> Tensor:
        config: Med2E3Config = self.config
        features = encode_slices(
            self.vision_2d,
            slices,
            select_layer=config.vision_2d_select_layer,
            select_feature=config.vision_2d_select_feature,
        )
        projected: Tensor = self.connector_2d(features)
        return projected

    # ---- question-dependent --------------------------------------------------------------

    def encode_question(self, question_ids: Tensor, question_mask: Tensor) -> Tensor | None:
        """The text vector that TG-IS compares the slices with.

        Args:
            question_ids: (B, L) token ids; of the BERT tokenizer for ``m3d_clip``, of the
                language model's for ``llm_embedding``.
            question_mask: (B, L), 1 for real tokens.

        Returns:
            (B, width), or None for variants without text.
        """
        config: Med2E3Config = self.config
        if not config.scores_slices or config.text_feature == "none":
            return None
        if config.text_feature == "m3d_clip":
            output = self.question_encoder(input_ids=question_ids, attention_mask=question_mask)
            pooled: Tensor = output.pooler_output
            return pooled
        embedded = self.get_input_embeddings()(question_ids)
        mask = question_mask.unsqueeze(-1).to(embedded.dtype)
        mean: Tensor = (embedded * mask).sum(dim=1) / mask.sum(dim=1)
        return mean

    def image_features(
        self,
        volume: VolumeFeatures,
        question_ids: Tensor | None,
        question_mask: Tensor | None,
        volume_index: Tensor | None = None,
    ) -> ImageFeatures:
        """Visual tokens and scores of volumes for questions (Eqs. 4 to 8).

        Args:
            volume: V volumes.
            question_ids: (B, Lq), see :meth:`encode_question`.
            question_mask: (B, Lq).
            volume_index: (B,), which of the volumes each question is about, when several are about
                one; by default question i is about volume i.
        """
        config: Med2E3Config = self.config
        parts: list[Tensor] = []
        scores = None
        if config.image_features != "2d" and volume.features_3d is not None:
            features_3d = volume.features_3d
            parts.append(features_3d if volume_index is None else features_3d[volume_index])
        if volume.features_2d is not None:
            text = None
            if config.scores_slices and config.text_feature != "none":
                if question_ids is None or question_mask is None:
                    raise ValueError("this variant of TG-IS needs question_ids and question_mask")
                text = self.encode_question(question_ids, question_mask)
            aggregated, scores = self.tgis(
                volume.features_3d, volume.features_2d, text, volume_index
            )
            parts.append(aggregated)
        return ImageFeatures(torch.cat(parts, dim=1), scores)

    # ---- language model ------------------------------------------------------------------

    def embed(self, input_ids: Tensor, image: ImageFeatures | None) -> Tensor:
        """Token embeddings with the visual tokens put where ``image_token_id`` stands.

        Args:
            input_ids: (B, L).
            image: visual tokens; None for a text without an image.

        Returns:
            (B, L, D)

        Raises:
            ValueError: when placeholders and visual tokens differ in number.
        """
        config: Med2E3Config = self.config
        is_image = input_ids == config.image_token_id
        embedded: Tensor = self.get_input_embeddings()(input_ids.masked_fill(is_image, 0))
        placeholders = int(is_image.sum())
        expected = 0 if image is None else image.tokens.shape[0] * image.tokens.shape[1]
        if placeholders != expected:
            raise ValueError(f"{placeholders} placeholders for {expected} visual tokens")
        if image is None:
            return embedded
        return embedded.masked_scatter(is_image.unsqueeze(-1), image.tokens.to(embedded.dtype))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        question_ids: Tensor | None = None,
        question_mask: Tensor | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: Cache | None = None,
        volume_features: VolumeFeatures | None = None,
        volume_index: Tensor | None = None,
        **kwargs: Any,
    ) -> Med2E3Output:
        """One pass of the model.

        Args:
            input_ids: (B, L) prompt with ``image_token_id`` once per visual token.
            attention_mask: (B, L).
            pixel_values: (B, 1, N, H, W) in 0..1; only with the prompt, not while decoding.
            question_ids: (B, Lq) for TG-IS, see :meth:`encode_question`.
            question_mask: (B, Lq).
            labels: (B, L); -100 is ignored.
            inputs_embeds: (B, L, D) instead of ``input_ids`` and ``pixel_values``.
            past_key_values: KV cache.
            volume_features: instead of ``pixel_values`` when the volume was encoded before.
            volume_index: see :meth:`image_features`.
            **kwargs: for the language model.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give input_ids or inputs_embeds, one of them")
        image = None
        if volume_features is None and pixel_values is not None:
            volume_features = self.encode_volume(pixel_values)
        if volume_features is not None:
            image = self.image_features(volume_features, question_ids, question_mask, volume_index)
        if inputs_embeds is None:
            assert input_ids is not None
            inputs_embeds = self.embed(input_ids, image)
        outputs = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            labels=labels,
            **kwargs,
        )
        return Med2E3Output(
            loss=outputs.loss,
            logits=outputs.logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            slice_scores=image.scores if image is not None else None,
        )

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        question_ids: Tensor | None = None,
        question_mask: Tensor | None = None,
        volume_features: VolumeFeatures | None = None,
        is_first_iteration: bool | None = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """As the language model's, with the volume in the first step only (Eq. 9)."""
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(
            input_ids, is_first_iteration=is_first_iteration, **kwargs
        )
        if is_first_iteration or not kwargs.get("use_cache", True):
            inputs |= {
                "pixel_values": pixel_values,
                "question_ids": question_ids,
                "question_mask": question_mask,
                "volume_features": volume_features,
            }
        return inputs


AutoModelForImageTextToText.register(Med2E3Config, Med2E3ForConditionalGeneration)
