"""Supervised pre-training of both encoders from label maps.

For labs that have no pre-trained encoders but have labels (segmentations, phantoms): every patch
of the 2D and of the 3D encoder says which labels lie in it, and the mean over a volume's patches
says what is known of the whole volume.  Connectors can learn the same for the tokens that the
language model is to read, or to write the very tokens that it has learned to read already
(:mod:`med2e3.training.label_tokens`).  The heads are thrown away afterwards.  Knows nothing of
language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn
from transformers.modeling_outputs import ModelOutput

from med2e3.model import Med2E3ForConditionalGeneration
from med2e3.model.connector import pool_patches
from med2e3.model.slices import encode_slices
from med2e3.training.collate import stack_voxels
from med2e3.training.dense_targets import any_patch, one_hot, pooled_presence, presence
from med2e3.training.examples import Example
from med2e3.training.label_tokens import LabelTokens
from med2e3.training.slice_finding import SliceFinding


@dataclass
class DenseOutput(ModelOutput):
    """The loss and its parts."""

    loss: Tensor | None = None
    patch_loss: Tensor | None = None
    volume_loss: Tensor | None = None
    token_loss: Tensor | None = None
    slice_loss: Tensor | None = None


class DenseCollator:
    """Batches for :class:`DensePretraining`.

    Args:
        num_labels: label values, background included.
        attributes: for each attribute of a volume its possible values, in order.
    """

    def __init__(self, num_labels: int, attributes: Mapping[str, Sequence[str]]) -> None:
        self.num_labels = num_labels
        self.attributes = attributes

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A batch.

        Returns:
            ``pixel_values`` (V, 1, N, H, W), and what :meth:`known` gives.
        """
        return {"pixel_values": stack_voxels(examples)} | self.known(examples)

    def known(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """What is known of the volumes, without their voxels.

        Returns:
            ``label_map`` (V, N, H, W) uint8, ``attributes`` (V, number of attributes), -100 where
            a value is not known.
        """
        maps = [example.labels for example in examples if example.labels is not None]
        known = [
            [
                list(values).index(str(example.attributes[name]))
                if str(example.attributes.get(name)) in values
                else -100
                for name, values in self.attributes.items()
            ]
            for example in examples
        ]
        return {
            "label_map": torch.from_numpy(np.stack(maps)),
            "attributes": torch.tensor(known),
        }


class DensePretraining(nn.Module):
    """Encoders and connectors of a Med-2E3 with linear heads.

    Each encoder has a head for its patches and one for the whole volume, each connector one for its
    tokens.

    Args:
        model: the parts named by ``train`` are trained in place.
        num_labels: label values, background included.
        attributes: see :class:`DenseCollator`.
        label_weights: (labels,), how much a patch that holds a label counts.
        slices: how many slices of a volume the 2D encoder sees at a time, those that hold a label
            of weight above 1 before others; None for all.
        train: the encoders that learn, and connectors that learn with them.
        label_tokens: writes the tokens that connectors are to write; None gives each connector a
            head that says which labels lie in a token.
        always_marked: (labels,), see :func:`~med2e3.training.dense_targets.presence`.
        slice_weight: weight of :class:`~med2e3.training.slice_finding.SliceFinding`, which needs
            both connectors in ``train``.
    """

    def __init__(
        self,
        model: Med2E3ForConditionalGeneration,
        num_labels: int,
        attributes: Mapping[str, Sequence[str]],
        label_weights: Tensor,
        slices: int | None = None,
        train: Sequence[str] = ("vision_2d", "vision_3d"),
        label_tokens: LabelTokens | None = None,
        always_marked: Tensor | None = None,
        slice_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.config = model.config
        self.slices = slices
        self.num_labels = num_labels
        self.sizes = [len(values) for values in attributes.values()]
        self.encoders = nn.ModuleDict()
        widths = {}
        if model.config.uses_2d and "vision_2d" in train:
            self.encoders["vision_2d"] = model.vision_2d
            widths["vision_2d"] = model.config.slice_encoder.hidden_size
        if model.config.uses_3d and "vision_3d" in train:
            self.encoders["vision_3d"] = model.vision_3d
            widths["vision_3d"] = model.config.vision_3d.hidden_size
        heads = {n: nn.Linear(w, num_labels) for n, w in widths.items()}
        self.patch_heads = nn.ModuleDict(heads)
        self.volume_heads = nn.ModuleDict(
            {n: nn.Linear(w, sum(self.sizes)) for n, w in widths.items()}
        )
        self.connectors = nn.ModuleDict(
            {
                name: getattr(model, connector)
                for name in widths
                if (connector := name.replace("vision", "connector")) in train
            }
        )
        width = model.config.language.hidden_size
        self.label_tokens = None if label_tokens is None else label_tokens.requires_grad_(False)
        headed = self.connectors if label_tokens is None else ()
        self.token_heads = nn.ModuleDict({n: nn.Linear(width, num_labels) for n in headed})
        self.label_weights: Tensor
        self.register_buffer("label_weights", label_weights, persistent=False)
        self.always_marked: Tensor | None
        self.register_buffer("always_marked", always_marked, persistent=False)
        self.slice_weight = slice_weight
        self.slice_finding = SliceFinding(model.config, num_labels) if slice_weight else None

    def forward(
        self, pixel_values: Tensor, label_map: Tensor, attributes: Tensor, **_: Any
    ) -> DenseOutput:
        """The loss of a batch; see :class:`DenseCollator` for the shapes."""
        patch_losses, volume_losses, token_losses = [], [], []
        written: dict[str, Tensor] = {}
        chosen = self._choose_slices(label_map)
        row = torch.arange(len(chosen), device=chosen.device).unsqueeze(1)
        for name, encoder in self.encoders.items():
            pixels, seen = pixel_values, label_map
            if name == "vision_2d":
                pixels, seen = pixels[row, :, chosen].transpose(1, 2), seen[row, chosen]
            features, cells = self._features(name, encoder, pixels)
            present, known = presence(seen, cells, self.num_labels, self.always_marked)
            patches = self.patch_heads[name](features)
            patch_losses.append(self._cost(patches, present, known))
            parts = self.volume_heads[name](features.mean(dim=1)).split(self.sizes, dim=-1)
            for i, part in enumerate(parts):
                if (attributes[:, i] >= 0).any():
                    volume_losses.append(F.cross_entropy(part, attributes[:, i]))
            if name not in self.connectors:
                continue
            written[name] = tokens = self._tokens(name, features, cells)
            if name == "vision_2d":
                in_slices = [x.unflatten(1, (cells[0], -1)) for x in (tokens, present, known)]
            if self.label_tokens is not None:
                with torch.no_grad():
                    # what no one knows is taken as the encoder sees it
                    share = torch.where(known > 0, present, patches.sigmoid())
                    values = self._values(parts, attributes)
                token_losses.append(self._distance(name, tokens, share, values, cells))
                continue
            if name == "vision_3d":
                present, known = pooled_presence(present, known, cells, self.config.pool_size)
            patch_losses.append(self._cost(self.token_heads[name](tokens), present, known))
        patch = torch.stack(patch_losses).mean()
        whole = torch.stack(volume_losses).mean() if volume_losses else patch.new_zeros(())
        token = torch.stack(token_losses).mean() if token_losses else patch.new_zeros(())
        loss = 10 * patch + whole + token
        found = None
        if self.slice_finding is not None:
            tokens_2d, present, known = in_slices
            found = self.slice_finding(
                written["vision_3d"], tokens_2d, chosen, present, known, self.label_weights
            )
            loss = loss + self.slice_weight * found
        return DenseOutput(
            loss=loss, patch_loss=patch, volume_loss=whole, token_loss=token, slice_loss=found
        )

    @torch.no_grad()
    def standardize(self, pixel_values: Tensor) -> None:
        """Let the connectors' tokens have mean 0 and, all together, variance 1.

        Their size means nothing to the heads here, and grew to a hundred times that of the words'
        embeddings: what attention adds to such a token is lost.  Folded into their last layer.

        Args:
            pixel_values: (V, 1, N, H, W), of some volumes.
        """
        for name, connector in self.connectors.items():
            encoder = self.encoders[name]
            one_by_one = [self._features(name, encoder, volume) for volume in pixel_values.split(1)]
            tokens = torch.cat([self._tokens(name, *found)[0] for found in one_by_one])
            mean = tokens.mean(dim=0)
            size = (tokens - mean).square().mean().sqrt().clamp_min(torch.finfo(mean.dtype).eps)
            layer = connector.linear_2
            assert isinstance(layer, nn.Linear)
            layer.weight.div_(size)
            layer.bias.sub_(mean).div_(size)

    def _tokens(self, name: str, features: Tensor, cells: tuple[int, int, int]) -> Tensor:
        """(V, tokens, width of the language model) from an encoder's patches."""
        if name == "vision_3d":
            features = pool_patches(features, cells, self.config.pool_size)
        tokens: Tensor = self.connectors[name](features)
        return tokens

    def _values(self, parts: Sequence[Tensor], attributes: Tensor) -> Tensor:
        """(V, values of all attributes): what is known, else what the volume's head says."""
        told = one_hot(attributes, self.sizes).split(self.sizes, dim=-1)
        known = (attributes >= 0).unsqueeze(-1).unbind(dim=1)
        heard = zip(known, told, parts, strict=True)
        return torch.cat([torch.where(k, t, p.softmax(dim=-1)) for k, t, p in heard], dim=-1)

    def _distance(
        self,
        name: str,
        tokens: Tensor,
        share: Tensor,
        values: Tensor,
        cells: tuple[int, int, int],
    ) -> Tensor:
        """Mean square between a connector's tokens and those written from labels.

        In units of the latter's variance; tokens with a finding count more, as patches do.
        """
        assert self.label_tokens is not None
        kind = name.removeprefix("vision_")
        if kind == "3d":
            share = any_patch(share, cells, self.config.pool_size)
        wanted: Tensor = self.label_tokens(kind, share, values)
        weights = (1 + share * (self.label_weights - 1)).amax(dim=-1)
        cost = (tokens - wanted).square().mean(dim=-1)
        return (cost * weights).sum() / weights.sum() / wanted.detach().var()

    def _cost(self, logits: Tensor, present: Tensor, known: Tensor) -> Tensor:
        weights = known * (1 + present * (self.label_weights - 1))
        cost = F.binary_cross_entropy_with_logits(logits, present, weights, reduction="none")
        return cost.sum() / known.sum().clamp_min(1)

    def _choose_slices(self, label_map: Tensor) -> Tensor:
        """(V, chosen): slices at random, those with findings first, in their order; or all."""
        volumes, count = label_map.shape[:2]
        if self.slices is None:
            return torch.arange(count, device=label_map.device).expand(volumes, count)
        holds = torch.zeros_like(label_map[:, :, 0, 0], dtype=torch.bool)
        for finding in torch.nonzero(self.label_weights > 1).flatten().tolist():
            holds |= (label_map == finding).flatten(2).any(dim=-1)
        order = torch.rand(holds.shape, device=holds.device) + holds
        return order.topk(min(self.slices, count)).indices.sort().values

    def _features(
        self, name: str, encoder: nn.Module, pixels: Tensor
    ) -> tuple[Tensor, tuple[int, int, int]]:
        """(V, patches, width) and the patches along (slices, rows, columns)."""
        if name == "vision_3d":
            layer = self.config.vision_3d_select_layer
            return encoder(pixels, select_layer=layer), self.config.vision_3d.grid
        features = encode_slices(
            encoder,  # type: ignore[arg-type]
            pixels.flatten(0, 2),
            select_layer=self.config.vision_2d_select_layer,
            select_feature="cls_patch",
        )
        side = int(self.config.slice_encoder.image_size) // int(
            self.config.slice_encoder.patch_size
        )
        patches = features[:, -side * side :]  # a class token, where there is one, comes first
        num_slices = pixels.shape[2]
        return patches.unflatten(0, (-1, num_slices)).flatten(1, 2), (num_slices, side, side)
