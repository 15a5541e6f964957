"""Embeddings of volumes and their reports by a contrastively trained model (M3D-CLIP).

Knows the model's two encoders and the store; how retrieval is measured is in
:mod:`med2e3.evaluation.retrieval`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer
from transformers.utils import logging as transformers_logging

from med2e3.data.sample import Sample
from med2e3.data.store import VolumeStore
from med2e3.errors import CheckpointError, InputError
from med2e3.model.clip3d import M3DClipModel
from med2e3.session.devices import choose_device

Rows = npt.NDArray[np.float32]


def pairs_of(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """Each volume with its first report.

    Raises:
        InputError: when there is no report.
    """
    found: dict[str, str] = {}
    for sample in samples:
        if sample.task == "report" and sample.answer.strip():
            found.setdefault(sample.volume, sample.answer)
    if not found:
        raise InputError(
            "There are no reports in this split, so retrieval cannot be measured.",
            hint="Give data with reports (M3D-Cap), or another --split.",
        )
    return list(found.items())


class ClipEmbedder:
    """A contrastive model in a folder.

    Args:
        folder: what the contrastive stage of training wrote: ``config.json``,
            ``model.safetensors`` and a tokenizer.
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.

    Raises:
        CheckpointError: when the folder holds no such model.
    """

    def __init__(self, folder: Path, device: str = "auto") -> None:
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        self.device = choose_device(device)
        try:
            self.model: Any = M3DClipModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, SafetensorError) as error:
            raise CheckpointError(
                f"The folder {folder.name!r} holds no contrastive model with its tokenizer.",
                hint="Give the folder that the contrastive stage of 'med2e3 train' wrote.",
                detail=repr(error),
            ) from error
        self.model.eval().to(self.device)

    @torch.inference_mode()
    def embed(
        self,
        store: VolumeStore,
        pairs: Sequence[tuple[str, str]],
        *,
        batch: int = 8,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> tuple[Rows, Rows]:
        """Embeddings of volumes and texts, both (N, D), row i of both from pair i.

        Args:
            store: of the model's input size.
            pairs: key of a volume, and its text.
            batch: pairs at once.
            progress: gets finished and all pairs.

        Raises:
            InputError: for volumes of another size.
        """
        wanted = tuple(self.model.config.vision_3d.image_size)
        if tuple(store.size) != wanted:
            raise InputError(
                f"The data hold volumes of {store.size}, but the contrastive model takes {wanted}.",
                hint="Prepare the data with the model's own input size.",
            )
        images, texts = [], []
        for start in range(0, len(pairs), batch):
            part = pairs[start : start + batch]
            voxels = np.stack([store.voxels(key) for key, _ in part])
            pixels = torch.from_numpy(voxels).to(self.device, self.model.dtype).unsqueeze(1)
            words = self.tokenizer(
                [text for _, text in part],
                padding=True,
                truncation=True,
                max_length=self.model.config.max_text_length,
                return_tensors="pt",
            ).to(self.device)
            images.append(self.model.encode_image(pixels).float().cpu().numpy())
            texts.append(
                self.model.encode_text(words.input_ids, words.attention_mask).float().cpu().numpy()
            )
            progress(start + len(part), len(pairs))
        return np.concatenate(images), np.concatenate(texts)
