"""Writes small training data as M3D has them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

VQA_COLUMNS = (
    "Image Path", "Text", "Question Type", "Question", "Choice A", "Choice B", "Choice C",
    "Choice D", "Answer", "Answer Choice",
)  # fmt: skip


def body(seed: int = 0, shape: tuple[int, int, int] = (20, 48, 40)) -> np.ndarray:
    """A grey body (uint8) with a few organs at random places, black around it."""
    rng = np.random.default_rng(seed)
    n, rows, columns = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    picture = np.zeros(shape)
    picture[(rows / 0.8) ** 2 + (columns / 0.75) ** 2 < 1] = 90
    for _ in range(12):
        centre, radius = rng.uniform(-0.55, 0.55, 3), rng.uniform(0.15, 0.4)
        distance = (n - centre[0]) ** 2 + (rows - centre[1]) ** 2 + (columns - centre[2]) ** 2
        picture[distance < radius**2] = rng.integers(40, 255)
    picture[picture > 0] += rng.normal(0, 3, int((picture > 0).sum()))
    return np.rint(picture.clip(0, 255)).astype(np.uint8)


def write_stack(folder: Path, voxels: np.ndarray, suffix: str = "png", **options: Any) -> Path:
    """One picture for each slice, named by its number from 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(voxels):
        Image.fromarray(picture).save(folder / f"{number}.{suffix}", **options)
    return folder


def write_vqa(path: Path, rows: Sequence[Sequence[Any]], columns: Sequence[str] = VQA_COLUMNS):
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(columns)
        table.writerows(rows)
    return path


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
