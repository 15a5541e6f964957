"""Supervised pre-training of both encoders from label maps.

For labs that have no pre-trained encoders but have labels (segmentations, phantoms): every patch
of the 2D and of the 3D encoder says which labels lie in it, and the mean over a volume's patches
says what is known of the whole volume.  Connectors can learn the same for the tokens that the
language model is to read.  The heads are thrown away afterwards.  Knows nothing of language.
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
from med2e3.training.examples import Example

#: label value of voxels of which nothing is known
UNKNOWN = 255
#: share of a patch's voxels that a label must fill to count as there
_PRESENT = 0.06


@dataclass
class DenseOutput(ModelOutput):
    """The loss and its parts."""

    loss: Tensor | None = None
    patch_loss: Tensor | None = None
    volume_loss: Tensor | None = None


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
            ``pixel_values`` (V, 1, N, H, W), ``label_map`` (V, N, H, W) uint8, ``attributes``
            (V, number of attributes), -100 where a value is not known.
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
            "pixel_values": stack_voxels(examples),
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
    """

    def __init__(
        self,
        model: Med2E3ForConditionalGeneration,
        num_labels: int,
        attributes: Mapping[str, Sequence[str]],
        label_weights: Tensor,
        slices: int | None = None,
        train: Sequence[str] = ("vision_2d", "vision_3d"),
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
        self.token_heads = nn.ModuleDict({n: nn.Linear(width, num_labels) for n in self.connectors})
        self.label_weights: Tensor
        self.register_buffer("label_weights", label_weights, persistent=False)

    def forward(
        self, pixel_values: Tensor, label_map: Tensor, attributes: Tensor, **_: Any
    ) -> DenseOutput:
        """The loss of a batch; see :class:`DenseCollator` for the shapes."""
        patch_losses, volume_losses = [], []
        for name, encoder in self.encoders.items():
            pixels, seen = pixel_values, label_map
            if name == "vision_2d" and self.slices is not None:
                chosen = self._choose_slices(label_map, self.slices)
                row = torch.arange(len(chosen), device=chosen.device).unsqueeze(1)
                pixels, seen = pixels[row, :, chosen].transpose(1, 2), seen[row, chosen]
            features, cells = self._features(name, encoder, pixels)
            present, known = presence(seen, cells, self.num_labels)
            patch_losses.append(self._cost(self.patch_heads[name](features), present, known))
            if name in self.connectors:
                if name == "vision_3d":
                    pool = self.config.pool_size
                    present, known = pooled_presence(present, known, cells, pool)
                tokens = self._tokens(name, features, cells)
                patch_losses.append(self._cost(self.token_heads[name](tokens), present, known))
            volume = self.volume_heads[name](features.mean(dim=1))
            parts = volume.split(self.sizes, dim=-1)
            for i, part in enumerate(parts):
                if (attributes[:, i] >= 0).any():
                    volume_losses.append(F.cross_entropy(part, attributes[:, i]))
        patch = torch.stack(patch_losses).mean()
        whole = torch.stack(volume_losses).mean() if volume_losses else patch.new_zeros(())
        return DenseOutput(loss=10 * patch + whole, patch_loss=patch, volume_loss=whole)

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

    def _cost(self, logits: Tensor, present: Tensor, known: Tensor) -> Tensor:
        weights = known * (1 + present * (self.label_weights - 1))
        cost = F.binary_cross_entropy_with_logits(logits, present, weights, reduction="none")
        return cost.sum() / known.sum().clamp_min(1)

    def _choose_slices(self, label_map: Tensor, count: int) -> Tensor:
        """(V, count): slices at random, those with findings first, in their order."""
        findings = torch.nonzero(self.label_weights > 1).flatten().to(label_map.dtype)
        holds = torch.isin(label_map, findings).flatten(2).any(dim=-1)
        order = torch.rand(holds.shape, device=holds.device) + holds
        return order.topk(min(count, order.shape[1])).indices.sort().values

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


def presence(
    label_map: Tensor, cells: tuple[int, int, int], num_labels: int
) -> tuple[Tensor, Tensor]:
    """Which labels lie in which patch.

    Args:
        label_map: (V, N, H, W), uint8; :data:`UNKNOWN` where nothing is known.
        cells: patches along (slices, rows, columns), each a divisor of the map's size.
        num_labels: label values.

    Returns:
        present: (V, patches, labels), 1.0 where a label fills enough of the patch.
        known: (V, patches, labels), 0.0 where a label that is not there could be hidden among
            voxels of which nothing is known.
    """
    volumes = label_map.shape[0]
    n, h, w = cells
    _, depth, rows, columns = label_map.shape
    voxels = label_map.view(volumes, n, depth // n, h, rows // h, w, columns // w)
    voxels = voxels.permute(0, 1, 3, 5, 2, 4, 6).reshape(volumes, n * h * w, -1).long()
    hidden = voxels == UNKNOWN
    counts = torch.zeros(*voxels.shape[:2], num_labels + 1, device=label_map.device)
    counts.scatter_add_(2, voxels.masked_fill(hidden, num_labels), torch.ones_like(voxels).float())
    share = counts[..., :num_labels] / voxels.shape[-1]
    present = (share >= _PRESENT).float()
    unclear = hidden.any(dim=-1, keepdim=True) & (present == 0)
    return present, (~unclear).float()


def pooled_presence(
    present: Tensor, known: Tensor, cells: Sequence[int], pool: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """As :func:`presence`, for tokens that neighbouring patches were averaged to.

    Args:
        present: (V, patches, labels).
        known: (V, patches, labels).
        cells: patches along (slices, rows, columns).
        pool: patches averaged along each.

    Returns:
        Both as (V, tokens, labels): a label that is in one of the patches is there; one that is in
        none is known to be absent when each patch says so.
    """
    share = pool_patches(present, cells, pool)
    there = (share > 0).float()
    sure = (pool_patches(known, cells, pool) > 1 - 1e-6).float()
    return there, torch.maximum(there, sure)
