"""Visual tokens written from label maps: what encoders that see everything would hand on.

A language model made anew learns to read them before it meets an encoder's
(:class:`LabelReading`); then connectors learn to write the same
(:class:`~med2e3.training.dense.DensePretraining`).  They are thrown away afterwards.  Knows
labels, places and tokens; nothing of pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from med2e3.errors import InputError
from med2e3.model import Med2E3Config, Med2E3ForConditionalGeneration, Med2E3Processor
from med2e3.model.modeling import ImageFeatures, Med2E3Output
from med2e3.training.collate import Collator
from med2e3.training.dense_targets import any_patch, one_hot, presence
from med2e3.training.examples import Example

FILE = "label_tokens.safetensors"
#: how many slices a question that is about none is given, at least and at most
_RUN = (2, 8)
#: of a question's scores, the largest share that lies evenly on all slices
_EVEN = 0.5


class LabelTokens(nn.Module):
    """Writes a token for each place from the labels there and from what is known of the volume.

    Args:
        config: of the model that reads the tokens.
        num_labels: label values, background included.
        num_values: possible values of all attributes together.
    """

    def __init__(self, config: Med2E3Config, num_labels: int, num_values: int) -> None:
        super().__init__()
        width = config.language.hidden_size
        side = int(config.slice_encoder.image_size) // int(config.slice_encoder.patch_size)
        grid, pool = config.vision_3d.grid, config.pool_size
        self.cells_2d = (config.num_slices, side, side)
        self.cells_3d, self.pool = grid, pool
        places_3d = [cells // pooled for cells, pooled in zip(grid, pool, strict=True)]
        self.num_labels = num_labels
        self.labels = nn.ModuleDict()
        self.places = nn.ParameterDict()
        for name, places in (("2d", side * side), ("3d", torch.Size(places_3d).numel())):
            labels = nn.Linear(num_labels, width)
            nn.init.normal_(labels.weight)
            nn.init.zeros_(labels.bias)
            self.labels[name] = labels
            self.places[name] = nn.Parameter(0.3 * torch.randn(places, width))
        self.attributes = nn.Linear(num_values, width, bias=False)

    def forward(self, kind: str, present: Tensor, values: Tensor) -> Tensor:
        """The tokens of one kind.

        Args:
            kind: ``2d`` or ``3d``.
            present: (V, places, labels), how much of each label is there, 0 to 1; for ``2d`` all
                places of a slice, slice after slice.
            values: (V, values of all attributes), how likely each is, 0 to 1.

        Returns:
            (V, places, width of the language model).
        """
        repeats = present.shape[1] // len(self.places[kind])
        places = self.places[kind].repeat(repeats, 1)
        whole = self.attributes(values).unsqueeze(1)
        tokens: Tensor = self.labels[kind](present) + places + whole
        return tokens

    def read(self, label_map: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Both kinds of tokens of whole volumes.

        Args:
            label_map: (V, N, H, W), uint8.
            values: see :meth:`forward`.

        Returns:
            (V, 3D tokens, width) and (V, slices, 2D tokens, width).
        """
        flat, _ = presence(label_map, self.cells_2d, self.num_labels)
        deep, _ = presence(label_map, self.cells_3d, self.num_labels)
        tokens_2d = self("2d", flat, values).unflatten(1, (self.cells_2d[0], -1))
        tokens_3d = self("3d", any_patch(deep, self.cells_3d, self.pool), values)
        return tokens_3d, tokens_2d

    def save(self, folder: Path) -> None:
        """Write the weights beside a model."""
        save_file({n: t.contiguous() for n, t in self.state_dict().items()}, folder / FILE)

    def load(self, folder: Path) -> None:
        """Read weights that :meth:`save` wrote.

        Raises:
            InputError: when there are none, or none that fit.
        """
        try:
            self.load_state_dict(load_file(folder / FILE))
        except (OSError, RuntimeError) as error:
            raise InputError(
                "This stage learns to write the tokens that a language model has learned to read, "
                "and the model it begins with has none that fit.",
                hint="Put a stage of kind 'language' with 'reads: labels' right before it.",
                detail=repr(error),
            ) from error


class LabelReading(nn.Module):
    """A Med-2E3 whose visual tokens come from label maps, and whose scores are always right.

    Args:
        model: its language model is trained in place.
        tokens: are trained with it.
        sizes: values of each attribute.
    """

    def __init__(
        self, model: Med2E3ForConditionalGeneration, tokens: LabelTokens, sizes: Sequence[int]
    ) -> None:
        super().__init__()
        self.model = model
        self.tokens = tokens
        self.sizes = list(sizes)

    def forward(
        self,
        input_ids: Tensor,
        label_map: Tensor,
        attributes: Tensor,
        volume_index: Tensor,
        relevant_slices: Tensor,
        **kwargs: Any,
    ) -> Med2E3Output:
        """The language model's answer to a batch of :class:`LabelCollator`."""
        tokens_3d, tokens_2d = self.tokens.read(label_map, one_hot(attributes, self.sizes))
        scores = _some_scores(relevant_slices)
        weighted = torch.einsum("bn,bnpd->bpd", scores, tokens_2d[volume_index])
        image = ImageFeatures(torch.cat([tokens_3d[volume_index], weighted], dim=1), None)
        output: Med2E3Output = self.model(
            inputs_embeds=self.model.embed(input_ids, image), **kwargs
        )
        return output


class LabelCollator(Collator):
    """Batches for :class:`LabelReading`.

    Args:
        processor: the model's.
        config: the model's.
        known: label maps and attributes of a batch
            (:meth:`med2e3.training.dense.DenseCollator.known`).
        letter_weight: see :class:`~med2e3.training.collate.Collator`.
    """

    def __init__(
        self,
        processor: Med2E3Processor,
        config: Med2E3Config,
        known: Callable[[Sequence[Example]], dict[str, Tensor]],
        *,
        letter_weight: float | None = None,
    ) -> None:
        super().__init__(processor, config, letter_weight=letter_weight)
        self.known = known

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A batch: texts, ``label_map``, ``attributes``, ``volume_index``, ``relevant_slices``."""
        rows = [(v, s) for v, example in enumerate(examples) for s in example.samples]
        return (
            self.texts([sample for _, sample in rows])
            | self.known(examples)
            | {
                "volume_index": torch.tensor([volume for volume, _ in rows]),
                "relevant_slices": torch.stack([self.slice_target(sample) for _, sample in rows]),
            }
        )


def _some_scores(relevant: Tensor) -> Tensor:
    """Scores as good ones could be: on the relevant slices, or on some run of slices.

    Args:
        relevant: (B, N), each row uniform over the slices that matter, or 0 for none.

    Returns:
        (B, N), each row sums to 1; by chance a part of it lies evenly on all slices.
    """
    rows, slices = relevant.shape
    device = relevant.device
    length = torch.randint(_RUN[0], _RUN[1] + 1, (rows, 1), device=device).clamp_max(slices)
    start = (torch.rand(rows, 1, device=device) * (slices - length + 1)).floor()
    place = torch.arange(slices, device=device)
    run = ((place >= start) & (place < start + length)) / length
    scores = torch.where(relevant.sum(dim=-1, keepdim=True) > 0, relevant, run)
    even = _EVEN * torch.rand(rows, 1, device=device)
    return (1 - even) * scores + even / slices
