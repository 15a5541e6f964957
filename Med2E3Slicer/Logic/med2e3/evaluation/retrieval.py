"""Image-text retrieval: whether the right partner is among the nearest, both ways.

Knows two matrices of embeddings and which text belongs to which image; knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from med2e3.evaluation.intervals import Bootstrap, Estimate

RANKS = (1, 5, 10)
#: images compared with all texts at once
_ROWS = 1024
#: cosines that differ by less are a tie: equal rows need not give equal float32 products
_TIE = 1e-6


@dataclass(frozen=True)
class Retrieval:
    """Recall at 1, 5 and 10.

    Args:
        image_to_text: share of images that have their text among the nearest k texts.
        text_to_image: share of texts that have their image among the nearest k images.
        images: how many images were searched.
        texts: how many different texts were searched.
        repeated_texts: images whose text another image has too.
    """

    image_to_text: dict[int, Estimate]
    text_to_image: dict[int, Estimate]
    images: int
    texts: int
    repeated_texts: int


def retrieval(
    images: npt.NDArray[np.floating],
    texts: npt.NDArray[np.floating],
    *,
    wording: Sequence[str] | None = None,
    ranks: Sequence[int] = RANKS,
    seed: int = 0,
) -> Retrieval:
    """Recall at k in both directions, by cosine.

    A text that several images share is one candidate, right for each of them; asked for its
    image, any of them is right.  Ties count against the model: an encoder that says the same of
    everything finds nothing.

    Args:
        images: (N, D), one row for each image.
        texts: (N, D), row i belongs to image i.
        wording: (N,) the texts, to recognise equal ones; by default equal rows are equal texts.
        ranks: the k of R@k.
        seed: of the intervals.

    Raises:
        ValueError: when the matrices differ in shape or hold nothing.
    """
    if images.shape != texts.shape or images.ndim != 2 or not len(images):
        raise ValueError(f"expected two equal (N, D), got {images.shape} and {texts.shape}")
    keys = list(wording) if wording is not None else [row.tobytes() for row in texts]
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    group = np.asarray([number[key] for key in keys])
    first = np.unique(group, return_index=True)[1]
    pictures, words = _unit(images), _unit(texts[first])
    image_ranks = _rank_of_text(pictures, words, group)
    text_ranks = _rank_of_image(pictures, words, group)
    return Retrieval(
        image_to_text=_recalls(image_ranks, ranks, seed),
        text_to_image=_recalls(text_ranks, ranks, seed),
        images=len(images),
        texts=len(first),
        repeated_texts=int((np.bincount(group)[group] > 1).sum()),
    )


def _unit(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def _rank_of_text(
    pictures: npt.NDArray[np.float32],
    words: npt.NDArray[np.float32],
    group: npt.NDArray[np.intp],
) -> npt.NDArray[np.intp]:
    """For each image how many texts are at least as near as its own, its own included."""
    ranks = []
    for start in range(0, len(pictures), _ROWS):
        near = pictures[start : start + _ROWS] @ words.T
        own = near[np.arange(len(near)), group[start : start + _ROWS]]
        ranks.append((near >= own[:, None] - _TIE).sum(axis=1))
    return np.concatenate(ranks)


def _rank_of_image(
    pictures: npt.NDArray[np.float32],
    words: npt.NDArray[np.float32],
    group: npt.NDArray[np.intp],
) -> npt.NDArray[np.intp]:
    """For each text the rank of its nearest own image: 1 + other images at least as near."""
    ranks = []
    for start in range(0, len(words), _ROWS):
        near = words[start : start + _ROWS] @ pictures.T
        own = group[None, :] == np.arange(start, start + len(near))[:, None]
        best = np.where(own, near, -np.inf).max(axis=1)
        ranks.append(1 + ((near >= best[:, None] - _TIE) & ~own).sum(axis=1))
    return np.concatenate(ranks)


def _recalls(ranks: npt.NDArray[np.intp], wanted: Sequence[int], seed: int) -> dict[int, Estimate]:
    bootstrap = Bootstrap([str(i) for i in range(len(ranks))], seed=seed)
    every = np.arange(len(ranks))
    return {k: bootstrap.mean((ranks <= k).astype(np.float64), every) for k in wanted}
