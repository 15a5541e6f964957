"""A complete record, as an engine's answer about an axial CT gives it."""

from __future__ import annotations

import numpy as np
import pytest

from med2e3.asking import Done, GenerationOptions, Question
from med2e3.record import Exchange, ModelRecord, VolumeRecord, build_exchange
from med2e3.volume import SlicePlace


def axial_places(count: int = 32, spacing_mm: float = 6.5) -> list[SlicePlace]:
    """Slices from the feet to the head, each standing for two or three source slices."""
    return [
        SlicePlace(
            index,
            (3.0, -12.0, -100 + spacing_mm * index),
            int(index * 2.5),
            int(index * 2.5) + 2,
        )
        for index in range(count)
    ]


def peaked_scores(peak: int = 11) -> tuple[float, ...]:
    """Softmax of a bump around one slice."""
    weights = np.exp(2.2 * np.exp(-0.5 * ((np.arange(32) - peak) / 2.5) ** 2))
    return tuple(float(value) for value in weights / weights.sum())


@pytest.fixture
def exchange() -> Exchange:
    question = Question("Which organ, if any, is enlarged?\t≥ 5 cm", choices=("Liver", "Spleen"))
    done = Done(
        answer="A. Liver",
        token_ids=(319, 29889, 951, 369, 32000),
        token_probabilities=(0.9, 1.0, 0.5, 0.25, 0.75),
        scores=peaked_scores(),
        finish_reason="end",
        choice_probabilities={"A": 0.9, "B": 0.1},
        timings_s={"encoding": 1.5, "first_token": 1.75},
    )
    return build_exchange(
        question,
        done,
        slices=axial_places(),
        model=ModelRecord("Med2E3-embedded", None, "0" * 64),
        volume=VolumeRecord("f" * 64, (32, 256, 256)),
        preprocessing={"window": {"center": 40, "width": 400}, "plane": "axial"},
        generation=GenerationOptions().as_dict() | {"device": "cpu", "dtype": "float32"},
        warnings=("The volume is thick-sliced.",),
        extra_timings_s={"reading": 0.25},
    )
