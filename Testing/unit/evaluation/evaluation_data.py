"""Small stores of volumes and questions for the evaluation's tests."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from med2e3.data.sample import Sample, write_samples
from med2e3.data.store import VolumeEntry, VolumeStore

SIZE = (32, 64, 64)


def samples_of(volume: str, split: str, number: int) -> list[Sample]:
    """One report, one open and three closed questions about a volume."""
    common = {"volume": volume, "split": split}
    return [
        Sample(
            id=f"{volume}/report",
            task="report",
            question="Can you provide a caption consists of findings for this medical image?",
            answer=f"Axial CT of the chest. A nodule of {number} mm. No pleural effusion.",
            mentions=("nodule",),
            omits=("mass",),
            **common,
        ),
        Sample(
            id=f"{volume}/open",
            task="open_vqa",
            topic="organ",
            question="Which organ shows an abnormality?",
            answer="lung" if number % 2 else "liver",
            slices=(number % 32, (number + 1) % 32),
            **common,
        ),
        Sample(
            id=f"{volume}/plane",
            task="closed_vqa",
            topic="plane",
            question="In which plane was this CT acquired?",
            choices=("axial", "coronal", "sagittal", "oblique"),
            answer="axial" if number % 3 else "coronal",
            answer_choice="A" if number % 3 else "B",
            **common,
        ),
        Sample(
            id=f"{volume}/phase",
            task="closed_vqa",
            topic="phase",
            question="What is the contrast phase?",
            choices=("none", "arterial"),
            answer="none",
            answer_choice="A",
            **common,
        ),
        Sample(
            id=f"{volume}/lesion",
            task="closed_vqa",
            topic="abnormality",
            question="Is there a nodule?",
            choices=("yes", "no"),
            answer="yes",
            answer_choice="A",
            slices=(number % 32,),
            scoring_text="nodule",
            **common,
        ),
    ]


def make_store(root: Path, volumes: int = 3, *, train: int = 1) -> VolumeStore:
    """A store of noise, ``volumes`` in the test split and ``train`` in the train split."""
    store = VolumeStore.create(root, SIZE)
    entries, samples = [], []
    rng = np.random.default_rng(7)
    for number in range(volumes + train):
        split = "test" if number < volumes else "train"
        key = f"{split}/{number}"
        ramp = np.linspace(0.1, 1, SIZE[0], dtype=np.float32)[:, None, None]
        store.put(key, rng.random(SIZE, dtype=np.float32) * ramp)
        digest = hashlib.sha256(store.voxels(key).tobytes()).hexdigest()
        entries.append(VolumeEntry(key, split, digest))
        samples += samples_of(key, split, number)
    store.write_index(entries)
    write_samples(root / "samples.jsonl", samples)
    return store
